// Membership from PostgreSQL.
//
// Each new connection begins with LISTEN and PREPARE. Parameters travel as
// text and the server turns them into the column's type; what it cannot turn
// ("abc" for an integer) names no chat. A look-up that fails costs the
// connection: the statement is prepared anew, for a table that has changed.

#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "members_builder.hpp"
#include "membership.hpp"
#include "postgresql_connection.hpp"

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

    // Waits for the first attempt to connect; later on, Unavailable at once
    // while there is no connection.
    void lookup(std::string_view chatId, Callback callback) override;

  private:
    void onOpen();
    void onListening(const PGresult* result);
    void onPrepared(const PGresult* result);
    void onLost(const std::string& reason);
    void ask(const std::string& chatId, Callback callback);
    void askEarly();
    LookupResult membersOf(const PGresult* result);

    Settings settings_;
    ChangeHandler changed_;
    PostgresqlConnection connection_;
    MembersBuilder builder_;
    std::deque<std::pair<std::string, Callback>> early_;  // see lookup()
    std::string reason_ = "not connected yet";
    bool ready_ = false;
    bool tried_ = false;  // to connect, for the first time
};

}  // namespace chat
