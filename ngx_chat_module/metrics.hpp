// Counters. Each nginx worker adds to a block of its own without locks; the
// blocks stand in a shared zone where a chat_status location exists, and in
// the process's memory otherwise.

#pragma once

#include <cstddef>
#include <cstdint>

#include "ngx_chat_module/ngx.hpp"

namespace chat {

// Why a session ended.
enum class Cause : std::uint8_t {
    Client,        // the client's close frame
    Gone,          // end of file without a close frame
    SocketError,   // reset, time-out of TCP, failed write
    Worker,        // CLOSE from chat-worker
    Heartbeat,     // nothing received for chat_heartbeat_timeout
    SlowConsumer,  // chat_send_buffer is full
    Protocol,      // RFC 6455 or 7692 violated
    TooBig,        // over chat_max_message, or what the worker takes
    Fragments,     // over chat_max_fragments
    FrameRate,     // over chat_max_frame_rate
    UserLimit,     // over chat_max_user_connections
    Drain,         // nginx reloads or quits
    Shutdown,      // worker_shutdown_timeout is over
    Internal,      // out of memory
};

inline constexpr std::size_t kCauses = 14;

// 1000 to 1014 one by one, then 3000-3999, 4000-4999 and all others.
inline constexpr std::size_t kCloseSlots = 18;
std::size_t closeSlot(std::uint16_t code);

struct Counters {
    // Gauges: what is there now.
    std::uint64_t connections;
    std::uint64_t connectionsClosing;
    std::uint64_t connectionsParked;
    std::uint64_t relays;            // connections to chat-workers
    std::uint64_t relayUnconfirmed;  // bytes
    std::uint64_t relayUnsent;       // bytes
    std::uint64_t unattached;        // sessions without a chat-worker

    // Totals: only ever added to.
    std::uint64_t handshakes;
    std::uint64_t handshakesRefused;
    std::uint64_t handshakesForbidden;
    std::uint64_t messagesIn;
    std::uint64_t messagesOut;
    std::uint64_t framesIn;
    std::uint64_t bytesIn;   // from the socket, after TLS
    std::uint64_t bytesOut;  // to the socket, before TLS
    std::uint64_t sends;     // system calls that wrote
    std::uint64_t textPings;
    std::uint64_t pingsIn;
    std::uint64_t pingsOut;
    std::uint64_t pongsIn;
    std::uint64_t parked;
    std::uint64_t limitedUsers;  // handshakes over chat_max_user_connections
    std::uint64_t relayConnects;
    std::uint64_t relayFailures;
    std::uint64_t relayMessages;
    std::uint64_t relayReplayed;
    std::uint64_t fanouts;
    std::uint64_t deflateIn;   // bytes before compression
    std::uint64_t deflateOut;  // and after it
    std::uint64_t inflateIn;
    std::uint64_t inflateOut;
    std::uint64_t closes[kCauses][kCloseSlots];
};

// Where the totals begin.
inline constexpr std::size_t kGaugesEnd = offsetof(Counters, handshakes);

// The block of this process.
Counters& counters();

// Makes counters() add to `block`.
void useCounters(Counters* block);

// Short names for logs, labels and $chat_closed_by; never null.
const char* causeName(Cause cause);

// Ended by a limit that an operator has set: chat_limit_log_level.
bool isLimit(Cause cause);

// "client", "worker" or "nginx"
const char* closedBy(Cause cause);

}  // namespace chat
