// Asks sessions whose user is not known for a 230: at once, and again every
// init_interval until it comes.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>

#include "config.hpp"
#include "hub.hpp"
#include "timer.hpp"

namespace chat {

class InitReminder {
  public:
    InitReminder(Hub& hub, Timers& timers, const ChatSettings& settings);

    void add(const Session& session);

  private:
    // In order of time, as the interval is the same for all.
    struct Due {
        SessionRef session;
        std::uint64_t at;
    };

    void ask(const Session& session);
    void onTimer();

    Hub& hub_;
    Timers& timers_;
    const ChatSettings& settings_;
    std::deque<Due> due_;
    std::unique_ptr<Timer> timer_;
};

}  // namespace chat
