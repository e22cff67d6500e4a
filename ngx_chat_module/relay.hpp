// One relay connection: this nginx worker to one chat-worker
// (docs/relay-protocol.md). It connects, reconnects with backoff, and knows
// frames; which session belongs to which link is the group's business.

#pragma once

#include <cstdint>
#include <string_view>

#include "ngx_chat_module/heartbeat.hpp"
#include "ngx_chat_module/journal.hpp"
#include "ngx_chat_module/ngx.hpp"
#include "shared/relay_reader.hpp"

namespace chat {

class RelayGroup;
struct Session;

class RelayLink {
  public:
    // Copies the address. False: no memory.
    bool init(RelayGroup* group, const ngx_http_upstream_rr_peer_t* peer,
              bool backup);

    void connect();
    bool up() const { return state_ == State::Up; }

    // Up, and the chat-worker has said what it takes.
    bool ready() const { return up() && reader_.helloSeen(); }
    bool backup() const { return backup_; }

    // The largest message that the chat-worker takes, once it is ready().
    std::size_t maxPayload() const;

    Journal& journal() { return journal_; }

    // Appends a frame; it leaves at the end of this turn. Without memory the
    // connection is given up: a lost frame must not go unnoticed.
    void send(relay::Kind kind, std::uint8_t flags, std::uint16_t code,
              std::uint64_t id, std::string_view payload = {});
    void attach(Session* session);

    // Sends what the socket takes.
    void flush();

    // This process is about to exit.
    void close();

    const ngx_str_t& name() const { return name_; }

    // Sessions attached here, and their number relative to the server's
    // weight, now and with some more or fewer.
    std::uint32_t sessions = 0;
    std::int64_t load() const { return loadWith(0); }
    std::int64_t loadWith(int more) const
    {
        return (std::int64_t{sessions} + more) * 1000 / weight_;
    }

    RelayLink* nextDirty = nullptr;
    bool dirty = false;

  private:
    enum class State : std::uint8_t { Down, Connecting, Up };

    // The largest payload that we take.
    static constexpr std::uint32_t kAccept = 16U << 20;

    static void onRead(ngx_event_t* event);
    static void onWrite(ngx_event_t* event);
    static void onRetry(ngx_event_t* event);
    static void onPulse(ngx_event_t* event);
    static u_char* logLink(ngx_log_t* log, u_char* buf, size_t len);

    // The connection
    void connected();
    void read();
    void lost(const char* why, ngx_err_t err);
    void closeSocket();
    void retryLater();
    void account();
    void proved();
    const char* overLimit() const;

    // Its frames
    void greet();
    bool handleAll(std::string_view bytes);
    bool handle(const relay::Frame& frame);
    bool handleSend(const relay::Frame& frame);
    void handleClose(const relay::Frame& frame);
    bool handleIdentify(const relay::Frame& frame);
    bool handleReceipt(const relay::Frame& frame);

    RelayGroup* group_ = nullptr;
    State state_ = State::Down;
    bool backup_ = false;
    bool failed_ = false;  // the failure was logged
    bool giveUp_ = false;  // no memory: to be closed at the end of this turn
    std::uint32_t weight_ = 1;
    ngx_str_t name_ = ngx_null_string;
    struct sockaddr* sockaddr_ = nullptr;
    socklen_t socklen_ = 0;

    ngx_connection_t* connection_ = nullptr;
    relay::Reader reader_{relay::Side::Nginx, 0};
    Journal journal_;
    ngx_msec_t heard_ = 0;         // when the last byte came
    ngx_msec_t progress_ = 0;      // when the last byte went
    ngx_msec_t backoff_ = 0;       // before the next attempt
    std::size_t unconfirmed_ = 0;  // as counted in the metrics
    std::size_t unsent_ = 0;

    ngx_event_t retry_ = {};
    ngx_event_t pulse_ = {};
    TimerData timerData_ = {};
    ngx_log_t log_ = {};
    ngx_log_t quiet_ = {};  // for nginx's own words on what we report ourselves
};

// Applies a FANOUT. False: malformed, nothing was sent.
bool applyFanout(RelayLink* link, const relay::Frame& frame);

}  // namespace chat
