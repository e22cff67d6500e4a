// worker/json: what a browser's JSON.parse takes is taken, the rest is not,
// and what is taken is handed on byte for byte.

#include "worker/json.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include <check.h>  // last: it defines a macro named fail

namespace {

using chat::json::Kind;
using chat::json::Reader;

bool valid(std::string_view text)
{
    Reader reader(text);
    reader.skip();
    return reader.finish();
}

START_TEST(accepts_what_json_parse_accepts)
{
    const std::vector<std::string> good = {
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-1.5e-10",
        "1E+2",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\\ud800\"",
        "\"\x7f\xe4\xb8\xad\"",
        "[]",
        "[ ]",
        "[1,[2,[]],{}]",
        "{}",
        "{ }",
        " \t\r\n{ \"a\" : 1 , \"a\" : [ ] } \n",
        "{\"\":{\"x\":null}}",
    };
    for (const auto& text : good) {
        ck_assert_msg(valid(text), "%s", text.c_str());
    }
}
END_TEST

START_TEST(refuses_what_json_parse_refuses)
{
    const std::vector<std::string> bad = {
        "",          " ",           "nul",
        "nulL",      "True",        "NaN",
        "Infinity",  "undefined",   "01",
        "-",         "+1",          ".5",
        "1.",        "1.e3",        "1e",
        "1e+",       "0x10",        "'a'",
        "\"a",       "\"\\",        "\"\\x41\"",
        "\"\\u12\"", "\"\\u12g4\"", "\"\n\"",
        "\"\t\"",    "[",           "[1",
        "[1,",       "[1,]",        "[,1]",
        "[1 2]",     "]",           "{",
        "{\"a\"",    "{\"a\":",     "{\"a\":1",
        "{\"a\":1,", "{\"a\":1,}",  "{a:1}",
        "{1:1}",     "{\"a\" 1}",   "{,}",
        "{\"a\":}",  "1 2",         "{}{}",
        "[1}",       "{\"a\":1]",   "// x\n1",
        "/**/1",     "1\f",         "\xef\xbb\xbf{}",
        "tru",       "\"\\u\"",     "[\"a\",,1]",
        "--1",
    };
    for (const auto& text : bad) {
        ck_assert_msg(!valid(text), "%s", text.c_str());
    }
    ck_assert(!valid(std::string_view("1\0", 2)));
    ck_assert(!valid(std::string_view("\"\0\"", 3)));
}
END_TEST

START_TEST(every_prefix_of_a_text_is_refused)
{
    const std::string text =
        "{\"a\":[1,-2.5e+3,\"x\\u0041\\n\",true,false,null,{}],\"b\":{}}";
    ck_assert(valid(text));
    for (std::size_t length = 0; length < text.size(); ++length) {
        ck_assert_msg(!valid(std::string_view(text).substr(0, length)), "%zu",
                      length);
    }
}
END_TEST

START_TEST(long_strings_are_scanned_at_every_offset)
{
    for (std::size_t length = 0; length < 40; ++length) {
        for (std::size_t at = 0; at < length; ++at) {
            std::string inner(length, 'x');
            ck_assert(valid('"' + inner + '"'));
            inner[at] = '\x1f';
            ck_assert(!valid('"' + inner + '"'));
            inner[at] = '"';
            ck_assert(!valid('"' + inner + '"'));
            inner[at] = '\xff';
            ck_assert(valid('"' + inner + '"'));
        }
    }
}
END_TEST

START_TEST(depth_is_bounded)
{
    const auto nested = [](unsigned depth) {
        return std::string(depth, '[') + std::string(depth, ']');
    };
    ck_assert(valid(nested(chat::json::kMaxDepth)));
    ck_assert(!valid(nested(chat::json::kMaxDepth + 1)));
    ck_assert(!valid(std::string(1000000, '[')));
    std::string objects;
    for (int i = 0; i < 100000; ++i) {
        objects += "{\"a\":";
    }
    ck_assert(!valid(objects));
}
END_TEST

START_TEST(fields_come_raw_and_in_order)
{
    Reader reader(
        "{\"n\": 1.10 ,\"big\":12345678901234567890, \"o\":{ \"x\" "
        ":[1, 2]},\"s\":\"\\u4e2d\"}");
    std::string seen;
    std::string_view key;
    ck_assert(reader.beginObject());
    while (reader.nextField(key)) {
        seen.append(key).append("=").append(reader.skip()).append(";");
    }
    ck_assert(reader.finish());
    ck_assert_str_eq(seen.c_str(),
                     "\"n\"=1.10;\"big\"=12345678901234567890;\"o\"={ \"x\" "
                     ":[1, 2]};\"s\"=\"\\u4e2d\";");
}
END_TEST

START_TEST(elements_come_raw_and_in_order)
{
    Reader reader("[ \"a\",[1], 2 ]");
    std::string seen;
    ck_assert(reader.peek() == Kind::Array);
    ck_assert(reader.beginArray());
    while (reader.nextElement()) {
        seen.append(reader.skip()).append(";");
    }
    ck_assert(reader.finish());
    ck_assert_str_eq(seen.c_str(), "\"a\";[1];2;");
}
END_TEST

START_TEST(a_fault_is_told_with_its_place)
{
    Reader reader("{\"a\":1,}");
    std::string_view key;
    ck_assert(reader.beginObject());
    ck_assert(reader.nextField(key));
    reader.skip();
    ck_assert(!reader.nextField(key));
    ck_assert(reader.failed());
    ck_assert_uint_eq(reader.offset(), 7);
    ck_assert_str_eq(reader.problem(), "a key in double quotes was expected");
    ck_assert(!reader.finish());
    ck_assert(reader.skip().empty());
    ck_assert(reader.peek() == Kind::None);
}
END_TEST

START_TEST(keys_compare_with_escapes_read)
{
    ck_assert(chat::json::equals("\"code\"", "code"));
    ck_assert(chat::json::equals("\"c\\u006fde\"", "code"));
    ck_assert(!chat::json::equals("\"codes\"", "code"));
    ck_assert(!chat::json::equals("\"c\\u006fd\"", "code"));
    ck_assert(chat::json::equals("\"\"", ""));
}
END_TEST

START_TEST(strings_are_decoded)
{
    std::string text;
    ck_assert(chat::json::decode("\"a\\n\\u4e2d\\ud83d\\ude00\\/\"", text));
    ck_assert_str_eq(text.c_str(), "a\n\xe4\xb8\xad\xf0\x9f\x98\x80/");
    ck_assert(chat::json::decode("\"plain\"", text));
    ck_assert_str_eq(text.c_str(), "plain");
    ck_assert(!chat::json::decode("\"\\ud800\"", text));
    ck_assert(!chat::json::decode("\"\\udc00x\"", text));
    ck_assert(!chat::json::decode("\"a\\u0000b\"", text));
    ck_assert(chat::json::decode("\"\\\\u0000\"", text));
    ck_assert_str_eq(text.c_str(), "\\u0000");
}
END_TEST

START_TEST(integers_are_told_from_numbers)
{
    ck_assert(chat::json::isInteger("21"));
    ck_assert(chat::json::isInteger("-1"));
    ck_assert(!chat::json::isInteger("21.0"));
    ck_assert(!chat::json::isInteger("1e3"));
    ck_assert(!chat::json::isInteger("\"21\""));
    ck_assert(!chat::json::isInteger(""));
}
END_TEST

START_TEST(compact_leaves_values_as_they_are)
{
    const auto compact = [](std::string_view raw) {
        std::string out;
        chat::json::appendCompact(out, raw);
        return out;
    };
    ck_assert(compact("{ \"a b\" : [ 1.10 ,\n\t\" x \\\" y \\\\\" , { } ] }") ==
              "{\"a b\":[1.10,\" x \\\" y \\\\\",{}]}");
    ck_assert(compact("\" a \"") == "\" a \"");
    ck_assert(compact("1.0") == "1.0");
}
END_TEST

START_TEST(quoted_text_reads_back)
{
    std::string all;
    for (int c = 1; c < 0x80; ++c) {
        all += static_cast<char>(c);
    }
    all += "\xe4\xb8\xad";
    std::string raw;
    chat::json::appendQuoted(raw, all);
    ck_assert(valid(raw));
    std::string back;
    ck_assert(chat::json::decode(raw, back));
    ck_assert(back == all);
    raw.clear();
    chat::json::appendQuoted(raw, "u1");
    ck_assert_str_eq(raw.c_str(), "\"u1\"");
}
END_TEST

}  // namespace

int main()
{
    Suite* suite = suite_create("json");
    TCase* tests = tcase_create("json");
    tcase_add_test(tests, accepts_what_json_parse_accepts);
    tcase_add_test(tests, refuses_what_json_parse_refuses);
    tcase_add_test(tests, every_prefix_of_a_text_is_refused);
    tcase_add_test(tests, long_strings_are_scanned_at_every_offset);
    tcase_add_test(tests, depth_is_bounded);
    tcase_add_test(tests, fields_come_raw_and_in_order);
    tcase_add_test(tests, elements_come_raw_and_in_order);
    tcase_add_test(tests, a_fault_is_told_with_its_place);
    tcase_add_test(tests, keys_compare_with_escapes_read);
    tcase_add_test(tests, strings_are_decoded);
    tcase_add_test(tests, integers_are_told_from_numbers);
    tcase_add_test(tests, compact_leaves_values_as_they_are);
    tcase_add_test(tests, quoted_text_reads_back);
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
