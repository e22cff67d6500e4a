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
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

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

    void arrive(std::string_view user);
    void leave(std::string_view user);

    // After the connection was away: says everything again, before any
    // command that is sent later.
    void assertAll();

    [[nodiscard]] bool holds(std::string_view user) const;
    [[nodiscard]] bool empty() const { return users_.empty(); }
    [[nodiscard]] std::size_t size() const { return users_.size(); }

  private:
    struct User {
        std::string name;
        std::uint64_t renewed;  // ms of the loop's clock
    };
    using Users = std::list<User>;  // front: renewed longest ago

    void assertRange(Users::const_iterator begin, std::size_t count);
    void renewSome();

    RedisConnection& connection_;
    const InboxOptions& options_;
    RedisScript script_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;
    Users users_;
    std::unordered_map<std::string_view, Users::iterator> byName_;
    RedisCommand command_;
};

}  // namespace chat
