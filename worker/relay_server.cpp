#include "worker/relay_server.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <utility>

#include "worker/log.hpp"
#include "worker/relay_connection.hpp"
#include "worker/relay_listener.hpp"

namespace chat::relay {

namespace {

constexpr std::size_t kReadSize = 64U << 10;
constexpr std::uint64_t kTickMs = 500;

template <typename Handle>
struct HandleCloser {
    void operator()(Handle* handle) const
    {
        uv_close(reinterpret_cast<uv_handle_t*>(handle),
                 [](uv_handle_t* h) { delete reinterpret_cast<Handle*>(h); });
    }
};

template <typename Handle>
using UvHandle = std::unique_ptr<Handle, HandleCloser<Handle>>;

}  // namespace

class RelayServer::Impl final : public ConnectionOwner {
  public:
    Impl(uv_loop_t* loop, RelayHandler* handler, ServerSettings settings);
    ~Impl() override;
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    std::optional<std::string> listen();
    void configure(const ServerSettings& settings);
    void shutdown(std::chrono::milliseconds timeout, std::function<void()> f);
    ServerStats stats() const;
    int port() const;

    void schedule(RelayConnection* connection) override;
    void forget(RelayConnection* connection) override;
    RelayHandler& handler() override { return *handler_; }
    const ServerSettings& settings() const override { return settings_; }
    ServerStats& counters() override { return counters_; }
    uv_buf_t readBuffer() override;

  private:
    void accepted(uv_stream_t* listener);
    void refuse(uv_stream_t* listener);
    void flush();
    void tick();
    void deadline();
    void finishShutdown();

    uv_loop_t* loop_;
    RelayHandler* handler_;
    ServerSettings settings_;
    ServerStats counters_;
    std::uint64_t serial_ = 0;
    std::vector<ListenStream> listeners_;
    std::vector<RelayConnection*> connections_;
    std::vector<RelayConnection*> dirty_;  // wait for flush()
    bool stopping_ = false;
    std::function<void()> done_;

    // Output that callbacks of the poll phase have left is sent by check_,
    // that of timers and of check handles by prepare_: in either case before
    // the loop waits.
    UvHandle<uv_check_t> check_;
    UvHandle<uv_prepare_t> prepare_;
    UvHandle<uv_timer_t> ticker_;
    UvHandle<uv_timer_t> deadline_;
    std::array<char, kReadSize> readBuffer_{};
};

RelayServer::Impl::Impl(uv_loop_t* loop, RelayHandler* handler,
                        ServerSettings settings)
    : loop_(loop), handler_(handler), settings_(std::move(settings))
{
    check_.reset(new uv_check_t);
    uv_check_init(loop, check_.get());
    check_->data = this;
    uv_check_start(check_.get(),
                   [](uv_check_t* h) { static_cast<Impl*>(h->data)->flush(); });

    prepare_.reset(new uv_prepare_t);
    uv_prepare_init(loop, prepare_.get());
    prepare_->data = this;
    uv_prepare_start(prepare_.get(), [](uv_prepare_t* h) {
        static_cast<Impl*>(h->data)->flush();
    });

    ticker_.reset(new uv_timer_t);
    uv_timer_init(loop, ticker_.get());
    ticker_->data = this;
    uv_timer_start(
        ticker_.get(),
        [](uv_timer_t* h) { static_cast<Impl*>(h->data)->tick(); }, kTickMs,
        kTickMs);
}

RelayServer::Impl::~Impl()
{
    for (RelayConnection* connection : connections_) {
        connection->abandon();
    }
}

std::optional<std::string> RelayServer::Impl::listen()
{
    auto onConnection = [](uv_stream_t* listener, int status) {
        auto* self = static_cast<Impl*>(listener->data);

        if (status == 0) {
            self->accepted(listener);
        } else {
            log::error("relay: accept: {}", uv_strerror(status));
        }
    };

    for (const std::string& address : settings_.listen) {
        std::string error = listenOn(loop_, address, settings_.socketMode,
                                     onConnection, this, &listeners_);

        if (!error.empty()) {
            listeners_.clear();
            return fmt::format("cannot listen on {}: {}", address, error);
        }
    }
    return std::nullopt;
}

void RelayServer::Impl::configure(const ServerSettings& settings)
{
    std::vector<std::string> listen = std::move(settings_.listen);
    settings_ = settings;
    settings_.listen = std::move(listen);
}

void RelayServer::Impl::accepted(uv_stream_t* listener)
{
    if (connections_.size() >= settings_.maxLinks) {
        refuse(listener);
        return;
    }

    RelayConnection* connection = nullptr;
    int error = RelayConnection::accept(this, listener, ++serial_, &connection);

    if (error != 0) {
        log::error("relay: accept: {}", uv_strerror(error));
        return;
    }
    ++counters_.accepted;
    connections_.push_back(connection);
}

// libuv waits until a connection has been taken over; so take it and close it.
void RelayServer::Impl::refuse(uv_stream_t* listener)
{
    ++counters_.refused;
    log::warn("relay: connection refused, {} are open", connections_.size());

    if (listener->type == UV_TCP) {
        UvHandle<uv_tcp_t> handle(new uv_tcp_t);
        uv_tcp_init(loop_, handle.get());
        uv_accept(listener, reinterpret_cast<uv_stream_t*>(handle.get()));

    } else {
        UvHandle<uv_pipe_t> handle(new uv_pipe_t);
        uv_pipe_init(loop_, handle.get(), 0);
        uv_accept(listener, reinterpret_cast<uv_stream_t*>(handle.get()));
    }
}

uv_buf_t RelayServer::Impl::readBuffer()
{
    return uv_buf_init(readBuffer_.data(), readBuffer_.size());
}

void RelayServer::Impl::schedule(RelayConnection* connection)
{
    dirty_.push_back(connection);
}

void RelayServer::Impl::forget(RelayConnection* connection)
{
    std::erase(connections_, connection);
}

// A handler that is called from here (onDrained, onClosed) may send on any
// link, so that the list grows while it is walked.
void RelayServer::Impl::flush()
{
    for (std::size_t i = 0; i < dirty_.size(); ++i) {
        dirty_[i]->flush();
    }
    dirty_.clear();

    if (stopping_ && connections_.empty() && done_) {
        finishShutdown();
    }
}

void RelayServer::Impl::tick()
{
    std::uint64_t now = uv_now(loop_);

    for (RelayConnection* connection : connections_) {
        connection->checkTimeouts(now);
    }
}

void RelayServer::Impl::shutdown(std::chrono::milliseconds timeout,
                                 std::function<void()> done)
{
    stopping_ = true;
    done_ = std::move(done);
    listeners_.clear();

    for (RelayConnection* connection : connections_) {
        connection->startClosing();
    }

    deadline_.reset(new uv_timer_t);
    uv_timer_init(loop_, deadline_.get());
    deadline_->data = this;
    uv_timer_start(
        deadline_.get(),
        [](uv_timer_t* h) { static_cast<Impl*>(h->data)->deadline(); },
        static_cast<std::uint64_t>(timeout.count()), 0);
}

void RelayServer::Impl::deadline()
{
    for (RelayConnection* connection : connections_) {
        if (connection->pendingTickets() > 0) {
            log::warn("relay: {}: {} messages left to the next worker",
                      connection->name(), connection->pendingTickets());
        }
        connection->drop("shutting down");
    }
}

void RelayServer::Impl::finishShutdown()
{
    check_.reset();
    prepare_.reset();
    ticker_.reset();
    deadline_.reset();

    auto done = std::exchange(done_, nullptr);
    done();
}

ServerStats RelayServer::Impl::stats() const
{
    ServerStats stats = counters_;
    stats.links = connections_.size();

    for (const RelayConnection* connection : connections_) {
        stats.tickets += connection->pendingTickets();
        stats.queued += connection->queued();
    }
    return stats;
}

int RelayServer::Impl::port() const
{
    for (const ListenStream& listener : listeners_) {
        sockaddr_storage address{};
        int size = sizeof(address);

        if (listener->type == UV_TCP &&
            uv_tcp_getsockname(reinterpret_cast<uv_tcp_t*>(listener.get()),
                               reinterpret_cast<sockaddr*>(&address),
                               &size) == 0) {
            return address.ss_family == AF_INET6
                       ? ntohs(reinterpret_cast<sockaddr_in6*>(&address)
                                   ->sin6_port)
                       : ntohs(reinterpret_cast<sockaddr_in*>(&address)
                                   ->sin_port);
        }
    }
    return 0;
}

RelayServer::RelayServer(uv_loop_t* loop, RelayHandler* handler,
                         ServerSettings settings)
    : impl_(std::make_unique<Impl>(loop, handler, std::move(settings)))
{
}

RelayServer::~RelayServer() = default;

std::optional<std::string> RelayServer::listen()
{
    return impl_->listen();
}

void RelayServer::configure(const ServerSettings& settings)
{
    impl_->configure(settings);
}

void RelayServer::shutdown(std::chrono::milliseconds timeout,
                           std::function<void()> done)
{
    impl_->shutdown(timeout, std::move(done));
}

ServerStats RelayServer::stats() const
{
    return impl_->stats();
}

int RelayServer::port() const
{
    return impl_->port();
}

}  // namespace chat::relay
