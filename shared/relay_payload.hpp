// Payloads of the relay frames that have fields of their own, as structs.
// Decoded strings are views into the payload and live as long as it does.
// Every decode accepts exactly what its encoder can produce: a payload with
// bytes missing or left over is malformed, and the relay connection that
// brought it should be closed.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/relay_format.hpp"

namespace chat::relay {

struct Frame {
    Kind kind = Kind::Hello;
    std::uint8_t flags = 0;
    std::uint16_t code = 0;
    std::uint64_t id = 0;
    std::string_view payload;

    bool has(std::uint8_t flag) const { return (flags & flag) != 0; }
};

struct Hello {
    std::uint64_t instance = 0;    // random, new at each process start
    std::uint32_t maxPayload = 0;  // what the sender of the HELLO accepts
    std::string_view name;         // for log lines, at most 255 bytes
};

struct Attach {
    std::uint64_t mark = 0;  // highest inbox sequence that went to the session
    std::uint32_t heartbeatTimeoutMs = 0;
    bool trustInit = false;    // the session may name its user itself
    bool resumed = false;      // was attached to a relay connection before
    bool claimed = false;      // user came by IDENTIFY
    bool number = false;       // user is a JSON integer
    std::string_view user;     // empty: not known yet; at most 65535 bytes
    std::string_view address;  // of the client, text; at most 65535 bytes
};

// SEND: the message and, with kHasMark, the mark (else 0).
struct Send {
    std::uint64_t mark = 0;
    std::string_view message;
};

struct Request {
    std::string_view path;  // at most 65535 bytes
    std::string_view body;
};

struct Response {
    std::string_view contentType;  // at most 65535 bytes
    std::string_view body;
};

// Each returns false when the payload is malformed; *out is then unspecified.
// The frame must be of the matching kind. decode(Hello) checks the magic but
// not the version, so that the caller can tell the two faults apart.
bool decode(const Frame& frame, Hello* out);
bool decode(const Frame& frame, Attach* out);
bool decode(const Frame& frame, Send* out);
bool decode(const Frame& frame, Request* out);
bool decode(const Frame& frame, Response* out);

// The smallest payload that a frame of this kind may have.
std::size_t minPayload(Kind kind, std::uint8_t flags);

}  // namespace chat::relay
