// Which users have a session on this node, kept true in Redis.
//
//   chat:presence:{<inbox key>}   zset: node -> end of the entry, ms
//
// An entry counts while its node holds a lease (redis_node.hpp), so its own
// life can be long: it is renewed once in kPresenceRenew, a few users at a
// time, and only clears away what a dead node has left behind.

#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "name_hash.hpp"
#include "redis_connection.hpp"
#include "redis_script.hpp"
#include "stores.hpp"

namespace chat {

inline constexpr std::chrono::milliseconds kPresenceLife =
    std::chrono::hours(2);
inline constexpr std::chrono::milliseconds kPresenceRenew =
    std::chrono::minutes(30);

class RedisPresence {
  public:
    RedisPresence(uv_loop_t* loop, RedisConnection& connection,
                  const InboxOptions& options);
    RedisPresence(const RedisPresence&) = delete;
    RedisPresence& operator=(const RedisPresence&) = delete;

    // Both are said by the next flush(), together with all others.
    void arrive(std::string_view user);
    void leave(std::string_view user);
    void flush();

    // After the connection was away: says everything again, before any
    // command that is sent later.
    void assertAll();

    [[nodiscard]] bool empty() const { return users_.empty(); }

  private:
    // A place in the order of renewal. There is one for every user here.
    struct Place;
    using User = std::pair<const std::string, Place>;
    struct Place {
        User* before = nullptr;
        User* after = nullptr;
        std::uint64_t renewed : 63 = 0;  // ms of the loop's clock
        std::uint64_t said : 1 = 0;
    };

    void link(User& user);
    void unlink(User& user);
    void say(std::vector<std::string> names);
    void renewSome();

    RedisConnection& connection_;
    const InboxOptions& options_;
    RedisScript script_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;
    std::unordered_map<std::string, Place, NameHash, std::equal_to<>> users_;
    User* oldest_ = nullptr;  // renewed longest ago
    User* newest_ = nullptr;
    std::vector<std::string> arrived_;  // since the last flush()
    std::vector<std::string> left_;
    RedisCommand command_;
};

}  // namespace chat
