#include "ngx_chat_module/ws/utf8.hpp"

#include <string>

#include "t/unit/ws_test_util.hpp"

using chat::ws::isUtf8;
using chat::ws::Utf8Checker;
using wstest::bytes;

namespace {

const unsigned char* raw(std::string_view text)
{
    return reinterpret_cast<const unsigned char*>(text.data());
}

// A straightforward decoder to compare with: RFC 3629 section 3 read aloud.
bool decodes(std::string_view text)
{
    for (std::size_t i = 0; i < text.size();) {
        unsigned lead = raw(text)[i];
        std::size_t size = lead < 0x80   ? 1
                           : lead < 0xc0 ? 0
                           : lead < 0xe0 ? 2
                           : lead < 0xf0 ? 3
                           : lead < 0xf8 ? 4
                                         : 0;
        if (size == 0 || size > text.size() - i) {
            return false;
        }
        unsigned code = size == 1 ? lead : lead & (0x7fU >> size);
        for (std::size_t k = 1; k < size; ++k) {
            if ((raw(text)[i + k] & 0xc0) != 0x80) {
                return false;
            }
            code = code << 6 | (raw(text)[i + k] & 0x3fU);
        }
        const unsigned smallest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (code < smallest[size] || code > 0x10ffff ||
            (code >= 0xd800 && code <= 0xdfff)) {
            return false;
        }
        i += size;
    }
    return true;
}

// Index of the byte that feeding one by one fails at; npos if none.
std::size_t failsAt(std::string_view text)
{
    Utf8Checker checker;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (!checker.feed(raw(text) + i, 1)) {
            return i;
        }
    }
    return std::string_view::npos;
}

// All ways to give the text in two pieces agree, and so does the whole.
void checkSplits(const std::string& text, bool valid)
{
    ck_assert_int_eq(isUtf8(text), valid);
    bool fails = failsAt(text) != std::string::npos;
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        Utf8Checker checker;
        bool good = checker.feed(raw(text), cut) &&
                    checker.feed(raw(text) + cut, text.size() - cut);
        ck_assert_int_eq(good, !fails);
        ck_assert_int_eq(good && checker.complete(), valid);
    }
}

}  // namespace

START_TEST(everyCodePoint)
{
    for (unsigned code = 0; code < 0x110000; ++code) {
        std::string text;
        if (code < 0x80) {
            text = bytes({static_cast<int>(code)});
        } else if (code < 0x800) {
            text = bytes({static_cast<int>(0xc0 | code >> 6),
                          static_cast<int>(0x80 | (code & 0x3f))});
        } else if (code < 0x10000) {
            text = bytes({static_cast<int>(0xe0 | code >> 12),
                          static_cast<int>(0x80 | (code >> 6 & 0x3f)),
                          static_cast<int>(0x80 | (code & 0x3f))});
        } else {
            text = bytes({static_cast<int>(0xf0 | code >> 18),
                          static_cast<int>(0x80 | (code >> 12 & 0x3f)),
                          static_cast<int>(0x80 | (code >> 6 & 0x3f)),
                          static_cast<int>(0x80 | (code & 0x3f))});
        }
        bool surrogate = code >= 0xd800 && code <= 0xdfff;
        ck_assert_int_eq(isUtf8(text), !surrogate);
        ck_assert_int_eq(isUtf8(text + "abc"), !surrogate);
    }
}
END_TEST

START_TEST(everySequenceOfThreeBytes)
{
    for (int a = 0; a < 256; ++a) {
        for (int b = 0; b < 256; ++b) {
            for (int c : {0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf,
                          0xc0, 0xc2, 0xe0, 0xed, 0xf0, 0xf4, 0xff}) {
                std::string text = bytes({a, b, c});
                bool valid = decodes(text);
                ck_assert_int_eq(isUtf8(text), valid);
                ck_assert_int_eq(isUtf8(text + "0123456789abcdef"), valid);
                ck_assert_int_eq(
                    isUtf8(std::string(16, 'x') + text + bytes({0xc3, 0xa9})),
                    valid);
            }
        }
    }
}
END_TEST

START_TEST(everyClassAtEverySplit)
{
    for (const char* good :
         {"", "a", "\xc2\x80", "\xdf\xbf", "\xe0\xa0\x80", "\xe1\x80\x80",
          "\xec\xbf\xbf", "\xed\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80",
          "\xef\xbf\xbf", "\xf0\x90\x80\x80", "\xf1\x80\x80\x80",
          "\xf3\xbf\xbf\xbf", "\xf4\x8f\xbf\xbf"}) {
        for (const char* before :
             {"", "abc", "0123456789abcdef", "\xe6\x8e\xa5"}) {
            checkSplits(std::string(before) + good, true);
            checkSplits(std::string(before) + good + "xyz", true);
            checkSplits(std::string(before) + good + good, true);
        }
    }
    for (const char* bad : {"\x80",
                            "\xbf",
                            "\xc0\x80",
                            "\xc1\xbf",
                            "\xc2",
                            "\xc2\x41",
                            "\xc2\xc2",
                            "\xe0\x9f\xbf",
                            "\xe0\x80\x80",
                            "\xe1\x80",
                            "\xe1\x80\x41",
                            "\xe1\x41\x80",
                            "\xed\xa0\x80",
                            "\xed\xbf\xbf",
                            "\xf0\x8f\xbf\xbf",
                            "\xf0\x80\x80\x80",
                            "\xf1\x80\x80",
                            "\xf1\x80\x80\x41",
                            "\xf4\x90\x80\x80",
                            "\xf5\x80\x80\x80",
                            "\xf8\x88\x80\x80\x80",
                            "\xfc\x84\x80\x80\x80\x80",
                            "\xfe",
                            "\xff"}) {
        for (const char* before :
             {"", "abc", "0123456789abcdef", "\xe6\x8e\xa5"}) {
            checkSplits(std::string(before) + bad, false);
            checkSplits(std::string(before) + bad + "xyz", false);
        }
    }
}
END_TEST

START_TEST(failsAtTheFirstByteThatCannotBe)
{
    struct {
        const char* text;
        std::size_t at;
    } cases[] = {
        {"\xe0\x9f\xbf", 1},
        {"\xed\xa0\x80", 1},
        {"\xf0\x8f\xbf\xbf", 1},
        {"\xf4\x90\x80\x80", 1},
        {"\xf5", 0},
        {"\xc0", 0},
        {"\xc1", 0},
        {"\x80", 0},
        {"ab\xff", 2},
        {"\xe6\x8e\x41", 2},
        {"\xf1\x80\x80\xc0", 3},
        {"\xc2\x20", 1},
    };
    for (const auto& one : cases) {
        ck_assert_uint_eq(failsAt(one.text), one.at);
    }
}
END_TEST

START_TEST(staysInvalidUntilReset)
{
    Utf8Checker checker;
    ck_assert(!checker.feed(raw("\xff"), 1));
    ck_assert(!checker.feed(raw("a"), 1));
    ck_assert(!checker.feed(raw(""), 0));
    ck_assert(!checker.complete());
    checker.reset();
    ck_assert(checker.feed(raw("a"), 1));
    ck_assert(checker.complete());
    ck_assert_uint_le(sizeof(checker), 4);
}
END_TEST

START_TEST(badByteAtEveryPlaceOfALongText)
{
    std::string ascii(200, 'a');
    std::string chinese;
    for (int i = 0; i < 66; ++i) {
        chinese += "\xe6\x8e\xa5";
    }
    for (const std::string& text : {ascii, chinese}) {
        ck_assert(isUtf8(text));
        for (std::size_t i = 0; i < text.size(); ++i) {
            std::string bad = text;
            bad[i] = '\xff';
            ck_assert(!isUtf8(bad));
            ck_assert_uint_eq(failsAt(bad), i);
        }
    }
}
END_TEST

int main()
{
    return wstest::runTests(
        "ws utf8", {everyCodePoint, everySequenceOfThreeBytes,
                    everyClassAtEverySplit, failsAtTheFirstByteThatCannotBe,
                    staysInvalidUntilReset, badByteAtEveryPlaceOfALongText});
}
