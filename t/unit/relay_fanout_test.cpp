// relay_fanout.hpp: what is built is walked; everything else is refused whole.

#include "shared/relay_fanout.hpp"

#include <check.h>

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace chat::relay;

struct Recipient {
    std::uint64_t mark;
    std::vector<std::uint64_t> sessions;
    std::vector<std::string_view> texts;
};

std::string build(const std::string& body,
                  const std::vector<std::uint32_t>& offsets,
                  const std::vector<Recipient>& recipients)
{
    std::string out;
    FanoutBuilder builder(&out, body, offsets.data(), offsets.size());

    for (const Recipient& each : recipients) {
        std::size_t before = builder.payloadSize();
        builder.add(each.mark, each.sessions.data(), each.sessions.size(),
                    each.texts.data());
        ck_assert_uint_eq(
            builder.payloadSize() - before,
            builder.recipientSize(each.sessions.size(), each.texts.data()));
    }
    ck_assert(builder.finish());
    ck_assert_uint_eq(load<std::uint32_t>(out.data()),
                      out.size() - kHeaderSize);
    return out.substr(kHeaderSize);
}

// The payload lies at the end of memory of exactly its size, so that the
// sanitizer build sees every read beyond it.
std::vector<std::string> messages(const std::string& payload, bool* ok)
{
    std::vector<char> memory(payload.begin(), payload.end());
    std::vector<std::string> result;
    FanoutView view;

    *ok = view.parse({memory.data(), memory.size()});

    if (!*ok) {
        return result;
    }
    for (auto to = view.first(); !to.atEnd(); to.next()) {
        std::string message(to.messageSize(), '\0');
        ck_assert(to.compose(message.data()) ==
                  message.data() + message.size());
        for (std::size_t i = 0; i < to.sessions(); ++i) {
            result.push_back(std::to_string(to.session(i)) + "/" +
                             std::to_string(to.mark()) + "/" + message);
        }
    }
    return result;
}

std::string sample()
{
    return build("{\"\":{\"to\":,\"x\":1}}", {2, 10},
                 {{7, {1, 2}, {"7-a", "\"u\""}},
                  {9, {0x500000003}, {"9-a", "12"}},
                  {0, {}, {"", ""}}});
}

START_TEST(testRecipientsGetTheirTexts)
{
    bool ok = false;
    auto result = messages(sample(), &ok);

    ck_assert(ok);
    ck_assert_uint_eq(result.size(), 3);
    ck_assert_str_eq(result[0].c_str(), "1/7/{\"7-a\":{\"to\":\"u\",\"x\":1}}");
    ck_assert_str_eq(result[1].c_str(), "2/7/{\"7-a\":{\"to\":\"u\",\"x\":1}}");
    ck_assert_str_eq(result[2].c_str(),
                     "21474836483/9/{\"9-a\":{\"to\":12,\"x\":1}}");
}
END_TEST

START_TEST(testHolesAtTheEdges)
{
    bool ok = false;
    auto result = messages(
        build("ab", {0, 0, 1, 2, 2}, {{1, {4}, {"1", "2", "3", "4", "5"}}}),
        &ok);
    ck_assert(ok);
    ck_assert_str_eq(result[0].c_str(), "4/1/12a3b45");

    result = messages(build("", {0}, {{1, {4}, {"x"}}}), &ok);
    ck_assert(ok);
    ck_assert_str_eq(result[0].c_str(), "4/1/x");

    result = messages(build("plain", {}, {{1, {4, 5}, {}}}), &ok);
    ck_assert(ok);
    ck_assert_uint_eq(result.size(), 2);
    ck_assert_str_eq(result[1].c_str(), "5/1/plain");

    result = messages(build("", {}, {{1, {4}, {}}}), &ok);
    ck_assert(ok);
    ck_assert_str_eq(result[0].c_str(), "4/1/");
}
END_TEST

START_TEST(testPieces)
{
    std::string payload = build("abcdef", {1, 1, 4}, {{1, {1}, {"", "", ""}}});
    FanoutView view;
    ck_assert(view.parse(payload));
    ck_assert_uint_eq(view.recipients(), 1);
    ck_assert_uint_eq(view.holes(), 3);
    ck_assert(view.body() == "abcdef");
    ck_assert(view.piece(0) == "a");
    ck_assert(view.piece(1).empty());
    ck_assert(view.piece(2) == "bcd");
    ck_assert(view.piece(3) == "ef");
}
END_TEST

START_TEST(testNoRecipientsNoFrame)
{
    std::string out = "before";
    FanoutBuilder builder(&out, "body", nullptr, 0);
    ck_assert_uint_eq(builder.recipients(), 0);
    ck_assert(!builder.finish());
    ck_assert_str_eq(out.c_str(), "before");
}
END_TEST

START_TEST(testEveryOtherLengthIsRefused)
{
    std::string payload = sample();
    bool ok = true;

    for (std::size_t size = 0; size < payload.size(); ++size) {
        messages(payload.substr(0, size), &ok);
        ck_assert_msg(!ok, "%zu of %zu bytes", size, payload.size());
    }
    messages(payload + '\0', &ok);
    ck_assert(!ok);
}
END_TEST

// field: the offset of an integer of the payload that gets another value.
template <typename T>
bool parsesWith(std::string payload, std::size_t field, T value)
{
    bool ok = false;
    store(&payload[field], value);
    messages(payload, &ok);
    return ok;
}

START_TEST(testContradictionsAreRefused)
{
    std::string payload = sample();
    std::size_t list = kFanoutFixed + 2 * 4 + 18;

    ck_assert(parsesWith(payload, 0, std::uint32_t{18}));
    ck_assert(!parsesWith(payload, 0, std::uint32_t{17}));
    ck_assert(!parsesWith(payload, 0, std::uint32_t{0xffffffff}));
    ck_assert(parsesWith(payload, 4, std::uint32_t{3}));
    ck_assert(!parsesWith(payload, 4, std::uint32_t{2}));
    ck_assert(!parsesWith(payload, 4, std::uint32_t{4}));
    ck_assert(!parsesWith(payload, 4, std::uint32_t{0xffffffff}));
    ck_assert(!parsesWith(payload, 8, std::uint16_t{kMaxHoles + 1}));
    ck_assert(!parsesWith(payload, 8, std::uint16_t{0xffff}));
    ck_assert(!parsesWith(payload, 10, std::uint16_t{1}));
    ck_assert(!parsesWith(payload, 12, std::uint32_t{11}));  // not ascending
    ck_assert(parsesWith(payload, 16, std::uint32_t{18}));
    ck_assert(!parsesWith(payload, 16, std::uint32_t{19}));  // after the body
    ck_assert(!parsesWith(payload, list + 8, std::uint16_t{0xffff}));
    ck_assert(!parsesWith(payload, list + 10, std::uint16_t{0xffff}));
}
END_TEST

START_TEST(testMostHoles)
{
    std::vector<std::uint32_t> offsets(kMaxHoles, 1);
    std::vector<std::string_view> texts(kMaxHoles, "t");
    bool ok = false;
    auto result = messages(build("ab", offsets, {{1, {1}, texts}}), &ok);
    ck_assert(ok);
    ck_assert(result[0] == "1/1/a" + std::string(kMaxHoles, 't') + "b");
}
END_TEST

Suite* fanoutSuite()
{
    Suite* suite = suite_create("relay fan-out");
    TCase* tests = tcase_create("fan-out");
    tcase_add_test(tests, testRecipientsGetTheirTexts);
    tcase_add_test(tests, testHolesAtTheEdges);
    tcase_add_test(tests, testPieces);
    tcase_add_test(tests, testNoRecipientsNoFrame);
    tcase_add_test(tests, testEveryOtherLengthIsRefused);
    tcase_add_test(tests, testContradictionsAreRefused);
    tcase_add_test(tests, testMostHoles);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(fanoutSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
