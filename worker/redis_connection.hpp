// One connection to Redis that comes back by itself.
//
//   Idle --start()--> Resolving --> Connecting --> Greeting --> Ready
//                         ^                                       |
//                         +----- Waiting (backoff) <---- lost ----+
//
// Greeting is AUTH, SELECT, ROLE and PING: a server that is still loading its
// data set or is a read-only replica is one that is not there yet.
//
// Commands are answered in order, at most 64 MiB of them at a time, each within
// the time-out. When one is not, nobody can say what became of those behind it,
// so the connection is given up as a whole and everything in flight fails. A
// command that fails in that way may or may not have been carried out.

#pragma once

#include <hiredis/async.h>
#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "name_lookup.hpp"
#include "redis_command.hpp"
#include "stores.hpp"
#include "uv_timers.hpp"

namespace chat {

class RedisConnection {
  public:
    // reply is null when there is none; error then says why: in Redis' words
    // when it replied with an error, "CONNECTION ..." when there is no answer,
    // "BUSY ..." when too much is waiting. The reply is gone when the callback
    // returns.
    using Callback =
        std::function<void(const redisReply* reply, const std::string& error)>;

    struct Events {
        // Commands may be sent from here on.
        std::function<void()> ready;
        // After `ready`: the connection is gone. Comes before the callbacks of
        // what was in flight.
        std::function<void(const std::string& reason)> lost;
    };

    // name: for log lines ("redis", "redis stream").
    RedisConnection(uv_loop_t* loop, const RedisOptions& options,
                    std::string name, Events events);
    // Callbacks of what is in flight are not called.
    ~RedisConnection();
    RedisConnection(const RedisConnection&) = delete;
    RedisConnection& operator=(const RedisConnection&) = delete;

    void start();

    [[nodiscard]] bool ready() const { return state_ == State::Ready; }
    // Why it is not ready.
    [[nodiscard]] const std::string& reason() const { return reason_; }
    [[nodiscard]] std::size_t inFlight() const { return pending_.size(); }
    // Times that it was ready and then lost.
    [[nodiscard]] std::uint64_t losses() const { return losses_; }

    // The command may be built anew as soon as this returns. Not ready: the
    // callback gets the reason before this returns. extra: time on top of the
    // time-out (blocking commands).
    void send(const RedisCommand& command, Callback callback,
              std::chrono::milliseconds extra = {});

    // Writes what is queued at once, for the last words before destruction.
    void flush();

    // Gives the connection up and starts anew.
    void drop(const std::string& reason);

  private:
    enum class State { Idle, Resolving, Connecting, Greeting, Ready, Waiting };

    struct Pending {
        Callback callback;
        std::uint64_t deadline;
        std::size_t size;  // bytes of the command
    };

    static RedisConnection* of(const redisAsyncContext* context)
    {
        return static_cast<RedisConnection*>(context->data);
    }

    void connect();
    void resolve();
    void open(const char* address);
    void onConnected(int status);
    void greet();
    void onGreeting(bool last, const redisReply* reply,
                    const std::string& error);
    void becomeReady();
    void transmit(const RedisCommand& command, Callback callback,
                  std::uint64_t allowed);
    void onReply(const redisReply* reply);
    void onTimer();
    void lose(const std::string& reason);
    void waitAndRetry();
    [[nodiscard]] std::string place() const;

    uv_loop_t* loop_;
    RedisOptions options_;
    std::string name_;
    Events events_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // time-outs, or the backoff
    redisAsyncContext* context_ = nullptr;
    State state_ = State::Idle;
    std::deque<Pending> pending_;
    std::size_t queued_ = 0;              // bytes of pending_
    std::unique_ptr<NameLookup> lookup_;  // since Resolving
    std::string reason_ = "not connected yet";
    std::string logged_;  // the failure that was logged last
    std::uint64_t connectDeadline_ = 0;
    std::uint64_t replies_ = 0;
    std::uint64_t graceReplies_ = 0;
    std::uint64_t losses_ = 0;
    bool grace_ = false;
    unsigned attempts_ = 0;
    std::minstd_rand random_;
};

}  // namespace chat
