#include "ngx_chat_module/ws/decoder.hpp"

#include <string>

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;
using namespace wstest;

namespace {

struct Outcome {
    std::string frames;
    Fault fault = Fault::None;
    std::size_t taken = 0;  // bytes consumed until the fault
};

// Feeds in pieces of `step` bytes, each in a block of its own size.
Outcome decode(std::string_view stream, const Limits& limits, bool compression,
               std::size_t step)
{
    Outcome out;
    Decoder decoder;
    for (std::size_t i = 0; i < stream.size(); i += step) {
        std::string_view piece = stream.substr(i, step);
        std::unique_ptr<unsigned char[]> block(new unsigned char[piece.size()]);
        std::memcpy(block.get(), piece.data(), piece.size());
        unsigned char* pos = block.get();
        Chunk chunk;
        Decoder::Result result;
        while ((result = decoder.next(limits, compression, pos,
                                      block.get() + piece.size(), chunk)) ==
               Decoder::Result::Chunk) {
            if (chunk.frameStart) {
                out.frames += std::to_string(static_cast<int>(chunk.opcode));
                out.frames += chunk.compressed ? "z(" : "(";
            }
            out.frames.append(reinterpret_cast<char*>(chunk.data), chunk.size);
            if (chunk.frameEnd) {
                out.frames += chunk.messageEnd ? ")." : ")";
            }
        }
        out.taken += static_cast<std::size_t>(pos - block.get());
        if (result == Decoder::Result::Fault) {
            out.fault = decoder.fault();
            return out;
        }
        ck_assert_ptr_eq(pos, block.get() + piece.size());
    }
    return out;
}

Outcome decodeAnyway(std::string_view stream, const Limits& limits = {},
                     bool compression = false)
{
    Outcome whole = decode(stream, limits, compression, stream.size() + 1);
    for (std::size_t step : {1, 2, 3, 4, 13, 14, 15, 100}) {
        Outcome cut = decode(stream, limits, compression, step);
        EXPECT_EQ(cut.frames, whole.frames);
        ck_assert_int_eq(static_cast<int>(cut.fault),
                         static_cast<int>(whole.fault));
        ck_assert_uint_eq(cut.taken, whole.taken);
    }
    return whole;
}

// The stream fails, and does so with its byte number `at`.
void failsAt(std::string_view stream, Fault fault, std::size_t at,
             const Limits& limits = {}, bool compression = false)
{
    Outcome out = decodeAnyway(stream, limits, compression);
    EXPECT_EQ(describe(out.fault), describe(fault));
    ck_assert_uint_eq(out.taken, at);
    if (at != 0) {
        Outcome before =
            decode(stream.substr(0, at - 1), limits, compression, 1);
        EXPECT_EQ(describe(before.fault), "no fault");
    }
}

std::string good(std::string_view stream, const Limits& limits = {},
                 bool compression = false)
{
    Outcome out = decodeAnyway(stream, limits, compression);
    return out.fault == Fault::None ? out.frames : describe(out.fault);
}

// Header of a masked frame that declares a length in the 64-bit form.
std::string declares(int first, std::uint64_t length)
{
    std::string out = bytes({first, 0xff});
    for (int shift = 56; shift >= 0; shift -= 8) {
        out.push_back(static_cast<char>(length >> shift));
    }
    return out;
}

}  // namespace

START_TEST(rfcExamples)
{
    EXPECT_EQ(good(bytes({0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d,
                          0x51, 0x58})),
              "1(Hello).");
    EXPECT_EQ(good(frame(0x01, "Hel") + frame(0x80, "lo")), "1(Hel)1(lo).");
    EXPECT_EQ(good(frame(0x89, "Hello") + frame(0x8a, "Hello")),
              "9(Hello)10(Hello)");
}
END_TEST

START_TEST(everyLengthBoundary)
{
    Limits limits;
    limits.maxMessage = 70000;
    for (std::size_t size : {0, 1, 2, 124, 125, 126, 127, 128, 65534, 65535,
                             65536, 65537, 69999, 70000}) {
        std::string payload(size, 'x');
        for (std::size_t i = 0; i < size; ++i) {
            payload[i] = static_cast<char>('a' + i % 23);
        }
        EXPECT_EQ(good(frame(0x82, payload) + frame(0x82, "!"), limits),
                  "2(" + payload + ").2(!).");
    }
    for (std::size_t size : {70001, 100000}) {
        failsAt(frame(0x82, std::string(size, 'x')), Fault::MessageTooBig, 10,
                limits);
    }
}
END_TEST

START_TEST(limitsOfEveryLengthForm)
{
    for (std::uint32_t limit :
         {0U, 1U, 124U, 125U, 126U, 127U, 65534U, 65535U, 65536U, 65537U}) {
        Limits limits;
        limits.maxMessage = limit;
        std::string payload(limit, 'x');
        EXPECT_EQ(good(frame(0x82, payload), limits), "2(" + payload + ").");
        std::size_t at = limit + 1 < 126 ? 2 : limit + 1 < 65536 ? 4 : 10;
        failsAt(frame(0x82, payload + "x"), Fault::MessageTooBig, at, limits);
        EXPECT_EQ(good(frame(0x02, payload) + frame(0x80, ""), limits),
                  "2(" + payload + ")2().");
        failsAt(frame(0x02, payload) + frame(0x80, "x"), Fault::MessageTooBig,
                frame(0x02, payload).size() + 2, limits);
    }
}
END_TEST

START_TEST(nonMinimalLengths)
{
    for (std::size_t size : {0, 1, 125}) {
        std::string payload(size, 'x');
        failsAt(frame(0x82, payload, LengthForm::Sixteen),
                Fault::LengthNotMinimal, 4);
    }
    for (std::size_t size : {0, 1, 125, 126, 127, 65535}) {
        std::string payload(size, 'x');
        failsAt(frame(0x82, payload, LengthForm::SixtyFour),
                Fault::LengthNotMinimal, 10);
    }
}
END_TEST

START_TEST(hugeLengths)
{
    Limits limits;
    limits.maxMessage = UINT32_MAX - 1;
    failsAt(declares(0x82, 1ULL << 63), Fault::LengthTooLarge, 10, limits);
    failsAt(declares(0x82, UINT64_MAX), Fault::LengthTooLarge, 10, limits);
    failsAt(declares(0x82, (1ULL << 63) - 1), Fault::MessageTooBig, 10, limits);
    failsAt(declares(0x82, 1ULL << 32), Fault::MessageTooBig, 10, limits);
    failsAt(declares(0x82, UINT32_MAX), Fault::MessageTooBig, 10, limits);
    EXPECT_EQ(good(declares(0x82, UINT32_MAX - 1), limits), "");
    failsAt(frame(0x02, "x") + declares(0x80, UINT32_MAX - 1),
            Fault::MessageTooBig, 17, limits);
}
END_TEST

START_TEST(everyFirstByte)
{
    for (int first = 0; first < 256; ++first) {
        int opcode = first & 0x0f;
        bool fin = (first & 0x80) != 0;
        bool data = opcode == 1 || opcode == 2;
        bool control = opcode >= 8 && opcode <= 10;
        std::string stream = frame(first, "x");
        for (bool compression : {false, true}) {
            bool rsv1 = (first & 0x40) != 0;
            bool reserved = (first & 0x30) != 0 ||
                            (rsv1 && !(compression && data) &&
                             !(compression && !control && opcode != 0));
            Fault fault = reserved            ? Fault::ReservedBit
                          : opcode == 0       ? Fault::NothingToContinue
                          : !data && !control ? Fault::ReservedOpcode
                          : control && !fin   ? Fault::ControlFragmented
                                              : Fault::None;
            if (fault != Fault::None) {
                failsAt(stream, fault, 1, {}, compression);
                continue;
            }
            std::string wanted = std::to_string(opcode);
            wanted += (first & 0x40) != 0 ? "z(x)" : "(x)";
            wanted += data && fin ? "." : "";
            EXPECT_EQ(good(stream, {}, compression), wanted);
        }
    }
}
END_TEST

START_TEST(everyFirstByteInsideAMessage)
{
    for (int begin : {0x01, 0x02, 0x41}) {
        std::string before = frame(begin, "a");
        std::string lead =
            std::to_string(begin & 0x0f) + (begin == 0x41 ? "z(a)" : "(a)");
        for (int first = 0; first < 256; ++first) {
            int opcode = first & 0x0f;
            bool control = opcode >= 8 && opcode <= 10;
            bool rsv1Only = (first & 0x70) == 0x40;
            Fault fault = Fault::None;
            if ((first & 0x30) != 0 || (rsv1Only && (opcode == 0 || control))) {
                fault = Fault::ReservedBit;
            } else if (opcode == 1 || opcode == 2) {
                fault = Fault::MessageNotFinished;
            } else if (opcode != 0 && !control) {
                fault = Fault::ReservedOpcode;
            } else if (control && (first & 0x80) == 0) {
                fault = Fault::ControlFragmented;
            }
            std::string stream = before + frame(first, "x");
            if (fault != Fault::None) {
                failsAt(stream, fault, before.size() + 1, {}, true);
                continue;
            }
            std::string wanted = lead;
            wanted += control ? std::to_string(opcode) + "(x)"
                              : lead.substr(0, lead.find('(')) + "(x)";
            wanted += !control && (first & 0x80) != 0 ? "." : "";
            EXPECT_EQ(good(stream, {}, true), wanted);
        }
    }
}
END_TEST

START_TEST(unmaskedFrames)
{
    for (int first : {0x81, 0x82, 0x01, 0x88, 0x89, 0x8a}) {
        for (int length = 0; length < 128; ++length) {
            failsAt(bytes({first, length}), Fault::NotMasked, 2);
        }
    }
}
END_TEST

START_TEST(controlFrames)
{
    for (int first : {0x88, 0x89, 0x8a}) {
        std::string most(125, 'x');
        std::string name = std::to_string(first & 0x0f);
        std::string wanted = name;
        wanted.append("(").append(most).append(")");
        EXPECT_EQ(good(frame(first, most)), wanted);
        EXPECT_EQ(good(frame(first, "")), name + "()");
        failsAt(frame(first, most + "x"), Fault::ControlTooLong, 2);
        failsAt(frame(first, "x", LengthForm::Sixteen), Fault::ControlTooLong,
                2);
        failsAt(frame(first, "x", LengthForm::SixtyFour), Fault::ControlTooLong,
                2);
    }
    // They count toward no limit of messages.
    Limits limits;
    limits.maxMessage = 1;
    limits.maxFragments = 2;
    std::string ping = frame(0x89, "0123456789");
    EXPECT_EQ(
        good(frame(0x02, "a") + ping + ping + ping + frame(0x80, ""), limits),
        "2(a)9(0123456789)9(0123456789)9(0123456789)2().");
}
END_TEST

START_TEST(fragmentLimit)
{
    Limits limits;
    limits.maxFragments = 3;
    std::string three = frame(0x01, "a") + frame(0x00, "") + frame(0x80, "b");
    EXPECT_EQ(good(three + three, limits), "1(a)1()1(b).1(a)1()1(b).");
    std::string open = frame(0x01, "a") + frame(0x00, "") + frame(0x00, "b");
    failsAt(open + frame(0x80, "c"), Fault::TooManyFragments, open.size() + 1,
            limits);
    limits.maxFragments = 1;
    EXPECT_EQ(good(frame(0x81, "a") + frame(0x81, "b"), limits), "1(a).1(b).");
    failsAt(frame(0x01, "a") + frame(0x80, ""), Fault::TooManyFragments, 8,
            limits);
    limits.maxFragments = 0;
    std::string many = frame(0x01, "");
    for (int i = 0; i < 5000; ++i) {
        many += frame(0x00, "");
    }
    ck_assert(good(many + frame(0x80, "end"), limits) != "");
}
END_TEST

START_TEST(compressedFramesMayTakeMoreOnTheWire)
{
    Limits limits;
    limits.maxMessage = 1000;
    std::size_t most = maxCompressed(1000);
    std::string payload(most, 'x');
    EXPECT_EQ(good(frame(0xc2, payload), limits, true), "2z(" + payload + ").");
    failsAt(frame(0xc2, payload + "x"), Fault::MessageTooBig, 4, limits, true);
    failsAt(frame(0x82, std::string(1001, 'x')), Fault::MessageTooBig, 4,
            limits, true);
}
END_TEST

START_TEST(staysFailed)
{
    Decoder decoder;
    Limits limits;
    Chunk chunk;
    std::string stream = bytes({0x83}) + text("x");
    auto* pos = reinterpret_cast<unsigned char*>(stream.data());
    auto* end = pos + stream.size();
    for (int i = 0; i < 3; ++i) {
        ck_assert(decoder.next(limits, false, pos, end, chunk) ==
                  Decoder::Result::Fault);
        ck_assert(decoder.fault() == Fault::ReservedOpcode);
    }
}
END_TEST

START_TEST(countsFramesAndKnowsWhenIdle)
{
    Decoder decoder;
    Limits limits;
    Chunk chunk;
    ck_assert(decoder.idle());
    ck_assert_uint_le(sizeof(Decoder), 40);
    std::string stream = frame(0x01, "ab") + frame(0x89, "") + frame(0x80, "");
    for (std::size_t i = 0; i < stream.size(); ++i) {
        auto* pos = reinterpret_cast<unsigned char*>(stream.data()) + i;
        unsigned char* end = pos + 1;
        while (decoder.next(limits, false, pos, end, chunk) ==
               Decoder::Result::Chunk) {
        }
        ck_assert_int_eq(decoder.idle(), i + 1 == stream.size());
    }
    ck_assert_uint_eq(decoder.frames(), 3);
    ck_assert_uint_eq(decoder.messageSize(), 2);
}
END_TEST

int main()
{
    return runTests(
        "ws decoder",
        {rfcExamples, everyLengthBoundary, limitsOfEveryLengthForm,
         nonMinimalLengths, hugeLengths, everyFirstByte,
         everyFirstByteInsideAMessage, unmaskedFrames, controlFrames,
         fragmentLimit, compressedFramesMayTakeMoreOnTheWire, staysFailed,
         countsFramesAndKnowsWhenIdle});
}
