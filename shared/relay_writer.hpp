// Relay frames, appended to a byte string. Nothing here checks the peer's
// max_payload: the caller knows it from Reader::peerMaxPayload(). Texts longer
// than their length field allows are cut.
//
// The only exception that can leave is std::bad_alloc of the string.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "shared/relay_format.hpp"
#include "shared/relay_payload.hpp"

namespace chat::relay {

// Writes the 16 header bytes at `to`, for a sender that has the payload
// elsewhere (writev) or fills it in itself.
void storeHeader(char* to, Kind kind, std::uint8_t flags, std::uint16_t code,
                 std::uint64_t id, std::uint32_t length);

// Any frame whose payload is at hand.
void appendFrame(std::string* out, Kind kind, std::uint8_t flags,
                 std::uint16_t code, std::uint64_t id,
                 std::string_view payload = {});

// Both ways.
void appendHello(std::string* out, const Hello& hello);
void appendPing(std::string* out, std::uint64_t id);
void appendPong(std::string* out, std::uint64_t id);

// nginx to worker.
void appendAttach(std::string* out, std::uint64_t id, const Attach& attach);
void appendMessage(std::string* out, std::uint64_t id, std::string_view message,
                   bool binary);
void appendDetach(std::string* out, std::uint64_t id, std::uint16_t code);
void appendWritten(std::string* out, std::uint64_t id);
void appendRequest(std::string* out, std::uint64_t request,
                   std::string_view path, std::string_view body);

// Worker to nginx. SEND flags: kBinary, kReportWritten; kHasMark is set when
// mark is not 0. IDENTIFY with number: the user is a JSON integer.
void appendSend(std::string* out, std::uint64_t id, std::string_view message,
                std::uint8_t flags = 0, std::uint64_t mark = 0);
void appendClose(std::string* out, std::uint64_t id, std::uint16_t code,
                 std::string_view reason);
void appendIdentify(std::string* out, std::uint64_t id, std::string_view user,
                    bool number);
void appendReceipt(std::string* out, std::uint64_t count);
void appendResponse(std::string* out, std::uint64_t request,
                    std::uint16_t status, std::string_view contentType,
                    std::string_view body);

}  // namespace chat::relay
