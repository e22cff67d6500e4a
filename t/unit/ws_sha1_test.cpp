#include "ngx_chat_module/ws/sha1.hpp"

#include <cstdio>
#include <string>

#include "t/unit/ws_test_util.hpp"

namespace {

std::string hex(std::string_view message)
{
    unsigned char digest[chat::ws::kSha1Size];
    chat::ws::sha1(message, digest);
    std::string out;
    for (unsigned char byte : digest) {
        char pair[3];
        std::snprintf(pair, sizeof(pair), "%02x", byte);
        out += pair;
    }
    return out;
}

}  // namespace

// FIPS 180 and RFC 3174 vectors.
START_TEST(knownDigests)
{
    EXPECT_EQ(hex(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(hex("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(hex(std::string(1000000, 'a')),
              "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
}
END_TEST

// Padding changes shape at 55, 56 and 64 bytes.
START_TEST(lengthsAroundTheBlock)
{
    EXPECT_EQ(hex(std::string(55, 'a')),
              "c1c8bbdc22796e28c0e15163d20899b65621d65a");
    EXPECT_EQ(hex(std::string(56, 'a')),
              "c2db330f6083854c99d4b5bfb6e8f29f201be699");
    EXPECT_EQ(hex(std::string(63, 'a')),
              "03f09f5b158a7a8cdad920bddc29b81c18a551f5");
    EXPECT_EQ(hex(std::string(64, 'a')),
              "0098ba824b5c16427bd7a1122a5a442a25ec644d");
    EXPECT_EQ(hex(std::string(65, 'a')),
              "11655326c708d70319be2610e8a57d9a5b959d3b");
}
END_TEST

int main()
{
    return wstest::runTests("ws sha1", {knownDigests, lengthsAroundTheBlock});
}
