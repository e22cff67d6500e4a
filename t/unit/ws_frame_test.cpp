#include "ngx_chat_module/ws/frame.hpp"

#include <string>

#include "ngx_chat_module/ws/close_code.hpp"
#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;
using wstest::bytes;

namespace {

std::string header(Opcode opcode, std::uint64_t payload, bool deflated = false)
{
    unsigned char out[kMaxServerHeader];
    std::size_t size = encodeHeader(out, opcode, payload, deflated);
    ck_assert_uint_eq(size, headerSize(payload));
    return std::string(reinterpret_cast<char*>(out), size);
}

std::string closePayload(std::uint16_t code, std::string_view reason)
{
    unsigned char out[kMaxControlPayload];
    return std::string(reinterpret_cast<char*>(out),
                       encodeClosePayload(out, code, reason));
}

}  // namespace

START_TEST(headersAtEveryBoundary)
{
    EXPECT_EQ(header(Opcode::Text, 0), bytes({0x81, 0}));
    EXPECT_EQ(header(Opcode::Binary, 1), bytes({0x82, 1}));
    EXPECT_EQ(header(Opcode::Pong, 125), bytes({0x8a, 125}));
    EXPECT_EQ(header(Opcode::Text, 126), bytes({0x81, 126, 0, 126}));
    EXPECT_EQ(header(Opcode::Text, 127), bytes({0x81, 126, 0, 127}));
    EXPECT_EQ(header(Opcode::Text, 65535), bytes({0x81, 126, 0xff, 0xff}));
    EXPECT_EQ(header(Opcode::Text, 65536),
              bytes({0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}));
    EXPECT_EQ(header(Opcode::Text, 0x123456789aULL),
              bytes({0x81, 127, 0, 0, 0, 0x12, 0x34, 0x56, 0x78, 0x9a}));
    EXPECT_EQ(header(Opcode::Text, 5, true), bytes({0xc1, 5}));
    EXPECT_EQ(header(Opcode::Ping, 0), bytes({0x89, 0}));
}
END_TEST

START_TEST(closePayloadOfEveryCode)
{
    for (unsigned code = 0; code <= 0xffff; ++code) {
        bool allowed = (code >= 1000 && code <= 1003) ||
                       (code >= 1007 && code <= 1014) ||
                       (code >= 3000 && code <= 4999);
        auto value = static_cast<std::uint16_t>(code);
        ck_assert_int_eq(closeCodeAllowed(value), allowed);
        std::string wanted = allowed ? bytes({static_cast<int>(code >> 8),
                                              static_cast<int>(code & 0xff)}) +
                                           "why"
                                     : std::string();
        EXPECT_EQ(closePayload(value, "why"), wanted);
    }
}
END_TEST

START_TEST(longReasonIsCutBetweenCharacters)
{
    std::string reason(123, 'r');
    EXPECT_EQ(closePayload(1000, reason), bytes({3, 0xe8}) + reason);
    EXPECT_EQ(closePayload(1000, reason + "s"), bytes({3, 0xe8}) + reason);

    for (std::size_t lead = 119; lead <= 123; ++lead) {
        for (std::string_view character :
             {"\xc3\xa9", "\xe6\x8e\xa5", "\xf0\x9f\x98\x80"}) {
            std::string kept(lead, 'r');
            std::string text = kept + std::string(character) + "tail!";
            if (lead + character.size() <= 123) {
                kept = text.substr(0, 123);
            }
            EXPECT_EQ(closePayload(1000, text), bytes({3, 0xe8}) + kept);
        }
    }
}
END_TEST

START_TEST(wholeCloseFrame)
{
    unsigned char out[kMaxControlPayload + 2];
    std::size_t size = encodeClose(out, kCloseServiceRestart, "reload");
    EXPECT_EQ(std::string(reinterpret_cast<char*>(out), size),
              bytes({0x88, 8, 3, 0xf4}) + "reload");
    size = encodeClose(out, kCloseNoStatus, "ignored");
    EXPECT_EQ(std::string(reinterpret_cast<char*>(out), size),
              bytes({0x88, 0}));
    ck_assert_uint_eq(encodeClose(out, 1000, std::string(500, 'x')),
                      sizeof(out));
}
END_TEST

int main()
{
    return wstest::runTests(
        "ws frame", {headersAtEveryBoundary, closePayloadOfEveryCode,
                     longReasonIsCutBetweenCharacters, wholeCloseFrame});
}
