#include "ngx_chat_module/ws/assembler.hpp"

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;
using namespace wstest;

START_TEST(messagesAndControlFrames)
{
    EXPECT_EQ(run(text("Hello")), "text Hello");
    EXPECT_EQ(run(frame(0x82, "abc")), "binary abc");
    EXPECT_EQ(run(text("")), "text ");
    EXPECT_EQ(run(frame(0x89, "x") + frame(0x8a, "y")), "ping x | pong y");
    EXPECT_EQ(run(frame(0x01, "He") + frame(0x89, "p") + frame(0x00, "l") +
                  frame(0x80, "lo")),
              "ping p | text Hello");
    EXPECT_EQ(run(close(1000, "bye") + text("late")), "close 1000 bye");
    EXPECT_EQ(run(frame(0x88, "")), "close 1005 ");
}
END_TEST

int main()
{
    return wstest::runTests("ws assembler", {messagesAndControlFrames});
}
