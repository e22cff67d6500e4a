#include "ngx_chat_module/ws/holed_body.hpp"

#include <string>
#include <vector>

#include "t/unit/ws_deflate_util.hpp"

using namespace chat::ws;
using namespace wstest;

namespace {

std::string filled(std::string_view body,
                   const std::vector<std::uint32_t>& offsets,
                   const std::vector<std::string>& texts)
{
    std::string out;
    std::size_t from = 0;
    for (std::size_t i = 0; i < offsets.size(); ++i) {
        out.append(body.substr(from, offsets[i] - from)).append(texts[i]);
        from = offsets[i];
    }
    return out.append(body.substr(from));
}

std::string write(const HoledBody& body, const std::vector<std::string>& texts)
{
    std::size_t textBytes = 0;
    for (const std::string& text : texts) {
        textBytes += text.size();
    }
    std::string out(body.size(textBytes), '\0');
    auto* begin = reinterpret_cast<unsigned char*>(out.data());
    unsigned char* end = body.write(
        begin, [&](std::size_t i) -> std::string_view { return texts[i]; });
    ck_assert_ptr_eq(end, begin + out.size());
    return out;
}

// Built once, written twice with different texts, read with a window of the
// size agreed on.
void check(std::string_view body, const std::vector<std::uint32_t>& offsets,
           const std::vector<std::string>& texts, int bits = 15)
{
    DeflatePool pool;
    HoledBody holed;
    ck_assert(holed.build(*pool.deflater(bits, 6, 8), body, offsets.data(),
                          offsets.size()));
    ck_assert_uint_eq(holed.holes(), offsets.size());
    PeerInflater peer(bits);
    EXPECT_EQ(peer.message(write(holed, texts)), filled(body, offsets, texts));
    std::vector<std::string> others(texts.rbegin(), texts.rend());
    EXPECT_EQ(peer.message(write(holed, others)),
              filled(body, offsets, others));
}

}  // namespace

START_TEST(everyPlaceOfAHole)
{
    std::string body = sentences(60);
    for (std::uint32_t at = 0; at <= body.size(); ++at) {
        check(body, {at}, {"17"});
        check(body, {at}, {""});
        for (std::uint32_t second = at; second <= body.size(); ++second) {
            check(body, {at, second}, {"key-1", "42"});
        }
    }
    check("", {}, {});
    check("", {0}, {"all"});
    check("", {0, 0}, {"a", "b"});
    check(body, {}, {});
}
END_TEST

START_TEST(everyWindow)
{
    std::string body = sentences(40000);
    for (int bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        check(body, {100, 20000, 40000}, {"first", "second", "third"}, bits);
        check(noise(3000), {1, 1500}, {"", noise(700)}, bits);
    }
}
END_TEST

START_TEST(textsOfEverySize)
{
    std::string body = sentences(500);
    for (std::size_t size : {0, 1, 255, 256, 257, 32768, 65534, 65535}) {
        check(body, {0, 250, 500}, {noise(size), "x", noise(size, 7)});
    }
}
END_TEST

START_TEST(manyHoles)
{
    std::string body = sentences(2000);
    std::vector<std::uint32_t> offsets;
    std::vector<std::string> texts;
    for (std::uint32_t i = 0; i < HoledBody::kMaxHoles; ++i) {
        offsets.push_back(i * 7);
        texts.push_back(std::to_string(i));
    }
    check(body, offsets, texts);

    offsets.push_back(2000);
    DeflatePool pool;
    HoledBody holed;
    ck_assert(!holed.build(*pool.deflater(15, 6, 8), body, offsets.data(),
                           offsets.size()));
    ck_assert_uint_eq(holed.holes(), 0);
}
END_TEST

START_TEST(usedAgainAndReleased)
{
    DeflatePool pool;
    HoledBody holed;
    for (std::uint32_t at : {5U, 50U, 0U}) {
        std::string body = sentences(100 + at);
        ck_assert(holed.build(*pool.deflater(15, 6, 8), body, &at, 1));
        EXPECT_EQ(PeerInflater(15).message(write(holed, {"text"})),
                  filled(body, {at}, {"text"}));
    }
    holed.release();
    ck_assert_uint_eq(holed.size(0), 0);
}
END_TEST

START_TEST(smallerThanTheBody)
{
    std::string body = sentences(1000);
    std::uint32_t offsets[] = {20, 980};
    DeflatePool pool;
    HoledBody holed;
    ck_assert(holed.build(*pool.deflater(15, 6, 8), body, offsets, 2));
    ck_assert_uint_lt(holed.size(0), body.size() / 2);
}
END_TEST

int main()
{
    return runTests("ws holed body",
                    {everyPlaceOfAHole, everyWindow, textsOfEverySize,
                     manyHoles, usedAgainAndReleased, smallerThanTheBody});
}
