// Inboxes in a redis-server of the test's own.

#pragma once

#include <initializer_list>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inbox_world.hpp"
#include "run_tests.hpp"
#include "servers.hpp"
#include "worker/inbox_redis.hpp"

namespace chat::test {

using namespace std::chrono_literals;

inline std::unique_ptr<RedisServer> redis;

inline void startRedis()
{
    redis = std::make_unique<RedisServer>();
}

inline void stopRedis()
{
    redis.reset();
}

inline InboxOptions makeOptions(const std::string& id)
{
    InboxOptions options;
    options.redis.path = redis->socket();
    options.redis.timeout = 1500ms;
    options.node = {id, 600ms};
    return options;
}

class RedisWorld : public World {
  public:
    explicit RedisWorld(const InboxOptions& options = makeOptions("a"))
    {
        add(0, options);
    }

    void add(std::size_t index, const InboxOptions& options)
    {
        auto& node = nodes.at(index);
        node.inbox = makeInbox(loop, options);
        node.listen();
        ck_assert(loop.until([&] { return node.resyncs > 0; }));
    }
};

inline std::vector<std::string> names(int count)
{
    std::vector<std::string> users;
    users.reserve(static_cast<std::size_t>(count));

    for (int i = 0; i < count; ++i) {
        users.push_back("u" + std::to_string(i));
    }

    return users;
}

inline void checkStatus(const StoreResult& result, StoreStatus status)
{
    ck_assert_msg(result.status == status, "status %d: %s",
                  static_cast<int>(result.status), result.reason.c_str());
}

// store.lua alone asks for several strings, once a call.
inline long long storeCalls()
{
    const auto stats = redis->ask({"INFO", "commandstats"});
    const std::string_view name = "cmdstat_mget:calls=";
    const auto found = stats.find(name);
    return found == std::string::npos
               ? 0
               : std::atoll(stats.c_str() + found + name.size());
}

inline const std::string kFirst = "WaitSendNews_1";

// Runs tests that each have a server of their own: some stop or change it.
inline int runWithRedis(const char* name,
                        std::initializer_list<const TTest*> all)
{
    return runTests(name, all, 30, startRedis, stopRedis);
}

}  // namespace chat::test
