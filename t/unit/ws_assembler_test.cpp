#include "ngx_chat_module/ws/assembler.hpp"

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;
using namespace wstest;

namespace {

ReceiveOptions limited(std::uint32_t maxMessage, std::uint32_t maxFragments = 0)
{
    ReceiveOptions options;
    options.limits.maxMessage = maxMessage;
    options.limits.maxFragments = maxFragments;
    return options;
}

}  // namespace

START_TEST(messagesAndControlFrames)
{
    EXPECT_EQ(run(text("Hello")), "text Hello");
    EXPECT_EQ(run(frame(0x82, "abc")), "binary abc");
    EXPECT_EQ(run(text("")), "text ");
    EXPECT_EQ(run(frame(0x82, "")), "binary ");
    EXPECT_EQ(run(frame(0x89, "x") + frame(0x8a, "y")), "ping x | pong y");
    EXPECT_EQ(run(frame(0x89, "") + frame(0x8a, "")), "ping  | pong ");
    EXPECT_EQ(run(text("a") + text("b") + frame(0x82, "c")),
              "text a | text b | binary c");
    EXPECT_EQ(run(frame(0x82, bytes({0xff, 0xc0, 0x80}))),
              "binary \xff\xc0\x80");
}
END_TEST

START_TEST(fragments)
{
    EXPECT_EQ(run(frame(0x01, "He") + frame(0x00, "l") + frame(0x80, "lo")),
              "text Hello");
    EXPECT_EQ(run(frame(0x02, "") + frame(0x00, "") + frame(0x80, "")),
              "binary ");
    EXPECT_EQ(run(frame(0x01, "") + frame(0x00, "") + frame(0x80, "end")),
              "text end");
    EXPECT_EQ(run(frame(0x01, "start") + frame(0x80, "")), "text start");
    EXPECT_EQ(run(frame(0x01, "He") + frame(0x89, "p") + frame(0x00, "l") +
                  frame(0x8a, "q") + frame(0x80, "lo") + text("next")),
              "ping p | pong q | text Hello | text next");
    EXPECT_EQ(run(frame(0x01, "He") + closeFrame(1001) + frame(0x80, "llo")),
              "close 1001 ");
    EXPECT_EQ(run(frame(0x01, "a") + text("b")),
              "fault 1002 new message inside a fragmented one");
    EXPECT_EQ(run(text("a") + frame(0x80, "b")),
              "text a | fault 1002 continuation without a message");
}
END_TEST

START_TEST(longMessagesAtTheLimit)
{
    for (std::uint32_t size : {125U, 126U, 127U, 65535U, 65536U}) {
        ReceiveOptions options = limited(size);
        std::string payload(size, 'x');
        payload.back() = '!';
        EXPECT_EQ(run(text(payload), options), "text " + payload);
        EXPECT_EQ(run(frame(0x01, payload.substr(0, size / 3)) +
                          frame(0x80, payload.substr(size / 3)),
                      options),
                  "text " + payload);
        EXPECT_EQ(run(text(payload + "x"), options),
                  "fault 1009 message too big");
        EXPECT_EQ(run(frame(0x01, payload) + frame(0x80, "x"), options),
                  "fault 1009 message too big");
    }
}
END_TEST

START_TEST(tooManyFragments)
{
    std::string two = frame(0x01, "a") + frame(0x00, "b");
    EXPECT_EQ(run(two + frame(0x80, "c"), limited(100, 3)), "text abc");
    EXPECT_EQ(run(two + frame(0x80, "c"), limited(100, 2)),
              "fault 1008 too many fragments");
}
END_TEST

START_TEST(closeFrames)
{
    EXPECT_EQ(run(frame(0x88, "")), "close 1005 ");
    EXPECT_EQ(run(frame(0x88, "\x03")), "fault 1002 close frame of one byte");
    EXPECT_EQ(run(closeFrame(1000)), "close 1000 ");
    EXPECT_EQ(run(closeFrame(4000, "\xe5\x86\x8d\xe8\xa7\x81")),
              "close 4000 \xe5\x86\x8d\xe8\xa7\x81");
    EXPECT_EQ(run(closeFrame(1000, std::string(123, 'r'))),
              "close 1000 " + std::string(123, 'r'));
    EXPECT_EQ(run(closeFrame(1000, std::string(124, 'r'))),
              "fault 1002 control frame too long");
    EXPECT_EQ(run(closeFrame(1000, "ab\xff")), "fault 1007 invalid UTF-8");
    EXPECT_EQ(run(closeFrame(1000, "ab\xe5\x86")), "fault 1007 invalid UTF-8");
    EXPECT_EQ(run(closeFrame(1000, "bye") + text("late") + bytes({0x83, 0xff})),
              "close 1000 bye");
}
END_TEST

START_TEST(everyCloseCode)
{
    ReceiveOptions options;
    for (int code = 0; code <= 0xffff; ++code) {
        bool allowed = (code >= 1000 && code <= 1003) ||
                       (code >= 1007 && code <= 1014) ||
                       (code >= 3000 && code <= 4999);
        EXPECT_EQ(joined(events(closeFrame(code), 0, options)),
                  allowed ? "close " + std::to_string(code) + " "
                          : "fault 1002 invalid close code");
    }
}
END_TEST

START_TEST(invalidUtf8)
{
    for (const char* bad : {"\xff", "\xc0\x80", "\xed\xa0\x80", "\xe6\x8e",
                            "\xf4\x90\x80\x80", "ab\x80"}) {
        std::string payload = std::string("\xe6\x8e\xa5") + bad;
        EXPECT_EQ(run(text(payload)), "fault 1007 invalid UTF-8");
        for (std::size_t cut = 0; cut <= payload.size(); ++cut) {
            EXPECT_EQ(run(frame(0x01, payload.substr(0, cut)) +
                          frame(0x80, payload.substr(cut))),
                      "fault 1007 invalid UTF-8");
        }
        EXPECT_EQ(run(frame(0x82, payload)), "binary " + payload);
    }
    // A character may be cut by a frame's end, but not by the message's.
    EXPECT_EQ(
        run(frame(0x01, "\xe6") + frame(0x00, "\x8e") + frame(0x80, "\xa5")),
        "text \xe6\x8e\xa5");
    EXPECT_EQ(run(text("a") + frame(0x01, "\xe6") + frame(0x80, "")),
              "text a | fault 1007 invalid UTF-8");
    // What was left open by one message does not count in the next.
    EXPECT_EQ(run(frame(0x82, "\xe6") + text("a")), "binary \xe6 | text a");
}
END_TEST

START_TEST(failsWithTheFirstBadByte)
{
    ReceiveOptions options;
    std::string stream =
        frame(0x01, std::string("abc\xed\xa0\x80") + std::string(1000, 'x'));
    std::size_t at = stream.size() - 1000 - 2;  // the a0 after ed
    for (std::size_t size = 0; size < at + 3; ++size) {
        std::vector<std::string> lines;
        Assembler assembler(&options);
        feedPiece(assembler, stream.substr(0, size), lines);
        ck_assert_int_eq(assembler.ended(), size > at);
        ck_assert_uint_eq(lines.size(), size > at ? 1 : 0);
    }
}
END_TEST

START_TEST(zeroCopyWhenTheMessageIsThere)
{
    ReceiveOptions options;
    Assembler assembler(&options);
    std::string stream =
        frame(0x01, "") + frame(0x80, "whole") + text("second");
    auto* pos = reinterpret_cast<unsigned char*>(stream.data());
    auto* end = pos + stream.size();
    for (const char* wanted : {"whole", "second"}) {
        Event event = assembler.next(pos, end);
        EXPECT_EQ(event.data, wanted);
        ck_assert(event.data.data() >= stream.data() &&
                  event.data.data() + event.data.size() <=
                      stream.data() + stream.size());
        ck_assert_uint_eq(held(assembler), 0);
        ck_assert_uint_eq(event.wire, event.data.size());
    }
    ck_assert(assembler.next(pos, end).type == Event::Type::None);
}
END_TEST

START_TEST(memoryFollowsWhatWasReceived)
{
    ReceiveOptions options = limited(1 << 30);
    Assembler assembler(&options);
    std::vector<std::string> lines;
    ck_assert_uint_le(sizeof(Assembler), 80);

    // A gigabyte declared, one byte given.
    std::string stream =
        bytes({0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0}) + std::string(4, '\0');
    feedPiece(assembler, stream, lines);
    ck_assert_uint_eq(held(assembler), 0);
    feedPiece(assembler, "x", lines);
    ck_assert_uint_le(held(assembler), 512);
    std::size_t given = 1;
    for (int i = 0; i < 200; ++i, given += 1000) {
        feedPiece(assembler, std::string(1000, 'x'), lines);
        ck_assert_uint_le(held(assembler), 2 * given + 2048);
    }
    ck_assert(lines.empty());
}
END_TEST

START_TEST(memoryGoesWithTheMessage)
{
    ReceiveOptions options = limited(100000);
    Assembler assembler(&options);
    std::vector<std::string> lines;
    std::string stream = frame(0x01, std::string(5000, 'x')) +
                         frame(0x89, "ping") +
                         frame(0x80, std::string(5000, 'y'));
    for (char c : stream) {
        feedPiece(assembler, std::string(1, c), lines);
    }
    ck_assert_uint_eq(lines.size(), 2);
    ck_assert_uint_eq(held(assembler), 0);

    // A control frame that came in two pieces, outside a message.
    std::string ping = frame(0x89, "12345");
    feedPiece(assembler, ping.substr(0, 8), lines);
    ck_assert_uint_ne(held(assembler), 0);
    feedPiece(assembler, ping.substr(8), lines);
    EXPECT_EQ(lines.back(), "ping 12345");
    ck_assert_uint_eq(held(assembler), 0);

    // A fault gives everything back.
    feedPiece(assembler, frame(0x01, std::string(5000, 'x')).substr(0, 3000),
              lines);
    ck_assert_uint_ne(held(assembler), 0);
    feedPiece(assembler, std::string(2014, 'x') + bytes({0xff}), lines);
    ck_assert(assembler.ended());
    ck_assert_uint_eq(held(assembler), 0);
}
END_TEST

START_TEST(countsFrames)
{
    ReceiveOptions options;
    Assembler assembler(&options);
    std::vector<std::string> lines;
    feedPiece(assembler,
              frame(0x01, "") + frame(0x00, "") + frame(0x89, "") +
                  frame(0x80, "") + text("x"),
              lines);
    ck_assert_uint_eq(assembler.frames(), 5);
}
END_TEST

START_TEST(compressionMustBeAgreed)
{
    EXPECT_EQ(run(frame(0xc1, "x")), "fault 1002 reserved bit set");
}
END_TEST

int main()
{
    return runTests(
        "ws assembler",
        {messagesAndControlFrames, fragments, longMessagesAtTheLimit,
         tooManyFragments, closeFrames, everyCloseCode, invalidUtf8,
         failsWithTheFirstBadByte, zeroCopyWhenTheMessageIsThere,
         memoryFollowsWhatWasReceived, memoryGoesWithTheMessage, countsFrames,
         compressionMustBeAgreed});
}
