// worker/log: levels, and one line for each call whatever is in it.

#include "worker/log.hpp"

#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include <check.h>  // last: it defines a macro named fail

namespace {

namespace log = chat::log;

// What a call writes to stderr.
template <typename Call>
std::string written(Call call)
{
    std::FILE* file = std::tmpfile();
    const int saved = dup(STDERR_FILENO);
    dup2(fileno(file), STDERR_FILENO);
    call();
    std::fflush(stderr);
    dup2(saved, STDERR_FILENO);
    close(saved);
    std::rewind(file);
    std::string text(8192, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    return text;
}

bool endsWith(const std::string& text, const std::string& tail)
{
    return text.size() >= tail.size() &&
           text.compare(text.size() - tail.size(), tail.size(), tail) == 0;
}

START_TEST(levels_have_names)
{
    log::Level level{};
    ck_assert(log::parseLevel("warn", level));
    ck_assert(level == log::Level::Warning);
    ck_assert(log::parseLevel("debug", level));
    ck_assert(level == log::Level::Debug);
    ck_assert(!log::parseLevel("WARN", level));
    ck_assert(!log::parseLevel("", level));
}
END_TEST

START_TEST(a_line_has_level_process_and_text)
{
    const auto text = written([] { log::warn("user {} has {}", "u1", 2); });
    ck_assert_msg(endsWith(text, "[warning] " + std::to_string(getpid()) +
                                     ": user u1 has 2\n"),
                  "%s", text.c_str());
}
END_TEST

START_TEST(less_important_lines_are_left_out)
{
    log::setLevel(log::Level::Warning);
    ck_assert(written([] { log::info("x"); }).empty());
    ck_assert(!log::enabled(log::Level::Info));
    ck_assert(!written([] { log::error("x"); }).empty());
    log::setLevel(log::Level::Debug);
    ck_assert(!written([] { log::debug("x"); }).empty());
}
END_TEST

START_TEST(what_others_wrote_cannot_break_the_line)
{
    const auto text = written(
        [] { log::error("name {}", "a\nb\r\x1b[31m\x7f\xe4\xb8\xad"); });
    ck_assert_msg(
        endsWith(text, ": name a\\x0ab\\x0d\\x1b[31m\\x7f\xe4\xb8\xad\n"), "%s",
        text.c_str());
}
END_TEST

START_TEST(a_line_is_bounded)
{
    const auto text =
        written([] { log::error("{}", std::string(100000, 'x')); });
    ck_assert_uint_lt(text.size(), 2200);
    ck_assert(endsWith(text, "xxx...\n"));
}
END_TEST

}  // namespace

int main()
{
    Suite* suite = suite_create("log");
    TCase* tests = tcase_create("log");
    tcase_add_test(tests, levels_have_names);
    tcase_add_test(tests, a_line_has_level_process_and_text);
    tcase_add_test(tests, less_important_lines_are_left_out);
    tcase_add_test(tests, what_others_wrote_cannot_break_the_line);
    tcase_add_test(tests, a_line_is_bounded);
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
