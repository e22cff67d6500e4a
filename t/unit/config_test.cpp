// worker/config and worker/units: what is read, what is refused and how the
// error says where.

#include <cstdlib>
#include <string>

#include "worker/config.hpp"
#include "worker/units.hpp"

#include <check.h>  // last: it defines a macro named fail

namespace {

using chat::Config;
using chat::ConfigError;
using chat::parseConfig;
using std::chrono::milliseconds;

const std::string kSmallest =
    "[relay]\n"
    "listen = \"unix:/tmp/w.sock\"\n"
    "[membership]\n"
    "url = \"sqlite:/tmp/chat.db\"\n";

std::string errorOf(const std::string& text)
{
    try {
        (void)parseConfig(text, "w.toml");
    } catch (const ConfigError& error) {
        return error.what();
    }
    return "no error";
}

void expectError(const std::string& text, const std::string& part)
{
    const auto error = errorOf(text);
    ck_assert_msg(error.find(part) != std::string::npos,
                  "\"%s\" is not in \"%s\"", part.c_str(), error.c_str());
}

START_TEST(smallest_file_has_the_defaults)
{
    const Config config = parseConfig(kSmallest, "w.toml");
    ck_assert_uint_eq(config.relay.listen.size(), 1);
    ck_assert_str_eq(config.relay.listen[0].c_str(), "unix:/tmp/w.sock");
    ck_assert_str_eq(config.redis.inboxPrefix.c_str(), "WaitSendNews_");
    ck_assert(config.redis.inboxTtl == std::chrono::hours(24 * 90));
    ck_assert(config.chat.initInterval == milliseconds(2000));
    ck_assert(config.log.level == chat::log::Level::Info);
}
END_TEST

START_TEST(every_kind_of_value_is_read)
{
    const Config config = parseConfig(
        "[relay]\nlisten = [\"unix:/a\", \"127.0.0.1:9000\"]\n"
        "socket_mode = \"0600\"\nmax_queue = \"1m\"\n"
        "[redis]\nurl = \"unix:///r.sock\"\ntimeout = 3\n"
        "inbox_ttl = \"2h\"\nbatch = 10\n"
        "[membership]\nurl = \"postgresql://u@h/d\"\ncache_ttl = \"0\"\n"
        "[chat]\nreplay_bytes = 2048\ngap_wait = \"50ms\"\n"
        "[log]\nlevel = \"debug\"\n",
        "w.toml");
    ck_assert_uint_eq(config.relay.listen.size(), 2);
    ck_assert_uint_eq(config.relay.socketMode, 0600);
    ck_assert_uint_eq(config.relay.maxQueue, 1U << 20);
    ck_assert(config.redis.timeout == milliseconds(3000));
    ck_assert(config.redis.inboxTtl == std::chrono::hours(2));
    ck_assert_uint_eq(config.redis.batch, 10);
    ck_assert(config.membership.cacheTtl == milliseconds(0));
    ck_assert_uint_eq(config.chat.replayBytes, 2048);
    ck_assert(config.chat.gapWait == milliseconds(50));
    ck_assert(config.log.level == chat::log::Level::Debug);
}
END_TEST

START_TEST(errors_name_file_line_and_setting)
{
    expectError(kSmallest + "[redis]\nurll = \"x\"\n",
                "w.toml:6: unknown setting \"redis.urll\"");
    expectError(kSmallest + "[reddis]\nurl = \"x\"\n",
                "w.toml:5: unknown section \"reddis\"");
    expectError(kSmallest + "chat = 1\n", "w.toml:5: unknown setting");
    expectError("chat = 1\n" + kSmallest, "\"chat\" must be a section");
    expectError(kSmallest + "[redis]\ntimeout = \"2x\"\n",
                "w.toml:6: \"redis.timeout\" must be a time");
    expectError(kSmallest + "[redis]\ntimeout = -1\n", "must be a time");
    expectError(kSmallest + "[redis]\nbatch = 0\n", "between 1 and 2000");
    expectError(kSmallest + "[redis]\nbatch = \"1\"\n", "must be an integer");
    expectError(kSmallest + "[redis]\nurl = \"http://x\"\n",
                "must start with one of");
    expectError(kSmallest + "[log]\nlevel = \"loud\"\n", "\"debug\", \"info\"");
    expectError(kSmallest + "[chat\n", "w.toml:5: ");
    expectError("", "\"relay.listen\" is missing");
    expectError("[relay]\nlisten = \"unix:/a\"\n",
                "\"membership.url\" is missing");
}
END_TEST

START_TEST(listen_addresses_are_checked)
{
    for (const char* bad : {"\"unix:\"", "\"localhost\"", "\":80\"", "\"h:\"",
                            "\"h:8x\"", "[]", "7", "[1]"}) {
        const auto error =
            errorOf("[relay]\nlisten = " + std::string(bad) + "\n");
        ck_assert_msg(error.rfind("w.toml:2: ", 0) == 0, "%s gave %s", bad,
                      error.c_str());
    }
}
END_TEST

START_TEST(socket_mode_is_octal_text)
{
    expectError("[relay]\nsocket_mode = 660\n", "must be a string");
    expectError("[relay]\nsocket_mode = \"rw\"\n", "octal");
    expectError("[relay]\nsocket_mode = \"0888\"\n", "octal");
}
END_TEST

START_TEST(missing_file_is_an_error)
{
    try {
        (void)chat::loadConfig("/nonexistent/w.toml");
        ck_abort_msg("no error");
    } catch (const ConfigError& error) {
        ck_assert_str_eq(error.what(), "/nonexistent/w.toml: cannot be read");
    }
}
END_TEST

START_TEST(reload_takes_limits_and_names_the_rest)
{
    Config current = parseConfig(kSmallest, "w.toml");
    const Config fresh =
        parseConfig(kSmallest +
                        "query = \"SELECT 1\"\ncache_ttl = 1\n"
                        "[redis]\ntimeout = 9\n[log]\nlevel = \"warn\"\n"
                        "[chat]\nmax_pending = 3\n",
                    "w.toml");
    const auto kept = chat::reloadConfig(current, fresh);
    ck_assert_uint_eq(kept.size(), 2);
    ck_assert_str_eq(kept[0].c_str(), "[redis]");
    ck_assert(kept[1].rfind("[membership]", 0) == 0);
    ck_assert(current.redis.timeout == milliseconds(2000));
    ck_assert(current.membership.cacheTtl == milliseconds(1000));
    ck_assert_uint_eq(current.chat.maxPending, 3);
    ck_assert(current.log.level == chat::log::Level::Warning);
    ck_assert(chat::reloadConfig(current, current).empty());
}
END_TEST

START_TEST(sizes)
{
    ck_assert(chat::parseSize("0") == 0);
    ck_assert(chat::parseSize("64k") == 65536);
    ck_assert(chat::parseSize("2M") == 2U << 20);
    ck_assert(chat::parseSize("1g") == 1U << 30);
    for (const char* bad : {"", "k", "-1", "1kb", " 1", "1 ", "1.5k",
                            "99999999999999999999", "9999999999g"}) {
        ck_assert_msg(!chat::parseSize(bad), "%s", bad);
    }
}
END_TEST

START_TEST(times)
{
    ck_assert(chat::parseTime("20") == milliseconds(20000));
    ck_assert(chat::parseTime("500ms") == milliseconds(500));
    ck_assert(chat::parseTime("5m") == std::chrono::minutes(5));
    ck_assert(chat::parseTime("90d") == std::chrono::hours(24 * 90));
    for (const char* bad : {"", "s", "1x", "-5s", "1h30m"}) {
        ck_assert_msg(!chat::parseTime(bad), "%s", bad);
    }
}
END_TEST

}  // namespace

int main()
{
    Suite* suite = suite_create("config");
    TCase* tests = tcase_create("config");
    tcase_add_test(tests, smallest_file_has_the_defaults);
    tcase_add_test(tests, every_kind_of_value_is_read);
    tcase_add_test(tests, errors_name_file_line_and_setting);
    tcase_add_test(tests, listen_addresses_are_checked);
    tcase_add_test(tests, socket_mode_is_octal_text);
    tcase_add_test(tests, missing_file_is_an_error);
    tcase_add_test(tests, reload_takes_limits_and_names_the_rest);
    tcase_add_test(tests, sizes);
    tcase_add_test(tests, times);
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
