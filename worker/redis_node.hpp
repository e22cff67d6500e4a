// This process as one of the nodes that share a Redis.
//
//   chat:nodes             zset: node -> end of its lease, ms of Redis' clock
//   chat:node:<id>         stream: doorbells that other nodes ring here
//   chat:node:<id>:count   how many were rung: a gap means that some were
//                          trimmed away unread
//
// Whatever can mean that doorbells were missed (either connection was away,
// the lease had run out, a gap) ends in one call of `resync`, made when both
// connections are up and the lease runs, so that nothing falls in between.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_script.hpp"
#include "stores.hpp"

namespace chat {

class RedisNode {
  public:
    struct Events {
        std::function<void(const Doorbell&)> doorbell;
        std::function<void()> resync;
    };

    struct Stats {
        std::uint64_t doorbells = 0;  // messages read from the stream
        std::uint64_t gaps = 0;
        std::uint64_t lapses = 0;  // the lease had run out
    };

    // commands: the connection that registers; the stream is read on one of
    // its own, because reading it blocks.
    RedisNode(uv_loop_t* loop, RedisConnection& commands,
              const InboxOptions& options, Events events);

    void start() { stream_.start(); }

    // Tell about the connection `commands`.
    void commandsReady();
    void commandsLost();

    // The last words: takes the node off the list, without waiting.
    void signOff();

    [[nodiscard]] const Stats& stats() const { return stats_; }
    [[nodiscard]] std::uint64_t streamLosses() const
    {
        return stream_.losses();
    }

  private:
    void renew();
    void onRenewed(bool stillRunning);
    void readTail();
    void readOn();
    void onEntries(const redisReply* reply);
    void onEntry(const redisReply* entry);
    void resyncWhenWhole();

    RedisConnection& commands_;
    const InboxOptions& options_;
    Events events_;
    RedisScript renew_;
    RedisScript tail_;
    std::string streamKey_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;
    RedisConnection stream_;
    RedisCommand command_;
    std::string lastId_;
    std::uint64_t count_ = 0;
    bool registered_ = false;
    bool reading_ = false;
    bool missed_ = true;
    Stats stats_;
};

// "n2:4217 s5:alice18": kind (JSON number or string), length of the user,
// user, sequence. False: not of this form. For unit tests.
bool parseRecipients(std::string_view text, Doorbell& doorbell);

}  // namespace chat
