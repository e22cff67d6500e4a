#include "ngx_chat_module/ws/field_reader.hpp"

#include <string>

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;

namespace {

std::string quoted(std::string_view value)
{
    FieldReader reader(value);
    char out[4];
    std::size_t size = 0;
    if (!reader.quotedToken(out, sizeof(out), size)) {
        return "no";
    }
    return std::string(out, size < 4 ? size : 4) + "/" + std::to_string(size) +
           "/" + std::string(reader.token());
}

}  // namespace

START_TEST(tokenCharacters)
{
    const std::string marks = "!#$%&'*+-.^_`|~";
    for (int c = 0; c < 256; ++c) {
        bool wanted =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
            (c >= 'A' && c <= 'Z') ||
            (c != 0 && marks.find(static_cast<char>(c)) != std::string::npos);
        std::string text(1, static_cast<char>(c));
        ck_assert_int_eq(FieldReader(text).token().size(), wanted ? 1 : 0);
    }
}
END_TEST

START_TEST(quotedStringsThatAreTokens)
{
    EXPECT_EQ(quoted("\"abc\"x"), "abc/3/x");
    EXPECT_EQ(quoted("\"a\\b\"x"), "ab/2/x");
    EXPECT_EQ(quoted("\"abcdefgh\"x"), "abcd/8/x");
    for (const char* bad : {"", "\"", "\"\"", "\"a", "\"a\\", "\"a\\\"",
                            "\"a b\"", "\"a,b\"", "a\"b\"", "\"\\\"\""}) {
        EXPECT_EQ(quoted(bad), "no");
    }
}
END_TEST

START_TEST(listsWithEmptyElements)
{
    FieldReader reader(" ,\t, a ,, b\t");
    ck_assert(reader.nextElement());
    EXPECT_EQ(reader.token(), "a");
    ck_assert(reader.nextElement());
    EXPECT_EQ(reader.token(), "b");
    ck_assert(reader.nextElement());
    ck_assert(reader.atEnd());

    FieldReader two("a b");
    two.token();
    ck_assert(!two.nextElement());
}
END_TEST

START_TEST(comparesWithoutCase)
{
    ck_assert(equalIgnoringCase("", ""));
    ck_assert(equalIgnoringCase("WebSocket-09", "webSOCKET-09"));
    ck_assert(!equalIgnoringCase("a", "ab"));
    ck_assert(!equalIgnoringCase("@[`{", "`{@["));
}
END_TEST

int main()
{
    return wstest::runTests("ws field reader",
                            {tokenCharacters, quotedStringsThatAreTokens,
                             listsWithEmptyElements, comparesWithoutCase});
}
