#include "ngx_chat_module/ws/assembler.hpp"

#include <check.h>

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;
using namespace wstest;

START_TEST(messagesAndControlFrames)
{
    ck_assert_str_eq(run(text("Hello")).c_str(), "text Hello");
    ck_assert_str_eq(run(frame(0x82, "abc")).c_str(), "binary abc");
    ck_assert_str_eq(run(text("")).c_str(), "text ");
    ck_assert_str_eq(run(frame(0x89, "x") + frame(0x8a, "y")).c_str(),
                     "ping x | pong y");
    ck_assert_str_eq(run(frame(0x01, "He") + frame(0x89, "p") +
                         frame(0x00, "l") + frame(0x80, "lo"))
                         .c_str(),
                     "ping p | text Hello");
    ck_assert_str_eq(run(close(1000, "bye") + text("late")).c_str(),
                     "close 1000 bye");
    ck_assert_str_eq(run(frame(0x88, "")).c_str(), "close 1005 ");
}
END_TEST

int main()
{
    Suite* suite = suite_create("ws assembler");
    TCase* tcase = tcase_create("assembler");
    tcase_add_test(tcase, messagesAndControlFrames);
    suite_add_tcase(suite, tcase);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
