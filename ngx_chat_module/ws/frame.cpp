#include "frame.hpp"

#include <cstring>

#include "close_code.hpp"

namespace chat::ws {
namespace {

void putBigEndian(unsigned char* out, std::uint64_t value, std::size_t size)
{
    for (std::size_t i = size; i-- > 0; value >>= 8) {
        out[i] = static_cast<unsigned char>(value & 0xff);
    }
}

// The longest prefix of at most `limit` bytes that does not end inside a
// UTF-8 character.
std::size_t cutUtf8(std::string_view text, std::size_t limit)
{
    if (text.size() <= limit) {
        return text.size();
    }
    std::size_t size = limit;
    while (size > 0 &&
           (static_cast<unsigned char>(text[size]) & 0xc0) == 0x80) {
        --size;
    }
    return size;
}

}  // namespace

std::size_t encodeHeader(unsigned char* out, Opcode opcode,
                         std::uint64_t payload, bool deflated)
{
    out[0] = static_cast<unsigned char>(kFin | (deflated ? kRsv1 : 0) |
                                        static_cast<unsigned>(opcode));
    switch (headerSize(payload)) {
    case 2:
        out[1] = static_cast<unsigned char>(payload);
        return 2;
    case 4:
        out[1] = kLength16;
        putBigEndian(out + 2, payload, 2);
        return 4;
    default:
        out[1] = kLength64;
        putBigEndian(out + 2, payload, 8);
        return kMaxServerHeader;
    }
}

std::size_t encodeClosePayload(unsigned char* out, std::uint16_t code,
                               std::string_view reason)
{
    if (!closeCodeAllowed(code)) {
        return 0;
    }
    putBigEndian(out, code, 2);
    std::size_t size = cutUtf8(reason, kMaxCloseReason);
    if (size != 0) {
        std::memcpy(out + 2, reason.data(), size);
    }
    return size + 2;
}

std::size_t encodeClose(unsigned char* out, std::uint16_t code,
                        std::string_view reason)
{
    std::size_t size = encodeClosePayload(out + 2, code, reason);
    return encodeHeader(out, Opcode::Close, size) + size;
}

}  // namespace chat::ws
