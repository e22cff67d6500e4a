// Frames that a server sends (RFC 6455 section 5.2, never masked) and the
// names that decoder and encoder share.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chat::ws {

enum class Opcode : std::uint8_t {
    Continuation = 0,
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
};

inline constexpr unsigned char kFin = 0x80;
inline constexpr unsigned char kRsv1 = 0x40;  // RFC 7692: message is deflated
inline constexpr unsigned char kRsv2 = 0x20;
inline constexpr unsigned char kRsv3 = 0x10;
inline constexpr unsigned char kOpcodeBits = 0x0f;
inline constexpr unsigned char kMaskBit = 0x80;
inline constexpr unsigned char kLengthBits = 0x7f;
inline constexpr unsigned char kLength16 = 126;
inline constexpr unsigned char kLength64 = 127;

inline constexpr std::size_t kMaxServerHeader = 10;
inline constexpr std::size_t kMaxClientHeader = 14;
inline constexpr std::size_t kMaxControlPayload = 125;
inline constexpr std::size_t kMaxCloseReason = kMaxControlPayload - 2;

constexpr bool isControl(Opcode opcode)
{
    return (static_cast<unsigned>(opcode) & 0x08U) != 0;
}

// Bytes of the header in front of a server's payload: 2, 4 or 10.
constexpr std::size_t headerSize(std::uint64_t payload)
{
    return payload < 126 ? 2 : payload <= 0xffff ? 4 : kMaxServerHeader;
}

// Writes the header of an unfragmented server frame to `out`, which has room
// for headerSize(payload) bytes; returns that number. `deflated` sets RSV1.
std::size_t encodeHeader(unsigned char* out, Opcode opcode,
                         std::uint64_t payload, bool deflated = false);

// Writes a close frame's payload to `out` (room for kMaxControlPayload bytes)
// and returns its size. A code that must not stand on the wire (0, 1005,
// 1006, ...) gives the empty payload. A reason that is too long is cut between
// two UTF-8 characters; the reason is otherwise taken as it is and must be
// UTF-8.
std::size_t encodeClosePayload(unsigned char* out, std::uint16_t code,
                               std::string_view reason);

// A whole close frame (header and payload) to `out`, which has room for
// kMaxControlPayload + 2 bytes; returns its size.
std::size_t encodeClose(unsigned char* out, std::uint16_t code,
                        std::string_view reason);

}  // namespace chat::ws
