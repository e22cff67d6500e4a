// Membership from PostgreSQL, over one connection in libpq's non-blocking
// pipeline mode: look-ups do not wait for each other.
//
//   Resolving -> Connecting -> Setup (LISTEN, PREPARE) -> Ready
//       ^                                                   |
//       +---------------- Waiting (backoff) <---- lost -----+
//
// Parameters travel as text and the server turns them into the column's type;
// what it cannot turn ("abc" for an integer) names no chat. A query that is
// not answered in time costs the connection, since nothing behind it can be
// answered either. So does one that fails: the statement is prepared anew.

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
#include <string_view>

#include "members_builder.hpp"
#include "membership.hpp"
#include "uv_timers.hpp"

namespace chat {

class MembershipPostgresql : public Membership {
  public:
    struct Settings {
        std::string url;
        std::string query;    // one parameter ($1), users in the first column
        std::string channel;  // NOTIFY <channel>, '<chat id>'; empty: none
        std::chrono::milliseconds timeout{2000};
    };

    // chatId empty: any chat may have changed (a notification without a
    // payload, or notifications may have been missed).
    using ChangeHandler = std::function<void(std::string_view chatId)>;

    MembershipPostgresql(uv_loop_t* loop, Settings settings,
                         ChangeHandler changed);
    ~MembershipPostgresql() override;
    MembershipPostgresql(const MembershipPostgresql&) = delete;
    MembershipPostgresql& operator=(const MembershipPostgresql&) = delete;

    // Waits for the first attempt to connect; later on, Unavailable at once
    // while there is no connection.
    void lookup(std::string_view chatId, Callback callback) override;

  private:
    enum class State { Resolving, Connecting, Setup, Ready, Waiting };

    struct PgFinish {
        void operator()(PGconn* connection) const { PQfinish(connection); }
    };
    struct PgClear {
        void operator()(PGresult* result) const { PQclear(result); }
    };
    using Result = std::unique_ptr<PGresult, PgClear>;

    // What was sent and waits for its result.
    struct Pending {
        std::function<void(const PGresult* result)> done;  // null: lost
        std::uint64_t deadline;
        Result result;
    };

    struct Poll;
    struct Resolver;

    void start();
    void connect(const char* address);
    void onConnecting();
    void setUp();
    void onListening(const PGresult* result);
    void onPrepared(const PGresult* result);
    void ask(const std::string& chatId, Callback callback);

    bool expect(int sent, std::function<void(const PGresult*)> done);
    LookupResult membersOf(const PGresult* result);

    void poll(int events);
    void onSocket(int events);
    void onInput();
    void takeResults();
    void takeNotifications();
    void flush();

    void onTimer();
    void lose(const std::string& reason);

    uv_loop_t* loop_;
    Settings settings_;
    ChangeHandler changed_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // time-outs, or the backoff
    std::unique_ptr<PGconn, PgFinish> connection_;
    Poll* poll_ = nullptr;  // belongs to the loop
    std::shared_ptr<Resolver> resolver_;
    State state_ = State::Waiting;
    std::deque<Pending> pending_;
    std::deque<std::pair<std::string, Callback>> early_;  // see lookup()
    std::string reason_ = "not connected yet";
    std::string logged_;  // the failure that was logged last
    std::uint64_t connectDeadline_ = 0;
    unsigned attempts_ = 0;
    bool tried_ = false;  // to connect, for the first time
    MembersBuilder builder_;
    std::minstd_rand random_;
    std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace chat
