// One connection to PostgreSQL that comes back by itself, in libpq's
// non-blocking pipeline mode: queries do not wait for each other.
//
//   Resolving -> Connecting -> Open
//       ^                       |
//       +-- Waiting (backoff) <-+ lost
//
// A query that is not answered in time costs the connection, since nothing
// behind it can be answered either.

#pragma once

#include <libpq-fe.h>
#include <uv.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "name_lookup.hpp"
#include "uv_timers.hpp"

namespace chat {

class PostgresqlConnection {
  public:
    // result is null when the connection was lost.
    using Callback = std::function<void(const PGresult* result)>;

    struct Events {
        std::function<void()> open;  // queries may be sent
        std::function<void(const char* payload)> notified;
        // Comes before the callbacks of what was in flight.
        std::function<void(const std::string& reason)> lost;
    };

    // timeout: for connecting, and for each query.
    PostgresqlConnection(uv_loop_t* loop, std::string url,
                         std::chrono::milliseconds timeout, Events events);
    // Callbacks of what is in flight are not called.
    ~PostgresqlConnection();
    PostgresqlConnection(const PostgresqlConnection&) = delete;
    PostgresqlConnection& operator=(const PostgresqlConnection&) = delete;

    void start();

    // For PQsend...() and PQescape...(); only while the connection is open.
    [[nodiscard]] PGconn* handle() const { return connection_.get(); }

    // After each PQsend...(), with what that returned. False: it was lost over
    // this, and done has been told.
    bool expect(int sent, Callback done);

    // Gives the connection up and starts anew.
    void drop(const std::string& reason) { lose(reason); }

    // The query works: the next time it is lost, it is tried at once, and any
    // failure is logged again.
    void settled();

  private:
    enum class State { Idle, Resolving, Connecting, Open, Waiting };

    struct Finish {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };
    struct Clear {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    using Result = std::unique_ptr<PGresult, Clear>;

    // What was sent and waits for its result.
    struct Pending {
        Callback done;
        std::uint64_t deadline;
        Result result;
    };

    struct Poll;

    void begin();
    void resolve(const std::string& host);
    void connect(const char* address);
    void onConnecting();
    void onConnected();
    void poll(int events);
    void onSocket(int events);
    void onInput();
    void takeResults();
    void takeNotifications();
    void flush();
    void onTimer();
    void lose(const std::string& reason);

    uv_loop_t* loop_;
    std::string url_;
    std::chrono::milliseconds timeout_;
    Events events_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // time-outs, or the backoff
    std::unique_ptr<PGconn, Finish> connection_;
    Poll* poll_ = nullptr;                // belongs to the loop
    std::unique_ptr<NameLookup> lookup_;  // since Resolving
    State state_ = State::Idle;
    std::deque<Pending> pending_;
    std::string logged_;  // the failure that was logged last
    std::uint64_t connectDeadline_ = 0;
    unsigned attempts_ = 0;
    std::minstd_rand random_;
};

// The first line of a message of libpq, without the end of line.
std::string firstLine(const char* message);

}  // namespace chat
