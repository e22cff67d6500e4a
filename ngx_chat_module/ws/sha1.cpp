#include "sha1.hpp"

#include <cstdint>
#include <cstring>

namespace chat::ws {
namespace {

constexpr std::size_t kBlock = 64;
constexpr std::size_t kLengthField = 8;

std::uint32_t rotate(std::uint32_t value, int by)
{
    return value << by | value >> (32 - by);
}

void expand(const unsigned char* block, std::uint32_t (&words)[80])
{
    for (int i = 0; i < 16; ++i, block += 4) {
        words[i] = std::uint32_t{block[0]} << 24 |
                   std::uint32_t{block[1]} << 16 |
                   std::uint32_t{block[2]} << 8 | block[3];
    }
    for (int i = 16; i < 80; ++i) {
        words[i] = rotate(
            words[i - 3] ^ words[i - 8] ^ words[i - 14] ^ words[i - 16], 1);
    }
}

void addBlock(std::uint32_t (&hash)[5], const unsigned char* block)
{
    std::uint32_t words[80];
    expand(block, words);

    std::uint32_t a = hash[0], b = hash[1], c = hash[2], d = hash[3],
                  e = hash[4];
    for (int i = 0; i < 80; ++i) {
        std::uint32_t f;
        if (i < 20) {
            f = ((b & c) | (~b & d)) + 0x5a827999U;
        } else if (i < 40) {
            f = (b ^ c ^ d) + 0x6ed9eba1U;
        } else if (i < 60) {
            f = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdcU;
        } else {
            f = (b ^ c ^ d) + 0xca62c1d6U;
        }
        std::uint32_t next = rotate(a, 5) + f + e + words[i];
        e = d;
        d = c;
        c = rotate(b, 30);
        b = a;
        a = next;
    }
    hash[0] += a;
    hash[1] += b;
    hash[2] += c;
    hash[3] += d;
    hash[4] += e;
}

}  // namespace

void sha1(std::string_view message, unsigned char out[kSha1Size])
{
    std::uint32_t hash[5] = {0x67452301U, 0xefcdab89U, 0x98badcfeU, 0x10325476U,
                             0xc3d2e1f0U};
    std::uint64_t bits = std::uint64_t{message.size()} * 8;

    while (message.size() >= kBlock) {
        addBlock(hash, reinterpret_cast<const unsigned char*>(message.data()));
        message.remove_prefix(kBlock);
    }
    unsigned char last[2 * kBlock] = {};
    if (!message.empty()) {
        std::memcpy(last, message.data(), message.size());
    }
    last[message.size()] = 0x80;
    bool one = message.size() + 1 + kLengthField <= kBlock;
    unsigned char* end = last + (one ? kBlock : 2 * kBlock);
    for (unsigned char* p = end; bits != 0; bits >>= 8) {
        *--p = static_cast<unsigned char>(bits & 0xff);
    }
    for (unsigned char* p = last; p != end; p += kBlock) {
        addBlock(hash, p);
    }
    for (std::size_t i = 0; i < kSha1Size; ++i) {
        out[i] = static_cast<unsigned char>(hash[i / 4] >> (24 - i % 4 * 8));
    }
}

}  // namespace chat::ws
