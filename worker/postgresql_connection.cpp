#include "postgresql_connection.hpp"

#include <algorithm>
#include <string_view>
#include <utility>

#include "log.hpp"

namespace chat {

namespace {

constexpr std::uint64_t kFirstBackoff = 50;  // ms
constexpr std::uint64_t kLongestBackoff = 1000;

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

std::string firstLine(const char* message)
{
    const std::string_view text = message == nullptr ? "" : message;
    return std::string(text.substr(0, text.find('\n')));
}

// libuv gives a handle back only from the loop.
struct PostgresqlConnection::Poll {
    uv_poll_t handle{};
    PostgresqlConnection* owner;
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

PostgresqlConnection::PostgresqlConnection(uv_loop_t* loop, std::string url,
                                           std::chrono::milliseconds timeout,
                                           Events events)
    : loop_(loop),
      url_(std::move(url)),
      timeout_(timeout),
      events_(std::move(events)),
      timers_(loop),
      timer_(timers_.create([this] { onTimer(); })),
      random_(std::random_device{}())
{
}

PostgresqlConnection::~PostgresqlConnection()
{
    if (poll_ != nullptr) {
        poll_->close();
    }
}

void PostgresqlConnection::start()
{
    if (state_ == State::Idle) {
        begin();
    }
}

void PostgresqlConnection::begin()
{
    connectDeadline_ =
        timers_.now() + static_cast<std::uint64_t>(timeout_.count());
    timer_->start(static_cast<std::uint64_t>(timeout_.count()));

    if (const auto host = hostToResolve(url_); !host.empty()) {
        resolve(host);
    } else {
        connect(nullptr);
    }
}

// PQconnectStart() would resolve the name in a blocking call.
void PostgresqlConnection::resolve(const std::string& host)
{
    state_ = State::Resolving;
    lookup_ = std::make_unique<NameLookup>(
        loop_, host,
        [this, host](const std::string& address, const std::string& error) {
            if (address.empty()) {
                lose("cannot resolve " + host + ": " + error);
            } else {
                connect(address.c_str());
            }
        });
}

void PostgresqlConnection::connect(const char* address)
{
    state_ = State::Connecting;
    const char* keywords[] = {"dbname", "fallback_application_name",
                              address == nullptr ? nullptr : "hostaddr",
                              nullptr};
    const char* values[] = {url_.c_str(), "chat-worker", address, nullptr};
    connection_.reset(PQconnectStartParams(keywords, values, 1));

    if (!connection_ || PQstatus(connection_.get()) == CONNECTION_BAD) {
        lose(connection_ ? firstLine(PQerrorMessage(connection_.get()))
                         : "out of memory");
        return;
    }

    poll(UV_WRITABLE);
}

void PostgresqlConnection::onConnecting()
{
    switch (PQconnectPoll(connection_.get())) {
    case PGRES_POLLING_READING:
        poll(UV_READABLE);
        break;

    case PGRES_POLLING_WRITING:
        poll(UV_WRITABLE);
        break;

    case PGRES_POLLING_OK:
        onConnected();
        break;

    default:
        lose(firstLine(PQerrorMessage(connection_.get())));
    }
}

void PostgresqlConnection::onConnected()
{
    auto* connection = connection_.get();
    state_ = State::Open;

    if (PQsetnonblocking(connection, 1) != 0 ||
        PQenterPipelineMode(connection) != 1) {
        lose(firstLine(PQerrorMessage(connection)));
        return;
    }

    poll(UV_READABLE);
    events_.open();
}

void PostgresqlConnection::settled()
{
    attempts_ = 0;
    logged_.clear();
}

// Every command is followed by a sync of its own, so that an error does not
// take those behind it along. False: done was told of the loss already.
bool PostgresqlConnection::expect(int sent, Callback done)
{
    const auto deadline =
        timers_.now() + static_cast<std::uint64_t>(timeout_.count());
    pending_.push_back({std::move(done), deadline, nullptr});

    if (sent != 1 || PQpipelineSync(connection_.get()) != 1) {
        lose(firstLine(PQerrorMessage(connection_.get())));
        return false;
    }

    if (pending_.size() == 1 && state_ == State::Open) {
        timer_->start(static_cast<std::uint64_t>(timeout_.count()));
    }

    flush();
    return connection_ != nullptr;
}

void PostgresqlConnection::flush()
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
void PostgresqlConnection::poll(int events)
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

void PostgresqlConnection::onSocket(int events)
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

void PostgresqlConnection::onInput()
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

void PostgresqlConnection::takeResults()
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

void PostgresqlConnection::takeNotifications()
{
    while (connection_) {
        const std::unique_ptr<PGnotify, void (*)(void*)> notification(
            PQnotifies(connection_.get()), PQfreemem);

        if (!notification) {
            return;
        }

        events_.notified(notification->extra);
    }
}

void PostgresqlConnection::onTimer()
{
    if (state_ == State::Waiting) {
        begin();
        return;
    }

    if (state_ == State::Open && pending_.empty()) {
        return;  // the next look-up starts the timer again
    }

    const auto deadline =
        state_ == State::Open ? pending_.front().deadline : connectDeadline_;

    if (deadline > timers_.now()) {
        timer_->start(deadline - timers_.now());
        return;
    }

    lose("no answer within " + std::to_string(timeout_.count()) + " ms");
}

void PostgresqlConnection::lose(const std::string& reason)
{
    if (state_ == State::Waiting) {
        return;
    }

    const bool wasOpen = state_ == State::Open;
    state_ = State::Waiting;

    lookup_.reset();

    // No poll may be left on the descriptor that PQfinish() closes.
    if (poll_ != nullptr) {
        std::exchange(poll_, nullptr)->close();
    }

    connection_.reset();

    if (logged_ != reason) {
        logged_ = reason;
        log::warn("membership: {} PostgreSQL: {}; trying again",
                  wasOpen ? "lost" : "cannot use", reason);
    }

    const auto step =
        std::min(kLongestBackoff, kFirstBackoff << std::min(attempts_, 10U));
    ++attempts_;
    std::uniform_int_distribution<std::uint64_t> spread(step / 2, step);
    timer_->start(spread(random_));

    const auto failed = std::exchange(pending_, {});
    events_.lost(reason);

    for (const auto& pending : failed) {
        pending.done(nullptr);
    }
}

}  // namespace chat
