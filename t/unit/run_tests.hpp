// The main function of a Check program whose tests are all of one kind.

#pragma once

#include <cstdlib>
#include <initializer_list>

#include <check.h>

namespace chat::test {

// Each test is a process of its own, with at most `timeout` seconds, and with
// setUp and tearDown around it if given. Returns the exit status.
inline int runTests(const char* name, std::initializer_list<const TTest*> all,
                    double timeout = 4, SFun setUp = nullptr,
                    SFun tearDown = nullptr)
{
    Suite* suite = suite_create(name);
    TCase* tests = tcase_create(name);
    tcase_set_timeout(tests, timeout);
    if (setUp != nullptr) {
        tcase_add_checked_fixture(tests, setUp, tearDown);
    }
    for (const auto* test : all) {
        tcase_add_test(tests, test);
    }
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

}  // namespace chat::test
