// Calls of store.lua. Batches that are submitted in one turn of the event loop
// share calls, whichever chats they belong to: with many small chats most of
// what a call costs is the call.

#pragma once

#include <uv.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "redis_connection.hpp"
#include "redis_script.hpp"
#include "store_group.hpp"
#include "stores.hpp"
#include "timer.hpp"

namespace chat {

// What one call writes at most, a single batch excepted: more keeps others
// waiting for too long, and costs Redis more per byte than several calls.
inline constexpr std::size_t kStoreCallBytes = 1U << 20;

class RedisStoreCalls {
  public:
    // A batch of the group has its answer, which stands in the group.
    using Answered = std::function<void(const StoreGroupPointer& group)>;

    // All arguments must outlive this.
    RedisStoreCalls(Timers& timers, RedisConnection& connection,
                    const InboxOptions& options, Answered answered);

    // To be called for each new connection, before submit().
    void connectionReady() { script_.load(connection_); }

    // The call leaves at the end of this turn; answered follows in a later one.
    void submit(const StoreGroupPointer& group, std::size_t batch);

    // So far.
    [[nodiscard]] std::uint64_t calls() const { return calls_; }

  private:
    struct Unit {
        StoreGroupPointer group;
        std::size_t batch;

        [[nodiscard]] StoreBatch& part() const { return group->batches[batch]; }
    };
    using Units = std::vector<Unit>;

    void flush();
    void send(Units units);
    void fill(RedisCommand& command, const Units& units) const;
    static void fillUnit(RedisCommand& command, const Unit& unit);
    void onReply(const Units& units, const redisReply* reply,
                 const std::string& error);
    void take(const Unit& unit, std::string_view text);
    void fail(const Unit& unit, const std::string& error);

    Timers& timers_;
    RedisConnection& connection_;
    const InboxOptions& options_;
    std::size_t batch_;  // most recipients of one call
    Answered answered_;
    RedisScript script_;
    Units submitted_;
    std::unique_ptr<Timer> turnEnd_;
    std::uint64_t calls_ = 0;
    std::uint64_t quietUntil_ = 0;  // ms: the next line in the log
};

}  // namespace chat
