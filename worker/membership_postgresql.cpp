#include "membership_postgresql.hpp"

#include <memory>
#include <utility>

#include "log.hpp"

namespace chat {

namespace {

constexpr char kStatement[] = "members";

// pg_type.h: int8, int2, int4, oid. They never change.
bool isIntegerType(Oid type)
{
    return type == 20 || type == 21 || type == 23 || type == 26;
}

// The text does not fit the type of the column: 22P02
// invalid_text_representation, 22003 numeric_value_out_of_range, 22021
// character_not_in_repertoire, 22007 invalid_datetime_format.
bool isNoValue(std::string_view sqlState)
{
    return sqlState == "22P02" || sqlState == "22003" || sqlState == "22021" ||
           sqlState == "22007";
}

std::string errorOf(const PGresult* result)
{
    return firstLine(PQresultErrorMessage(result));
}

std::string_view sqlStateOf(const PGresult* result)
{
    const char* state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state == nullptr ? "" : state;
}

}  // namespace

MembershipPostgresql::MembershipPostgresql(uv_loop_t* loop, Settings settings,
                                           ChangeHandler changed)
    : settings_(std::move(settings)),
      changed_(std::move(changed)),
      connection_(
          loop, settings_.url, settings_.timeout,
          {.open = [this] { onOpen(); },
           .notified = [this](const char* payload) { changed_(payload); },
           .lost =
               [this](const std::string& reason) {
                   onLost(reason);
               }})
{
    connection_.start();
}

// LISTEN comes first: what is looked up later than that cannot be outdated
// without a notification.
void MembershipPostgresql::onOpen()
{
    auto* handle = connection_.handle();

    if (!settings_.channel.empty()) {
        const std::unique_ptr<char, void (*)(void*)> channel(
            PQescapeIdentifier(handle, settings_.channel.data(),
                               settings_.channel.size()),
            PQfreemem);
        const auto listen =
            "LISTEN " + (channel ? std::string(channel.get()) : "\"\"");

        if (!connection_.expect(
                PQsendQueryParams(handle, listen.c_str(), 0, nullptr, nullptr,
                                  nullptr, nullptr, 0),
                [this](const PGresult* result) { onListening(result); })) {
            return;
        }
    }

    connection_.expect(
        PQsendPrepare(handle, kStatement, settings_.query.c_str(), 0, nullptr),
        [this](const PGresult* result) { onPrepared(result); });
}

// A connection pooler may refuse LISTEN: then only the time to live is left.
void MembershipPostgresql::onListening(const PGresult* result)
{
    if (result != nullptr && PQresultStatus(result) != PGRES_COMMAND_OK) {
        log::warn("membership: no notifications: {}", errorOf(result));
    }
}

void MembershipPostgresql::onPrepared(const PGresult* result)
{
    if (result == nullptr) {
        return;
    }

    if (PQresultStatus(result) != PGRES_COMMAND_OK) {
        connection_.drop(errorOf(result));
        return;
    }

    ready_ = true;
    tried_ = true;
    connection_.settled();
    log::info("membership: connected to PostgreSQL, database {}",
              PQdb(connection_.handle()));
    changed_({});
    askEarly();
}

void MembershipPostgresql::onLost(const std::string& reason)
{
    ready_ = false;
    tried_ = true;
    reason_ = reason;
    askEarly();
}

void MembershipPostgresql::askEarly()
{
    for (auto& [chatId, callback] : std::exchange(early_, {})) {
        lookup(chatId, std::move(callback));
    }
}

void MembershipPostgresql::lookup(std::string_view chatId, Callback callback)
{
    if (!isUsableChatId(chatId)) {
        callback({LookupStatus::NoSuchChat, nullptr, "no usable id"});
        return;
    }

    if (ready_) {
        ask(std::string(chatId), std::move(callback));

    } else if (!tried_) {
        early_.emplace_back(chatId, std::move(callback));

    } else {
        callback({LookupStatus::Unavailable, nullptr, reason_});
    }
}

void MembershipPostgresql::ask(const std::string& chatId, Callback callback)
{
    const char* values[] = {chatId.c_str()};

    connection_.expect(
        PQsendQueryPrepared(connection_.handle(), kStatement, 1, values,
                            nullptr, nullptr, 0),
        [this, callback = std::move(callback)](const PGresult* result) {
            const auto found = membersOf(result);
            callback(found);

            // The statement may not fit the table any more.
            if (found.status == LookupStatus::Unavailable) {
                connection_.drop(found.reason);
            }
        });
}

LookupResult MembershipPostgresql::membersOf(const PGresult* result)
{
    if (result == nullptr) {
        return {LookupStatus::Unavailable, nullptr, reason_};
    }

    if (PQresultStatus(result) != PGRES_TUPLES_OK) {
        const auto status = isNoValue(sqlStateOf(result))
                                ? LookupStatus::NoSuchChat
                                : LookupStatus::Unavailable;
        return {status, nullptr, errorOf(result)};
    }

    const bool isNumber =
        PQnfields(result) > 0 && isIntegerType(PQftype(result, 0));

    for (int row = 0; row < PQntuples(result); ++row) {
        builder_.add({PQgetvalue(result, row, 0),
                      static_cast<std::size_t>(PQgetlength(result, row, 0))},
                     isNumber);
    }

    return builder_.finish();
}

}  // namespace chat
