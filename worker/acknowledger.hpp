// Deletes acknowledged keys from inboxes. A client says 237 once; what Redis
// cannot take now is kept here, bounded, and tried again until it does.

#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inbox.hpp"
#include "metrics.hpp"
#include "timer.hpp"

namespace chat {

class Acknowledger {
  public:
    // kept: deleted, or going to be. reason: why not, for people.
    using Done = std::function<void(bool kept, const std::string& reason)>;

    Acknowledger(Inbox& inbox, Timers& timers, Counters& counters);

    void submit(std::string_view user, std::vector<std::string> keys,
                Done done);

    // Keys that wait for Redis.
    [[nodiscard]] std::size_t waiting() const { return waitingKeys_; }

  private:
    struct Batch {
        std::string user;
        std::vector<std::string> keys;
    };

    bool keep(std::shared_ptr<Batch> batch);
    void retry();

    Inbox& inbox_;
    Counters& counters_;
    std::deque<std::shared_ptr<Batch>> waiting_;
    std::size_t waitingKeys_ = 0;
    std::size_t waitingBytes_ = 0;
    std::unique_ptr<Timer> timer_;
};

}  // namespace chat
