#include "ngx_chat_module/relay.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "ngx_chat_module/metrics.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/turn.hpp"

namespace chat {

namespace {

constexpr std::size_t kReceive = 256U << 10;
constexpr ngx_msec_t kFirstPing = 1000;
constexpr ngx_msec_t kPingInterval = 5000;
constexpr ngx_msec_t kFirstBackoff = 50;
constexpr ngx_msec_t kLastBackoff = 2000;

// Frames that chat_relay_buffer does not bound (ATTACH, DETACH, ...): not read
// yet, or kept behind a MESSAGE that the chat-worker does not confirm.
constexpr std::size_t kMaxOther = 64U << 20;

// What is read from one chat-worker before others get their turn.
constexpr std::size_t kShare = 4U << 20;

char receiveBuffer[kReceive];

RelayLink* linkOf(ngx_event_t* event)
{
    auto* c = static_cast<ngx_connection_t*>(event->data);
    return static_cast<RelayLink*>(c->data);
}

RelayLink* timerLink(ngx_event_t* event)
{
    return static_cast<RelayLink*>(static_cast<TimerData*>(event->data)->owner);
}

ngx_err_t socketError(ngx_connection_t* c)
{
    int err = 0;
    socklen_t size = sizeof(err);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &size) == -1) {
        return ngx_socket_errno;
    }
    return err;
}

}  // namespace

bool RelayLink::init(RelayGroup* group, const ngx_http_upstream_rr_peer_t* peer,
                     bool backup)
{
    group_ = group;
    backup_ = backup;
    weight_ = static_cast<std::uint32_t>(std::max<ngx_int_t>(peer->weight, 1));
    socklen_ = peer->socklen;

    sockaddr_ = static_cast<struct sockaddr*>(std::malloc(socklen_));
    name_.data = static_cast<u_char*>(std::malloc(peer->name.len + 1));
    if (sockaddr_ == nullptr || name_.data == nullptr) {
        return false;
    }
    std::memcpy(sockaddr_, peer->sockaddr, socklen_);
    std::memcpy(name_.data, peer->name.data, peer->name.len);
    name_.len = peer->name.len;

    timerData_ = {this, {}, static_cast<ngx_socket_t>(-1)};
    for (ngx_event_t* timer : {&retry_, &pulse_}) {
        timer->data = &timerData_;
        timer->log = &log_;
        timer->cancelable = 1;
    }
    retry_.handler = onRetry;
    pulse_.handler = onPulse;

    log_ = *ngx_cycle->log;
    log_.handler = logLink;
    log_.data = this;

    // nginx would report each attempt, at levels of its own.
    quiet_ = log_;
    quiet_.log_level = NGX_LOG_EMERG;
    return true;
}

u_char* RelayLink::logLink(ngx_log_t* log, u_char* buf, size_t len)
{
    auto* link = static_cast<RelayLink*>(log->data);
    return ngx_snprintf(buf, len, ", chat worker: %V", &link->name_);
}

std::size_t RelayLink::maxPayload() const
{
    return reader_.peerMaxPayload();
}

void RelayLink::connect()
{
    ngx_peer_connection_t peer;
    ngx_memzero(&peer, sizeof(peer));
    peer.sockaddr = sockaddr_;
    peer.socklen = socklen_;
    peer.name = &name_;
    peer.get = ngx_event_get_peer;
    peer.log = &quiet_;
    peer.log_error = NGX_ERROR_INFO;

    state_ = State::Connecting;
    reader_ = relay::Reader(relay::Side::Nginx, kAccept);

    ngx_int_t rc = ngx_event_connect_peer(&peer);
    connection_ = peer.connection;

    if (connection_ == nullptr) {
        lost("cannot connect", ngx_socket_errno);
        return;
    }

    ngx_connection_t* c = connection_;
    c->data = this;
    c->log = &log_;
    c->read->log = &log_;
    c->write->log = &log_;
    c->read->handler = onRead;
    c->write->handler = onWrite;

    if (rc == NGX_AGAIN) {
        c->write->cancelable = 1;
        ngx_add_timer(c->write, group_->conf().connectTimeout);
        return;
    }
    connected();
}

void RelayLink::connected()
{
    ngx_connection_t* c = connection_;

    if (sockaddr_->sa_family != AF_UNIX) {
        ngx_tcp_nodelay(c);
    }

    state_ = State::Up;
    heard_ = ngx_current_msec;
    progress_ = ngx_current_msec;
    ++counters().relays;
    ++counters().relayConnects;

    greet();
    ngx_add_timer(&pulse_, std::min(kFirstPing, group_->conf().timeout / 2));
    group_->linkUp();

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        giveUp_ = true;
        markDirty(this);
    }
}

void RelayLink::flush()
{
    if (state_ != State::Up) {
        return;
    }

    if (giveUp_) {
        lost("no memory", 0);
        return;
    }

    ngx_connection_t* c = connection_;

    while (c->write->ready) {
        std::string_view bytes = journal_.next();
        if (bytes.empty()) {
            break;
        }

        auto* data = reinterpret_cast<u_char*>(const_cast<char*>(bytes.data()));
        ssize_t n = c->send(c, data, bytes.size());

        if (n == NGX_AGAIN) {
            break;
        }
        if (n <= 0) {
            lost("cannot write", c->write->error ? ngx_socket_errno : 0);
            return;
        }
        journal_.sent(static_cast<std::size_t>(n));
        progress_ = ngx_current_msec;
    }

    account();
    if (const char* why = overLimit()) {
        lost(why, 0);
        return;
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        lost("cannot write", 0);
    }
}

// Null, or why the chat-worker is given up.
const char* RelayLink::overLimit() const
{
    if (journal_.held() - journal_.unconfirmed() <= kMaxOther) {
        return nullptr;
    }
    if (journal_.unsent() <= kMaxOther) {
        return "chat worker does not confirm";
    }
    return ngx_current_msec - progress_ < group_->conf().timeout
               ? nullptr
               : "chat worker does not read";
}

void RelayLink::onWrite(ngx_event_t* event)
{
    RelayLink* link = linkOf(event);

    if (event->timedout) {
        event->timedout = 0;
        link->lost("cannot connect", NGX_ETIMEDOUT);
        return;
    }

    if (link->state_ == State::Connecting) {
        if (ngx_err_t err = socketError(link->connection_)) {
            link->lost("cannot connect", err);
            return;
        }
        if (event->timer_set) {
            ngx_del_timer(event);
        }
        link->connected();
        return;
    }
    markDirty(link);
}

void RelayLink::onRead(ngx_event_t* event)
{
    RelayLink* link = linkOf(event);

    // worker_shutdown_timeout is over
    if (link->connection_->close) {
        link->close();
        return;
    }

    if (link->state_ == State::Connecting) {
        onWrite(link->connection_->write);
        return;
    }
    link->read();
}

void RelayLink::read()
{
    ngx_connection_t* c = connection_;
    std::size_t total = 0;

    do {
        ssize_t n =
            c->recv(c, reinterpret_cast<u_char*>(receiveBuffer), kReceive);

        if (n == NGX_AGAIN) {
            break;
        }
        if (n == 0 || n == NGX_ERROR) {
            lost(n == 0 ? "chat worker closed the connection" : "cannot read",
                 n == 0 ? 0 : ngx_socket_errno);
            return;
        }

        heard_ = ngx_current_msec;

        if (!handleAll({receiveBuffer, static_cast<std::size_t>(n)})) {
            lost(relay::errorText(reader_.error()), 0);
            return;
        }
        total += static_cast<std::size_t>(n);
    } while (c->read->ready && total < kShare);

    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_next_events);
    }

    account();
    group_->roomMade();

    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        lost("cannot read", 0);
    }
}

// It does its work: the next failure is a new one. HELLO alone says little of
// a chat-worker that a message makes fail again and again.
void RelayLink::proved()
{
    backoff_ = 0;
    if (failed_) {
        failed_ = false;
        ngx_log_error(NGX_LOG_NOTICE, &log_, 0, "chat worker is back");
    }
}

// Keeps the gauges of the metrics.
void RelayLink::account()
{
    Counters& count = counters();
    count.relayUnconfirmed += journal_.unconfirmed() - unconfirmed_;
    count.relayUnsent += journal_.unsent() - unsent_;
    unconfirmed_ = journal_.unconfirmed();
    unsent_ = journal_.unsent();
}

void RelayLink::onPulse(ngx_event_t* event)
{
    RelayLink* link = timerLink(event);
    ngx_msec_t timeout = link->group_->conf().timeout;

    if (ngx_current_msec - link->heard_ >= timeout) {
        link->lost("chat worker does not answer", NGX_ETIMEDOUT);
        return;
    }
    if (link->ready()) {
        link->proved();
    }
    link->send(relay::Kind::Ping, 0, 0, ngx_current_msec);
    ngx_add_timer(event, std::min(kPingInterval, timeout / 2));
}

void RelayLink::onRetry(ngx_event_t* event)
{
    timerLink(event)->connect();
}

void RelayLink::closeSocket()
{
    if (pulse_.timer_set) {
        ngx_del_timer(&pulse_);
    }
    if (connection_ != nullptr) {
        ngx_close_connection(connection_);
        connection_ = nullptr;
    }
}

void RelayLink::lost(const char* why, ngx_err_t err)
{
    bool wasUp = state_ == State::Up;

    if (!failed_) {
        failed_ = true;
        ngx_log_error(NGX_LOG_ERR, &log_, err, "chat worker is away: %s", why);
    }

    ++counters().relayFailures;
    closeSocket();
    state_ = State::Down;
    giveUp_ = false;

    if (wasUp) {
        --counters().relays;
        group_->linkDown(this);
        account();
    }
    retryLater();
}

// Doubles from attempt to attempt; the jitter keeps the nginx workers apart.
void RelayLink::retryLater()
{
    backoff_ =
        backoff_ == 0 ? kFirstBackoff : std::min(2 * backoff_, kLastBackoff);
    auto jitter = static_cast<ngx_msec_t>(ngx_random()) % (backoff_ / 2 + 1);
    ngx_add_timer(&retry_, backoff_ / 2 + jitter);
}

void RelayLink::close()
{
    if (state_ == State::Up) {
        --counters().relays;
        state_ = State::Down;
        group_->linkDown(this);
        account();
    }
    state_ = State::Down;
    closeSocket();
    if (retry_.timer_set) {
        ngx_del_timer(&retry_);
    }
}

}  // namespace chat
