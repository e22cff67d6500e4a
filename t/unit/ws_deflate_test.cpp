#include "ngx_chat_module/ws/deflate.hpp"

#include <memory>
#include <string>

#include "t/unit/ws_deflate_util.hpp"

using namespace chat::ws;
using namespace wstest;

namespace {

std::string deflateOne(Deflater& deflater, std::string_view text)
{
    Buffer out;
    ck_assert(deflater.message(text, out));
    return std::string(out.view());
}

std::string inflateOne(Inflater& inflater, std::string_view payload,
                       std::size_t limit = 1 << 22)
{
    Buffer out;
    auto* data = reinterpret_cast<const unsigned char*>(payload.data());
    Fault fault = inflater.feed(data, payload.size(), out, limit);
    if (fault == Fault::None) {
        fault = inflater.finish(out, limit);
    }
    ck_assert_uint_le(out.size(), limit + 1);
    ck_assert_uint_le(out.capacity(), limit + 1);
    return fault == Fault::None ? std::string(out.view()) : describe(fault);
}

std::unique_ptr<Inflater> inflaterOf(int windowBits)
{
    std::unique_ptr<Inflater> inflater(Inflater::create(windowBits));
    ck_assert_ptr_nonnull(inflater.get());
    return inflater;
}

std::unique_ptr<Deflater> deflaterOf(int windowBits, int level = 6,
                                     int memLevel = 8)
{
    std::unique_ptr<Deflater> deflater(
        Deflater::create(windowBits, level, memLevel));
    ck_assert_ptr_nonnull(deflater.get());
    return deflater;
}

const std::size_t kSizes[] = {0,     1,     5,     100,   249,   250,  251,
                              256,   257,   511,   513,   1000,  5000, 32767,
                              32768, 32769, 65535, 65536, 100000};

}  // namespace

// RFC 7692 section 7.2.3.
START_TEST(rfcExamples)
{
    auto inflater = inflaterOf(15);
    EXPECT_EQ(inflateOne(*inflater,
                         bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00})),
              "Hello");
    // The second message refers to the first.
    EXPECT_EQ(inflateOne(*inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})),
              "Hello");
    inflater->reset();
    EXPECT_EQ(inflateOne(*inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})),
              "invalid compressed data");
    // A stored block; a block with BFINAL; two blocks; an empty message.
    inflater->reset();
    EXPECT_EQ(inflateOne(*inflater, bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48,
                                           0x65, 0x6c, 0x6c, 0x6f, 0x00})),
              "Hello");
    EXPECT_EQ(inflateOne(*inflater, bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07,
                                           0x00, 0x00})),
              "Hello");
    EXPECT_EQ(
        inflateOne(*inflater, bytes({0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff,
                                     0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00})),
        "Hello");
    EXPECT_EQ(inflateOne(*inflater, bytes({0x00})), "");

    EXPECT_EQ(deflateOne(*deflaterOf(15), "Hello"),
              bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}));
    EXPECT_EQ(deflateOne(*deflaterOf(15), ""), bytes({0x00}));
}
END_TEST

START_TEST(everyWindowBothWays)
{
    for (int bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        auto deflater = deflaterOf(bits);
        auto inflater = inflaterOf(bits);
        PeerInflater peer(bits);
        for (std::size_t size : kSizes) {
            for (const std::string& text : {sentences(size), noise(size)}) {
                std::string packed = deflateOne(*deflater, text);
                EXPECT_EQ(peer.message(packed), text);
                EXPECT_EQ(inflateOne(*inflater, packed), text);
            }
        }
    }
}
END_TEST

START_TEST(everyLevelAndMemLevel)
{
    std::string text = sentences(20000);
    for (int level = 1; level <= 9; ++level) {
        for (int memLevel = 1; memLevel <= 9; ++memLevel) {
            auto deflater = deflaterOf(12, level, memLevel);
            PeerInflater peer(12);
            for (int i = 0; i < 3; ++i) {
                EXPECT_EQ(peer.message(deflateOne(*deflater, text)), text);
            }
        }
    }
}
END_TEST

START_TEST(bytesOfAPeer)
{
    for (int bits = 9; bits <= kMaxWindowBits; ++bits) {
        PeerDeflater peer(bits);
        auto inflater = inflaterOf(bits);
        for (std::size_t size : kSizes) {
            std::string text = sentences(size);
            EXPECT_EQ(inflateOne(*inflater, peer.message(text)), text);
        }
    }
}
END_TEST

START_TEST(historyMakesTheNextMessageSmall)
{
    auto deflater = deflaterOf(15);
    std::string text = noise(1000);
    std::size_t first = deflateOne(*deflater, text).size();
    ck_assert_uint_lt(deflateOne(*deflater, text).size(), 50);
    deflater->forget();
    ck_assert_uint_eq(deflateOne(*deflater, text).size(), first);
}
END_TEST

START_TEST(windowOfAPeerThatIsTooLarge)
{
    PeerDeflater peer(15);
    std::string text = noise(5000);
    std::string both = text + text;
    auto inflater = inflaterOf(9);
    // Fed in small runs, as from a socket: only the window remembers.
    std::string packed = peer.message(both);
    Buffer out;
    Fault fault = Fault::None;
    for (std::size_t i = 0; i < packed.size() && fault == Fault::None; ++i) {
        fault = inflater->feed(
            reinterpret_cast<const unsigned char*>(packed.data()) + i, 1, out,
            1 << 20);
    }
    ck_assert(fault == Fault::InvalidCompressedData);
}
END_TEST

START_TEST(invalidData)
{
    for (const std::string& bad :
         {std::string(), bytes({0xff}), bytes({0x07}),
          bytes({0x00, 0x05, 0x00, 0xff, 0xff}), bytes({0xf2, 0x48, 0xcd}),
          bytes({0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}),
          bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07}),
          bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}),
          bytes({0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c}),
          bytes({0x00, 0x00, 0x00, 0xff, 0xff})}) {
        EXPECT_EQ(inflateOne(*inflaterOf(15), bad), "invalid compressed data");
    }
}
END_TEST

// A message that is cut anywhere never passes for a whole one.
START_TEST(truncatedAnywhere)
{
    std::string packed = PeerDeflater().message(sentences(2000));
    for (std::size_t size = 0; size < packed.size(); ++size) {
        EXPECT_EQ(inflateOne(*inflaterOf(15), packed.substr(0, size)),
                  "invalid compressed data");
    }
}
END_TEST

START_TEST(limitIsExact)
{
    for (std::size_t size : {1U, 100U, 4096U, 65536U}) {
        for (const std::string& text :
             {std::string(size, 'x'), noise(size), sentences(size)}) {
            std::string packed = PeerDeflater().message(text);
            EXPECT_EQ(inflateOne(*inflaterOf(15), packed, size), text);
            EXPECT_EQ(inflateOne(*inflaterOf(15), packed, size - 1),
                      "message too big");
        }
    }
    EXPECT_EQ(inflateOne(*inflaterOf(15), bytes({0}), 0), "");
}
END_TEST

START_TEST(bombStopsAtTheLimit)
{
    std::string packed =
        PeerDeflater(15, 9).message(std::string(64 << 20, '\0'));
    ck_assert_uint_lt(packed.size(), 70000);
    EXPECT_EQ(inflateOne(*inflaterOf(15), packed, 65536), "message too big");
}
END_TEST

START_TEST(appendsToWhatIsThere)
{
    auto deflater = deflaterOf(15);
    Buffer out;
    ck_assert(out.append("header", 6));
    ck_assert(deflater->message("Hello", out));
    EXPECT_EQ(out.view(),
              "header" + bytes({0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}));
}
END_TEST

START_TEST(poolGivesFreshContexts)
{
    DeflatePool pool;
    Deflater* deflater = pool.deflater(15, 6, 8);
    std::string text = noise(300);
    std::string first = deflateOne(*deflater, text);
    ck_assert_ptr_eq(pool.deflater(15, 6, 8), deflater);
    EXPECT_EQ(deflateOne(*deflater, text), first);
    ck_assert_ptr_ne(pool.deflater(10, 6, 8), deflater);
    ck_assert_ptr_ne(pool.deflater(15, 1, 8), deflater);
    ck_assert_ptr_ne(pool.deflater(15, 6, 1), deflater);
    ck_assert_ptr_eq(pool.deflater(8, 6, 8), pool.deflater(9, 6, 8));
    ck_assert_ptr_eq(pool.deflater(15, 6, 8), deflater);

    Inflater* inflater = pool.inflater();
    EXPECT_EQ(inflateOne(*inflater, first), text);
    ck_assert_ptr_eq(pool.inflater(), inflater);
    EXPECT_EQ(inflateOne(*inflater, bytes({0xf2, 0x00, 0x11, 0x00, 0x00})),
              "invalid compressed data");
}
END_TEST

START_TEST(compressorWithoutContext)
{
    DeflatePool pool;
    DeflateOptions options;
    Compressor compressor;
    Buffer out;
    ck_assert(compressor.compress(options, pool, "Hello", out) ==
              Compressor::Result::Raw);  // not agreed on
    DeflateParams params;
    params.enabled = true;
    compressor.start(params);
    std::string text = sentences(1000);
    for (int i = 0; i < 2; ++i) {
        out.clear();
        ck_assert(compressor.compress(options, pool, text, out) ==
                  Compressor::Result::Compressed);
        EXPECT_EQ(PeerInflater(15).message(out.view()), text);
    }
    out.clear();
    ck_assert(out.append("x", 1));
    ck_assert(compressor.compress(options, pool, noise(1000), out) ==
              Compressor::Result::Raw);
    EXPECT_EQ(out.view(), "x");
    ck_assert_uint_le(sizeof(Compressor), 16);
}
END_TEST

START_TEST(compressorWithContext)
{
    DeflatePool pool;
    DeflateOptions options;
    DeflateParams params;
    params.enabled = true;
    params.serverContext = true;
    params.serverWindowBits = 11;
    Compressor compressor;
    compressor.start(params);
    PeerInflater peer(11);
    std::string text = noise(500);
    std::size_t sizes[3];
    for (std::size_t& size : sizes) {
        Buffer out;
        ck_assert(compressor.compress(options, pool, text, out) ==
                  Compressor::Result::Compressed);
        EXPECT_EQ(peer.message(out.view()), text);
        size = out.size();
    }
    ck_assert_uint_lt(sizes[1], sizes[0] / 4);
    ck_assert_uint_lt(sizes[2], sizes[0] / 4);
}
END_TEST

int main()
{
    return runTests(
        "ws deflate",
        {rfcExamples, everyWindowBothWays, everyLevelAndMemLevel, bytesOfAPeer,
         historyMakesTheNextMessageSmall, windowOfAPeerThatIsTooLarge,
         invalidData, truncatedAnywhere, limitIsExact, bombStopsAtTheLimit,
         appendsToWhatIsThere, poolGivesFreshContexts, compressorWithoutContext,
         compressorWithContext});
}
