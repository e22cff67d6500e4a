#include "membership_postgresql.hpp"

#include <netdb.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "log.hpp"

namespace chat {

namespace {

constexpr std::uint64_t kFirstBackoff = 50;  // ms
constexpr std::uint64_t kLongestBackoff = 5000;
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

// libpq ends its messages with a newline, and some have several lines.
std::string firstLine(const char* message)
{
    const std::string_view text = message == nullptr ? "" : message;
    return std::string(text.substr(0, text.find('\n')));
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

// The host to resolve, when there is exactly one and it is a name.
std::string hostToResolve(const std::string& url)
{
    const std::unique_ptr<PQconninfoOption, void (*)(PQconninfoOption*)>
        options(PQconninfoParse(url.c_str(), nullptr), PQconninfoFree);
    std::string host;

    for (auto* option = options.get();
         option != nullptr && option->keyword != nullptr; ++option) {
        const std::string_view keyword = option->keyword;
        const std::string_view value =
            option->val == nullptr ? "" : option->val;

        if (keyword == "hostaddr" && !value.empty()) {
            return {};
        }

        if (keyword == "host") {
            host = value;
        }
    }

    const bool isName = !host.empty() && host.front() != '/' &&
                        host.front() != '@' &&
                        host.find(',') == std::string::npos;
    return isName ? host : std::string();
}

}  // namespace

// libuv gives a handle back only from the loop.
struct MembershipPostgresql::Poll {
    uv_poll_t handle{};
    MembershipPostgresql* owner;
    int socket;
    int events = 0;

    void close()
    {
        owner = nullptr;
        uv_poll_stop(&handle);
        uv_close(reinterpret_cast<uv_handle_t*>(&handle),
                 [](uv_handle_t* closed) {
                     delete static_cast<Poll*>(closed->data);
                 });
    }
};

struct MembershipPostgresql::Resolver {
    uv_getaddrinfo_t request{};
    MembershipPostgresql* owner = nullptr;  // null: not wanted any more
    std::shared_ptr<Resolver> self;         // while libuv holds the request
};

MembershipPostgresql::MembershipPostgresql(uv_loop_t* loop, Settings settings,
                                           ChangeHandler changed)
    : loop_(loop),
      settings_(std::move(settings)),
      changed_(std::move(changed)),
      timers_(loop),
      timer_(timers_.create([this] { onTimer(); })),
      random_(std::random_device{}())
{
    start();
}

MembershipPostgresql::~MembershipPostgresql()
{
    *alive_ = false;

    if (resolver_) {
        resolver_->owner = nullptr;
    }

    if (poll_ != nullptr) {
        poll_->close();
    }
}

// PQconnectStart() would resolve the name in a blocking call.
void MembershipPostgresql::start()
{
    connectDeadline_ =
        timers_.now() + static_cast<std::uint64_t>(settings_.timeout.count());
    timer_->start(static_cast<std::uint64_t>(settings_.timeout.count()));

    const auto host = hostToResolve(settings_.url);

    if (host.empty()) {
        connect(nullptr);
        return;
    }

    state_ = State::Resolving;
    resolver_ = std::make_shared<Resolver>();
    resolver_->owner = this;
    resolver_->self = resolver_;
    resolver_->request.data = resolver_.get();

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;

    const auto onResolved = [](uv_getaddrinfo_t* request, int status,
                               addrinfo* found) {
        const auto resolver =
            std::move(static_cast<Resolver*>(request->data)->self);
        char address[NI_MAXHOST] = "";

        if (status == 0) {
            getnameinfo(found->ai_addr, found->ai_addrlen, address,
                        sizeof(address), nullptr, 0, NI_NUMERICHOST);
        }

        uv_freeaddrinfo(found);

        if (auto* self = resolver->owner; self != nullptr) {
            self->resolver_.reset();

            if (address[0] != '\0') {
                self->connect(address);
            } else {
                self->lose("cannot resolve the host name");
            }
        }
    };

    if (uv_getaddrinfo(loop_, &resolver_->request, onResolved, host.c_str(),
                       nullptr, &hints) < 0) {
        resolver_->self.reset();
        resolver_.reset();
        lose("cannot resolve the host name");
    }
}

void MembershipPostgresql::connect(const char* address)
{
    state_ = State::Connecting;
    const char* keywords[] = {"dbname", "fallback_application_name",
                              address == nullptr ? nullptr : "hostaddr",
                              nullptr};
    const char* values[] = {settings_.url.c_str(), "chat-worker", address,
                            nullptr};
    connection_.reset(PQconnectStartParams(keywords, values, 1));

    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
        lose(connection_ ? firstLine(PQerrorMessage(connection_.get()))
                         : "out of memory");
        return;
    }

    poll(UV_WRITABLE);
}

void MembershipPostgresql::onConnecting()
{
    switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
        poll(UV_READABLE);
        break;

    case PGRES_POLLING_WRITING:
        poll(UV_WRITABLE);
        break;

    case PGRES_POLLING_OK:
        setUp();
        break;

    default:
        lose(firstLine(PQerrorMessage(connection_.get())));
    }
}

// LISTEN comes first: what is looked up later than that cannot be outdated
// without a notification.
void MembershipPostgresql::setUp()
{
    auto* connection = connection_.get();
    state_ = State::Setup;

    if (PQsetnonblocking(connection, 1) != 0 ||
        PQenterPipelineMode(connection) != 1) {
        lose(firstLine(PQerrorMessage(connection)));
        return;
    }

    if (!settings_.channel.empty()) {
        const std::unique_ptr<char, void (*)(void*)> channel(
            PQescapeIdentifier(connection, settings_.channel.data(),
                               settings_.channel.size()),
            PQfreemem);
        const auto listen =
            "LISTEN " + (channel ? std::string(channel.get()) : "\"\"");

        if (!expect(PQsendQueryParams(connection, listen.c_str(), 0, nullptr,
                                      nullptr, nullptr, nullptr, 0),
                    [this](const PGresult* r) { onListening(r); })) {
            return;
        }
    }

    expect(PQsendPrepare(connection, kStatement, settings_.query.c_str(), 0,
                         nullptr),
           [this](const PGresult* r) { onPrepared(r); });
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
        lose(errorOf(result));
        return;
    }

    state_ = State::Ready;
    tried_ = true;
    attempts_ = 0;
    logged_.clear();
    log::info("membership: connected to PostgreSQL, database {}",
              PQdb(connection_.get()));
    changed_({});

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

    if (state_ == State::Ready) {
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

    expect(PQsendQueryPrepared(connection_.get(), kStatement, 1, values,
                               nullptr, nullptr, 0),
           [this, callback = std::move(callback)](const PGresult* result) {
               const auto found = membersOf(result);
               callback(found);

               // The statement may not fit the table any more.
               if (found.status == LookupStatus::Unavailable) {
                   lose(found.reason);
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

// Every command is followed by a sync of its own, so that an error does not
// take those behind it along. False: done was told of the loss already.
bool MembershipPostgresql::expect(int sent,
                                  std::function<void(const PGresult*)> done)
{
    const auto deadline =
        timers_.now() + static_cast<std::uint64_t>(settings_.timeout.count());
    pending_.push_back({std::move(done), deadline, nullptr});

    if (sent != 1 || PQpipelineSync(connection_.get()) != 1) {
        lose(firstLine(PQerrorMessage(connection_.get())));
        return false;
    }

    if (pending_.size() == 1 && state_ == State::Ready) {
        timer_->start(static_cast<std::uint64_t>(settings_.timeout.count()));
    }

    flush();
    return connection_ != nullptr;
}

void MembershipPostgresql::flush()
{
    switch (PQflush(connection_.get())) {
    case 0:
        poll(UV_READABLE);
        break;

    case 1:
        poll(UV_READABLE | UV_WRITABLE);
        break;

    default:
        lose(firstLine(PQerrorMessage(connection_.get())));
    }
}

// libpq may go on with another socket while it connects (several hosts, TLS
// refused), so the descriptor is looked at each time.
void MembershipPostgresql::poll(int events)
{
    const int socket = PQsocket(connection_.get());

    if (poll_ != nullptr && poll_->socket != socket) {
        std::exchange(poll_, nullptr)->close();
    }

    if (poll_ == nullptr) {
        auto fresh = std::make_unique<Poll>();
        fresh->owner = this;
        fresh->socket = socket;

        if (uv_poll_init(loop_, &fresh->handle, socket) != 0) {
            lose("the event loop refuses the socket");
            return;
        }

        fresh->handle.data = fresh.get();
        poll_ = fresh.release();
    }

    if (poll_->events == events) {
        return;
    }

    poll_->events = events;
    uv_poll_start(&poll_->handle, events,
                  [](uv_poll_t* handle, int status, int happened) {
                      auto* poll = static_cast<Poll*>(handle->data);

                      if (status < 0) {
                          // libuv has stopped it; reading tells the error.
                          poll->events = 0;
                          happened = UV_READABLE;
                      }

                      poll->owner->onSocket(happened);
                  });
}

void MembershipPostgresql::onSocket(int events)
{
    if (state_ == State::Connecting) {
        onConnecting();
        return;
    }

    if ((events & UV_READABLE) != 0) {
        onInput();
    }

    if (connection_) {
        flush();
    }
}

void MembershipPostgresql::onInput()
{
    if (PQconsumeInput(connection_.get()) != 1) {
        lose(firstLine(PQerrorMessage(connection_.get())));
        return;
    }

    takeResults();

    if (connection_) {
        takeNotifications();
    }
}

void MembershipPostgresql::takeResults()
{
    bool ended = false;

    while (connection_ && !pending_.empty() &&
           PQisBusy(connection_.get()) == 0) {
        Result result(PQgetResult(connection_.get()));

        if (!result) {
            // Once: the end of one command's results. Twice: there is no
            // more, which libpq does not call busy when it lost the server.
            if (std::exchange(ended, true)) {
                return;
            }

            continue;
        }

        ended = false;

        if (PQresultStatus(result.get()) != PGRES_PIPELINE_SYNC) {
            pending_.front().result = std::move(result);
            continue;
        }

        const auto answered = std::move(pending_.front());
        pending_.pop_front();
        answered.done(answered.result.get());
    }
}

void MembershipPostgresql::takeNotifications()
{
    const auto alive = alive_;

    while (*alive && connection_) {
        const std::unique_ptr<PGnotify, void (*)(void*)> notification(
            PQnotifies(connection_.get()), PQfreemem);

        if (!notification) {
            return;
        }

        changed_(notification->extra);
    }
}

void MembershipPostgresql::onTimer()
{
    if (state_ == State::Waiting) {
        start();
        return;
    }

    if (state_ == State::Ready && pending_.empty()) {
        return;  // the next look-up starts the timer again
    }

    const auto deadline =
        state_ == State::Ready ? pending_.front().deadline : connectDeadline_;

    if (deadline > timers_.now()) {
        timer_->start(deadline - timers_.now());
        return;
    }

    lose("no answer within " + std::to_string(settings_.timeout.count()) +
         " ms");
}

void MembershipPostgresql::lose(const std::string& reason)
{
    if (state_ == State::Waiting) {
        return;
    }

    const bool wasReady = state_ == State::Ready;
    state_ = State::Waiting;
    tried_ = true;
    reason_ = reason;

    if (resolver_) {
        resolver_->owner = nullptr;
        uv_cancel(reinterpret_cast<uv_req_t*>(&resolver_->request));
        resolver_.reset();
    }

    // No poll may be left on the descriptor that PQfinish() closes.
    if (poll_ != nullptr) {
        std::exchange(poll_, nullptr)->close();
    }

    connection_.reset();

    if (logged_ != reason) {
        logged_ = reason;
        log::warn("membership: {} PostgreSQL: {}; trying again",
                  wasReady ? "lost" : "cannot use", reason);
    }

    const auto step =
        std::min(kLongestBackoff, kFirstBackoff << std::min(attempts_, 10U));
    ++attempts_;
    std::uniform_int_distribution<std::uint64_t> spread(step / 2, step);
    timer_->start(spread(random_));

    for (const auto& pending : std::exchange(pending_, {})) {
        pending.done(nullptr);
    }

    for (auto& [chatId, callback] : std::exchange(early_, {})) {
        lookup(chatId, std::move(callback));
    }
}

}  // namespace chat
