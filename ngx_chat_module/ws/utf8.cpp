#include "utf8.hpp"

#include <cstring>

namespace chat::ws {
namespace {

inline std::uint64_t load64(const unsigned char* data)
{
    std::uint64_t word;
    std::memcpy(&word, data, sizeof(word));
    return word;
}

inline bool isTail(unsigned char byte)
{
    return (byte & 0xc0) == 0x80;
}

inline const unsigned char* skipAscii(const unsigned char* data,
                                      const unsigned char* end)
{
    constexpr std::uint64_t kHighBits = 0x8080808080808080U;

    while (end - data >= 16 &&
           ((load64(data) | load64(data + 8)) & kHighBits) == 0) {
        data += 16;
    }
    while (data != end && *data < 0x80) {
        ++data;
    }
    return data;
}

// Skips valid characters of two and three bytes as long as at least three
// bytes are left; anything else, good or bad, is left to the byte-wise check.
inline const unsigned char* skipShort(const unsigned char* data,
                                      const unsigned char* end)
{
    while (end - data >= 3) {
        unsigned lead = data[0];
        if (lead >= 0xc2 && lead <= 0xdf && isTail(data[1])) {
            data += 2;
            continue;
        }
        if ((lead & 0xf0) != 0xe0 || !isTail(data[1]) || !isTail(data[2])) {
            break;
        }
        // The 11 bits that tell overlong forms (below U+0800) and surrogates
        // (U+D800 to U+DFFF) from the rest.
        unsigned top = ((lead & 0x0fU) << 1) | ((data[1] & 0x20U) >> 5);
        if (top == 0 || top == 27) {
            break;
        }
        data += 3;
    }
    return data;
}

}  // namespace

bool Utf8Checker::startCharacter(unsigned char lead)
{
    low_ = 0x80;
    high_ = 0xbf;
    if (lead < 0x80) {
        pending_ = 0;
    } else if (lead >= 0xc2 && lead <= 0xdf) {
        pending_ = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
        pending_ = 2;
        low_ = lead == 0xe0 ? 0xa0 : 0x80;
        high_ = lead == 0xed ? 0x9f : 0xbf;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
        pending_ = 3;
        low_ = lead == 0xf0 ? 0x90 : 0x80;
        high_ = lead == 0xf4 ? 0x8f : 0xbf;
    } else {
        pending_ = kInvalid;
        return false;
    }
    return true;
}

bool Utf8Checker::feedByte(unsigned char byte)
{
    if (pending_ == 0) {
        return startCharacter(byte);
    }
    if (byte < low_ || byte > high_) {
        pending_ = kInvalid;
        return false;
    }
    --pending_;
    low_ = 0x80;
    high_ = 0xbf;
    return true;
}

bool Utf8Checker::feed(const unsigned char* data, std::size_t size)
{
    if (pending_ == kInvalid) {
        return false;
    }
    const unsigned char* end = data + size;

    while (data != end) {
        if (pending_ == 0) {
            data = skipAscii(data, end);
            data = skipShort(data, end);
            if (data == end) {
                break;
            }
        }
        if (!feedByte(*data++)) {
            return false;
        }
    }
    return true;
}

bool isUtf8(std::string_view text)
{
    Utf8Checker checker;
    return checker.feed(reinterpret_cast<const unsigned char*>(text.data()),
                        text.size()) &&
           checker.complete();
}

}  // namespace chat::ws
