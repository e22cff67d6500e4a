// The assembler with permessage-deflate.

#include "ngx_chat_module/ws/assembler.hpp"
#include "t/unit/ws_deflate_util.hpp"

using namespace chat::ws;
using namespace wstest;

namespace {

ReceiveOptions pooled(DeflatePool& pool, std::uint32_t maxMessage = 100000)
{
    ReceiveOptions options;
    options.limits.maxMessage = maxMessage;
    options.pool = &pool;
    return options;
}

DeflateParams agreed(bool keepContext, int clientWindowBits = 15)
{
    DeflateParams params;
    params.enabled = true;
    params.clientContext = keepContext;
    params.clientWindowBits = static_cast<std::uint8_t>(clientWindowBits);
    return params;
}

std::string fragmented(int first, std::string_view payload, std::size_t step)
{
    std::string out;
    for (std::size_t i = 0; i < payload.size(); i += step) {
        bool last = i + step >= payload.size();
        out += frame((i == 0 ? first : 0) | (last ? 0x80 : 0),
                     payload.substr(i, step));
    }
    return out;
}

}  // namespace

START_TEST(messagesWithAndWithoutContext)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    for (int bits = 9; bits <= 15; ++bits) {
        PeerDeflater keeping(bits);
        std::string kept;
        std::string fresh;
        std::string wanted;
        for (std::size_t size : {0, 1, 5, 500, 3000, 40000}) {
            std::string text = sentences(size);
            kept += frame(0xc1, keeping.message(text));
            fresh += frame(0xc1, PeerDeflater(bits).message(text));
            wanted += (wanted.empty() ? "text " : " | text ") + text;
        }
        EXPECT_EQ(run(kept, options, agreed(true, bits)), wanted);
        EXPECT_EQ(run(fresh, options, agreed(true, bits)), wanted);
        EXPECT_EQ(run(fresh, options, agreed(false, bits)), wanted);
    }
}
END_TEST

START_TEST(historyIsForgottenWithoutContext)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    PeerDeflater peer;
    std::string text = noise(100);
    std::string stream = frame(0xc2, peer.message(text));
    stream += frame(0xc2, peer.message(text));
    EXPECT_EQ(run(stream, options, agreed(true)),
              "binary " + text + " | binary " + text);
    EXPECT_EQ(run(stream, options, agreed(false)),
              "binary " + text + " | fault 1007 invalid compressed data");
}
END_TEST

START_TEST(fragmentsAndControlFramesBetween)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    std::string text = sentences(3000);
    for (bool keep : {false, true}) {
        for (std::size_t step : {1, 7, 100}) {
            std::string packed = PeerDeflater().message(text);
            EXPECT_EQ(
                run(fragmented(0x41, packed, step), options, agreed(keep)),
                "text " + text);
        }
        EXPECT_EQ(run(frame(0x41, bytes({0xf2, 0x48, 0xcd})) +
                          frame(0x89, "p") + frame(0x00, "") +
                          frame(0x80, bytes({0xc9, 0xc9, 0x07, 0x00})),
                      options, agreed(keep)),
                  "ping p | text Hello");
        EXPECT_EQ(run(frame(0x41, "") + frame(0x00, bytes({0xf2, 0x48, 0xcd})) +
                          frame(0x00, bytes({0xc9, 0xc9, 0x07, 0x00})) +
                          frame(0x80, ""),
                      options, agreed(keep)),
                  "text Hello");
    }
}
END_TEST

START_TEST(plainMessagesBetween)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    PeerDeflater peer;
    std::string text = sentences(300);
    std::string stream = frame(0xc1, peer.message(text));
    stream += frame(0x81, "plain");
    stream += frame(0xc1, peer.message(text));
    EXPECT_EQ(run(stream, options, agreed(true)),
              "text " + text + " | text plain | text " + text);
}
END_TEST

// Two clients whose messages arrive in alternating pieces share one inflater.
START_TEST(sessionsDoNotMix)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    Assembler first(&options, agreed(false));
    Assembler second(&options, agreed(false));
    std::string one = sentences(900);
    std::string two = noise(900);
    std::string a = frame(0xc2, PeerDeflater().message(one));
    std::string b = frame(0xc2, PeerDeflater().message(two));
    std::vector<std::string> fromFirst;
    std::vector<std::string> fromSecond;
    for (std::size_t i = 0; i < std::max(a.size(), b.size()); i += 10) {
        feedPiece(first, i < a.size() ? a.substr(i, 10) : "", fromFirst);
        feedPiece(second, i < b.size() ? b.substr(i, 10) : "", fromSecond);
    }
    EXPECT_EQ(joined(fromFirst), "binary " + one);
    EXPECT_EQ(joined(fromSecond), "binary " + two);
}
END_TEST

START_TEST(limitCountsInflatedBytes)
{
    DeflatePool pool;
    for (std::uint32_t size : {1U, 125U, 126U, 4096U, 65535U, 65536U}) {
        ReceiveOptions options = pooled(pool, size);
        std::string text(size, 'x');
        for (bool keep : {false, true}) {
            EXPECT_EQ(run(frame(0xc1, PeerDeflater().message(text)), options,
                          agreed(keep)),
                      "text " + text);
            EXPECT_EQ(run(frame(0xc1, PeerDeflater().message(text + "x")),
                          options, agreed(keep)),
                      "fault 1009 message too big");
        }
    }
}
END_TEST

// Bytes that do not compress are larger on the wire than they are.
START_TEST(incompressibleMessageAtTheLimit)
{
    DeflatePool pool;
    for (std::uint32_t size : {1U, 100U, 5000U, 65536U}) {
        ReceiveOptions options = pooled(pool, size);
        std::string data = noise(size);
        std::string packed = PeerDeflater(15, 1).message(data);
        ck_assert_uint_gt(packed.size(), size);
        EXPECT_EQ(run(frame(0xc2, packed), options, agreed(false)),
                  "binary " + data);
    }
}
END_TEST

START_TEST(bombsCostNothing)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool, 65536);
    std::string bomb =
        frame(0xc2, PeerDeflater(15, 9).message(std::string(60 << 20, '\0')));
    for (bool keep : {false, true}) {
        Assembler assembler(&options, agreed(keep));
        std::vector<std::string> lines;
        std::size_t most = 0;
        for (std::size_t i = 0; i < bomb.size(); i += 1000) {
            feedPiece(assembler, bomb.substr(i, 1000), lines);
            most = std::max(most, held(assembler));
        }
        EXPECT_EQ(joined(lines), "fault 1009 message too big");
        ck_assert_uint_le(most, keep ? 67000 : 2 * bomb.size());
        ck_assert_uint_eq(held(assembler), 0);
    }
    // An endless row of empty blocks inflates to nothing and is bounded, too.
    std::string empty(maxCompressed(65536) + 1, '\0');
    EXPECT_EQ(joined(events(frame(0xc2, empty), 0, options, agreed(true))),
              "fault 1009 message too big");
}
END_TEST

START_TEST(invalidUtf8InCompressedText)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    for (const char* bad : {"\xff", "abc\xed\xa0\x80", "abc\xe6\x8e"}) {
        for (bool keep : {false, true}) {
            std::string packed = PeerDeflater().message(bad);
            EXPECT_EQ(run(frame(0xc1, packed), options, agreed(keep)),
                      "fault 1007 invalid UTF-8");
            EXPECT_EQ(run(frame(0xc2, packed), options, agreed(keep)),
                      std::string("binary ") + bad);
        }
    }
    std::string text = sentences(200) + "\xe6\x8e\xa5" + sentences(200);
    EXPECT_EQ(run(fragmented(0x41, PeerDeflater(15, 1).message(text), 3),
                  options, agreed(true)),
              "text " + text);
}
END_TEST

// The first thing wrong decides, however much arrives at once.
START_TEST(firstOfTwoFaults)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool, 1000);
    for (bool keep : {false, true}) {
        std::string packed =
            PeerDeflater().message("\xff" + std::string(100000, 'x'));
        EXPECT_EQ(run(frame(0xc1, packed), options, agreed(keep)),
                  "fault 1007 invalid UTF-8");
        packed = PeerDeflater().message(std::string(1001, 'x') + "\xff");
        EXPECT_EQ(run(frame(0xc1, packed), options, agreed(keep)),
                  "fault 1009 message too big");
        packed = PeerDeflater().message("\xff") + bytes({0xff, 0xff});
        EXPECT_EQ(run(frame(0xc1, packed), options, agreed(keep)),
                  "fault 1007 invalid UTF-8");
    }
}
END_TEST

START_TEST(invalidCompressedData)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    std::string packed = PeerDeflater().message(sentences(500));
    for (bool keep : {false, true}) {
        for (const std::string& bad : {std::string(), bytes({0xff, 0xff}),
                                       packed.substr(0, 100), packed + "x"}) {
            EXPECT_EQ(run(frame(0xc2, bad), options, agreed(keep)),
                      "fault 1007 invalid compressed data");
        }
    }
}
END_TEST

START_TEST(reportsWhatCameOnTheWire)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    std::string packed = PeerDeflater().message(sentences(1000));
    std::string stream =
        frame(0x42, packed.substr(0, 50)) + frame(0x80, packed.substr(50));
    Assembler assembler(&options, agreed(false));
    auto* pos = reinterpret_cast<unsigned char*>(stream.data());
    Event event = assembler.next(pos, pos + stream.size());
    ck_assert(event.compressed);
    ck_assert_uint_eq(event.wire, packed.size());
    ck_assert_uint_eq(event.data.size(), 1000);
}
END_TEST

START_TEST(nothingHeldBetweenMessages)
{
    DeflatePool pool;
    ReceiveOptions options = pooled(pool);
    Assembler assembler(&options, agreed(false));
    std::vector<std::string> lines;
    std::string stream = frame(0xc2, PeerDeflater().message(sentences(1000)));
    feedPiece(assembler, stream.substr(0, 60), lines);
    ck_assert_uint_ne(held(assembler), 0);
    feedPiece(assembler, stream.substr(60), lines);
    ck_assert_uint_eq(lines.size(), 1);
    ck_assert_uint_eq(held(assembler), 0);
}
END_TEST

int main()
{
    return runTests(
        "ws assembler with deflate",
        {messagesWithAndWithoutContext, historyIsForgottenWithoutContext,
         fragmentsAndControlFramesBetween, plainMessagesBetween,
         sessionsDoNotMix, limitCountsInflatedBytes,
         incompressibleMessageAtTheLimit, bombsCostNothing,
         invalidUtf8InCompressedText, firstOfTwoFaults, invalidCompressedData,
         reportsWhatCameOnTheWire, nothingHeldBetweenMessages});
}
