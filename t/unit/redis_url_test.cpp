#include "worker/stores.hpp"

#include <check.h>  // last: it defines a macro named fail

using namespace chat;

namespace {

RedisOptions good(const char* url)
{
    std::string error;
    const auto options = parseRedisUrl(url, error);
    ck_assert_msg(options.has_value(), "%s: %s", url, error.c_str());
    return *options;
}

}  // namespace

START_TEST(unixUrls)
{
    auto options = good("unix:///run/redis.sock");
    ck_assert_str_eq(options.path.c_str(), "/run/redis.sock");
    ck_assert_int_eq(options.database, 0);

    options = good("unix://ann:p%40%2fss@/run/a%20b.sock?db=5");
    ck_assert_str_eq(options.path.c_str(), "/run/a b.sock");
    ck_assert_str_eq(options.user.c_str(), "ann");
    ck_assert_str_eq(options.password.c_str(), "p@/ss");
    ck_assert_int_eq(options.database, 5);
}
END_TEST

START_TEST(tcpUrls)
{
    auto options = good("redis://localhost");
    ck_assert_str_eq(options.path.c_str(), "");
    ck_assert_str_eq(options.host.c_str(), "localhost");
    ck_assert_int_eq(options.port, 6379);

    options = good("redis://:se:cr@et@[::1]:7000/12");
    ck_assert_str_eq(options.host.c_str(), "::1");
    ck_assert_int_eq(options.port, 7000);
    ck_assert_str_eq(options.user.c_str(), "");
    ck_assert_str_eq(options.password.c_str(), "se:cr@et");
    ck_assert_int_eq(options.database, 12);

    options = good("redis://10.0.0.1:6380/");
    ck_assert_int_eq(options.port, 6380);
    ck_assert(good("redis://pw@h").password == "pw");
    ck_assert(good("redis://100%@h").password == "100%");
}
END_TEST

START_TEST(badUrls)
{
    for (const char* url :
         {"", "redis", "http://host", "rediss://host", "redis://",
          "redis://:6379", "redis://host:", "redis://host:0",
          "redis://host:65536", "redis://host:1x", "redis://host/x",
          "redis://host/-1", "unix://", "unix://relative", "unix:///a?x=1",
          "unix:///a?db=", "redis://[::1]x"}) {
        std::string error;
        ck_assert_msg(!parseRedisUrl(url, error).has_value(), "%s", url);
        ck_assert(!error.empty());
    }
}
END_TEST

int main()
{
    Suite* suite = suite_create("Redis URLs");
    TCase* tests = tcase_create("all");
    tcase_add_test(tests, unixUrls);
    tcase_add_test(tests, tcpUrls);
    tcase_add_test(tests, badUrls);
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
