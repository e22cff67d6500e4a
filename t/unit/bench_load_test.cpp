// What the benchmark's client measures and checks with: a mistake here would
// be one in every published number.

#include <check.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "t/bench/load/histogram.hpp"
#include "t/bench/load/news.hpp"
#include "t/bench/load/payload.hpp"

namespace {

using namespace bench;

START_TEST(testQuantilesAreWithinTwoPercent)
{
    Histogram histogram;
    for (int64_t value = 1; value <= 1'000'000; value++) {
        histogram.record(value);
    }

    for (double share : {0.001, 0.01, 0.5, 0.9, 0.99, 0.999}) {
        double exact = share * 1e6;
        auto read = static_cast<double>(histogram.quantile(share));
        ck_assert_msg(read >= exact && read <= exact * 1.02, "%f: %f", share,
                      read);
    }
    ck_assert_int_eq(histogram.quantile(1), 1'000'000);
    ck_assert_int_eq(histogram.max(), 1'000'000);
}
END_TEST

START_TEST(testHistogramEnds)
{
    Histogram histogram;
    ck_assert_int_eq(histogram.quantile(0.5), 0);

    histogram.record(-5);
    ck_assert_int_eq(histogram.quantile(0.5), 0);
    histogram.record(INT64_MAX);
    ck_assert_int_eq(histogram.quantile(1), INT64_MAX);

    histogram.clear();
    ck_assert_uint_eq(histogram.count(), 0);
    ck_assert_int_eq(histogram.max(), 0);
}
END_TEST

START_TEST(testContentComesBack)
{
    for (size_t size : {size_t{0}, kStampLength, size_t{128}, size_t{16384}}) {
        Stamp stamp;
        std::string content = makeContent({77, 3, 12, 123456789012345}, size);
        ck_assert_uint_eq(content.size(), std::max(size, kStampLength));
        ck_assert(readContent(content, &stamp));
        ck_assert_uint_eq(stamp.number, 77);
        ck_assert_uint_eq(stamp.sender, 3);
        ck_assert_uint_eq(stamp.sequence, 12);
        ck_assert_int_eq(stamp.due, 123456789012345);
    }
}
END_TEST

START_TEST(testChangedContentIsSeen)
{
    Stamp stamp;
    std::string content = makeContent({77, 3, 12, 1}, 128);

    for (size_t i = kStampLength; i < content.size(); i++) {
        std::string changed = content;
        changed[i] ^= 1;
        ck_assert(!readContent(changed, &stamp));
    }
    ck_assert(!readContent(content.substr(0, kStampLength - 1), &stamp));
    ck_assert(!readContent("x" + content, &stamp));
}
END_TEST

START_TEST(testNewsOfOneFrame)
{
    NewsReader reader(
        R"({"code":236,"msg":"x","data":{)"
        R"("7-a":{"content":"one","more":{"content":"inner"},"n":[1,{}]},)"
        R"("8-\"b":{"msg":"content","content":"t\"wo"}}})");
    News news;

    ck_assert(reader.next(&news));
    ck_assert(news.key == R"("7-a")");
    ck_assert(news.content == "one");
    ck_assert(reader.next(&news));
    ck_assert(news.key == R"("8-\"b")");
    ck_assert(news.content == R"(t\"wo)");
    ck_assert(!reader.next(&news));
    ck_assert(reader.ok());
}
END_TEST

START_TEST(testTruncatedNews)
{
    const std::string whole =
        R"({"code":236,"data":{"7-a":{"content":"one"}}})";
    News news;

    for (size_t size = 0; size < whole.size() - 1; size++) {
        NewsReader reader(std::string_view(whole).substr(0, size));
        while (reader.next(&news)) {
        }
        ck_assert_msg(!reader.ok(), "%zu", size);
    }
}
END_TEST

Suite* benchSuite()
{
    Suite* suite = suite_create("bench load");
    TCase* tests = tcase_create("load");
    tcase_add_test(tests, testQuantilesAreWithinTwoPercent);
    tcase_add_test(tests, testHistogramEnds);
    tcase_add_test(tests, testContentComesBack);
    tcase_add_test(tests, testChangedContentIsSeen);
    tcase_add_test(tests, testNewsOfOneFrame);
    tcase_add_test(tests, testTruncatedNews);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(benchSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
