// The bytes between an nginx worker and a chat-worker: constants and layouts.
// docs/relay-protocol.md says the same in prose; both change together.
//
// All integers are little-endian. A frame is a fixed header and a payload:
//
//   0       4    5     6     8               16
//   +-------+----+-----+-----+---------------+----------- - -
//   |length |kind|flags|code |      id       | payload (length bytes)
//   +-------+----+-----+-----+---------------+----------- - -
//
// This header depends on nothing but the language (C++17: the nginx side is
// built with the compiler's default standard).

#pragma once

#include <cstddef>
#include <cstdint>

namespace chat::relay {

inline constexpr std::uint16_t kVersion = 1;
inline constexpr std::uint32_t kMagic = 0x54414843;  // "CHAT" on the wire
inline constexpr std::size_t kHeaderSize = 16;

// What a reader accepts before the peer's HELLO has told its own bound; a
// HELLO is never longer.
inline constexpr std::uint32_t kMaxHelloPayload = 512;

// The largest payload that may be configured at all.
inline constexpr std::uint32_t kMaxPayload = 64U << 20;

// The least that a HELLO may announce: any ATTACH, IDENTIFY and CLOSE fits.
inline constexpr std::uint32_t kMinPayload = 2048;

// A user's name in ATTACH and IDENTIFY.
inline constexpr std::size_t kMaxUser = 1024;

// Direction: N = nginx worker, W = chat-worker.
enum class Kind : std::uint8_t {
    Hello = 1,      // N<->W  first frame each way
    Attach = 2,     // N->W   a session exists; payload: AttachFields
    Message = 3,    // N->W   a client's message, confirmed by Receipt
    Detach = 4,     // N->W   the session is gone; code: RFC 6455 close code
    Send = 5,       // W->N   one message to one session
    Fanout = 6,     // W->N   one message to many; see FanoutFields
    Close = 7,      // W->N   close the session; code, payload: reason
    Identify = 8,   // W->N   the session's user is now known; payload: user
    Receipt = 9,    // W->N   id: Message frames dealt with, cumulative
    Written = 10,   // N->W   answers kReportWritten
    Request = 11,   // N->W   id: request id; see RequestFields
    Response = 12,  // W->N   id: request id, code: HTTP status
    Ping = 13,      // N<->W  id is echoed by Pong
    Pong = 14,      // N<->W
};

// Header flags; the same bit means different things for different kinds.
// Message, Send, Fanout:
inline constexpr std::uint8_t kBinary = 0x01;
// Send:
inline constexpr std::uint8_t kReportWritten = 0x02;
inline constexpr std::uint8_t kHasMark = 0x04;  // payload = u64 mark, message
// Attach:
inline constexpr std::uint8_t kTrustInit = 0x01;  // chat_trust_init on
inline constexpr std::uint8_t kResumed = 0x02;    // was attached before
inline constexpr std::uint8_t kClaimed = 0x04;    // user came by Identify
// Attach, Identify:
inline constexpr std::uint8_t kNumber = 0x08;  // user is a JSON integer

// HELLO: code = kVersion, id = instance (random, new at each process start).
//   u32 magic, u32 max_payload that the sender of this HELLO accepts,
//   then the sender's name for log lines (<= 255 bytes of UTF-8)
inline constexpr std::size_t kHelloFixed = 8;
inline constexpr std::size_t kMaxHelloName = 255;

// ATTACH: u64 mark, u32 heartbeat timeout (ms), u16 user length,
//   u16 address length, user, address (text form of the client's address)
inline constexpr std::size_t kAttachFixed = 16;

// FANOUT: u32 body length, u32 recipient count, u16 hole count, u16 zero,
//   u32 hole offset x hole count (into body, ascending), body, then for each
//   recipient: u64 mark, u16 session count, u16 hole length x hole count,
//   u64 connection id x session count, the hole texts one after another
inline constexpr std::size_t kFanoutFixed = 12;
inline constexpr std::uint16_t kMaxHoles = 256;

// REQUEST: u16 path length, path, body.  RESPONSE: u16 content type length,
//   content type, body.

// CLOSE: what fits into a WebSocket close frame beside the code.
inline constexpr std::size_t kMaxReason = 123;

// Connection ids: low 32 bits are an index that the nginx worker uses again,
// high 32 bits a generation that makes the id unique for the life of the
// relay connection. Both sides may index a table with the low half.
inline constexpr std::uint32_t slotOf(std::uint64_t id)
{
    return static_cast<std::uint32_t>(id);
}

}  // namespace chat::relay
