// relay_reader.hpp: every frame whole, byte by byte and at every split; every
// way to be malformed.

#include "shared/relay_reader.hpp"

#include <check.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "shared/relay_bytes.hpp"
#include "shared/relay_writer.hpp"

namespace {

using namespace chat::relay;

constexpr std::uint32_t kBound = 4096;

struct Copy {
    Kind kind;
    std::uint8_t flags;
    std::uint16_t code;
    std::uint64_t id;
    std::string payload;

    bool operator==(const Copy& other) const
    {
        return kind == other.kind && flags == other.flags &&
               code == other.code && id == other.id && payload == other.payload;
    }
};

// Feeds the bytes in pieces of that size, each from memory of its own that is
// gone afterwards, and returns the frames up to the end or the error.
std::vector<Copy> readAll(Reader* reader, const std::string& bytes,
                          std::size_t piece)
{
    std::vector<Copy> frames;

    for (std::size_t at = 0; at < bytes.size(); at += piece) {
        std::string part = bytes.substr(at, piece);
        std::vector<char> memory(part.begin(), part.end());
        reader->feed({memory.data(), memory.size()});

        Frame frame;
        while (reader->next(&frame) == Reader::Status::Frame) {
            frames.push_back({frame.kind, frame.flags, frame.code, frame.id,
                              std::string(frame.payload)});
        }
        if (reader->error() != Error::None) {
            break;
        }
    }
    return frames;
}

std::string hello(std::uint32_t maxPayload = 3000)
{
    std::string bytes;
    Hello hello;
    hello.instance = 0x1122334455667788;
    hello.maxPayload = maxPayload;
    hello.name = "nginx 17";
    appendHello(&bytes, hello);
    return bytes;
}

std::string raw(std::uint8_t kind, const std::string& payload = "",
                std::uint8_t flags = 0, std::uint16_t code = 0)
{
    std::string bytes;
    appendFrame(&bytes, static_cast<Kind>(kind), flags, code, 7, payload);
    return bytes;
}

// What the reader makes of these bytes, whole and byte by byte: both ways
// must give the same.
Error errorOf(Side side, const std::string& bytes)
{
    Reader whole(side, kBound);
    Reader single(side, kBound);
    auto expected = readAll(&whole, bytes, bytes.size());
    auto frames = readAll(&single, bytes, 1);

    ck_assert(frames == expected);
    ck_assert_int_eq(static_cast<int>(whole.error()),
                     static_cast<int>(single.error()));
    return whole.error();
}

void assertError(Side side, const std::string& bytes, Error expected)
{
    Error error = errorOf(side, bytes);
    ck_assert_msg(error == expected, "\"%s\" instead of \"%s\"",
                  errorText(error), errorText(expected));
}

START_TEST(testAllFramesAtEverySplit)
{
    std::string bytes = hello();
    Attach attach;
    attach.mark = 9;
    attach.user = "1";
    attach.address = "::1";
    appendAttach(&bytes, 0x100000002, attach);
    appendMessage(&bytes, 0x100000002, std::string(3000, 'x'), false);
    appendMessage(&bytes, 0x100000002, "", true);
    appendWritten(&bytes, 3);
    appendRequest(&bytes, 4, "/metrics", "body");
    appendPing(&bytes, 5);
    appendPong(&bytes, 6);
    appendDetach(&bytes, 0x100000002, 1006);

    Reader reference(Side::Worker, kBound);
    std::vector<Copy> expected = readAll(&reference, bytes, bytes.size());
    ck_assert_uint_eq(expected.size(), 9);
    ck_assert(reference.error() == Error::None);
    ck_assert_uint_eq(reference.buffered(), 0);
    ck_assert(expected[2].payload == std::string(3000, 'x'));
    ck_assert(expected[3].flags == kBinary);
    ck_assert(expected[8].code == 1006);
    ck_assert(expected[8].id == 0x100000002);

    for (std::size_t piece = 1; piece <= bytes.size(); ++piece) {
        Reader reader(Side::Worker, kBound);
        ck_assert(readAll(&reader, bytes, piece) == expected);
    }
}
END_TEST

START_TEST(testWholeFramesAreViews)
{
    std::string bytes = hello();
    appendMessage(&bytes, 1, "first", false);
    appendMessage(&bytes, 1, "second", false);

    Reader reader(Side::Worker, kBound);
    Frame frame;
    reader.feed(bytes);

    while (reader.next(&frame) == Reader::Status::Frame) {
        ck_assert(frame.payload.data() >= bytes.data());
        ck_assert(frame.payload.data() + frame.payload.size() <=
                  bytes.data() + bytes.size());
    }
}
END_TEST

START_TEST(testHello)
{
    Reader reader(Side::Nginx, kBound);
    ck_assert(!reader.helloSeen());
    ck_assert_uint_eq(reader.peerMaxPayload(), 0);

    ck_assert_uint_eq(readAll(&reader, hello(), 3).size(), 1);
    ck_assert(reader.helloSeen());
    ck_assert_uint_eq(reader.peerMaxPayload(), 3000);
    ck_assert_uint_eq(reader.peerInstance(), 0x1122334455667788);
}
END_TEST

START_TEST(testHelloFaults)
{
    assertError(Side::Worker, raw(3, "text"), Error::NotHello);
    assertError(Side::Worker, hello() + hello(), Error::BadHello);
    assertError(Side::Worker, hello(kMinPayload - 1), Error::BadHello);
    assertError(Side::Worker, hello(kMinPayload), Error::None);

    std::string bytes = hello();
    bytes[6] = 2;
    assertError(Side::Worker, bytes, Error::Version);

    bytes = hello();
    bytes[16] = 'c';
    assertError(Side::Worker, bytes, Error::BadHello);

    std::string longName(8 + 256, 'n');
    store(&longName[0], kMagic);
    store(&longName[4], kMinPayload);
    assertError(Side::Worker, raw(1, longName, 0, kVersion), Error::BadHello);
    longName.pop_back();
    assertError(Side::Worker, raw(1, longName, 0, kVersion), Error::None);

    assertError(Side::Worker, raw(1, "CHAT", 0, kVersion), Error::ShortPayload);
    assertError(Side::Worker,
                raw(1, std::string(kMaxHelloPayload + 1, 'x'), 0, kVersion),
                Error::TooLong);
}
END_TEST

START_TEST(testLengthBounds)
{
    std::string fits = hello() + raw(3, std::string(kBound, 'x'));
    assertError(Side::Worker, fits, Error::None);

    std::string tooLong = hello() + raw(3, std::string(kBound + 1, 'x'));
    assertError(Side::Worker, tooLong, Error::TooLong);

    // The header alone is enough to refuse it.
    assertError(Side::Worker, tooLong.substr(0, hello().size() + kHeaderSize),
                Error::TooLong);
    assertError(Side::Worker,
                hello() + std::string("\xff\xff\xff\xff\x03", 5) +
                    std::string(11, '\0'),
                Error::TooLong);
}
END_TEST

START_TEST(testKinds)
{
    // Payloads that are long enough for every kind.
    std::string payload(16, '\0');

    for (unsigned kind = 0; kind < 256; ++kind) {
        bool known = kind >= 1 && kind <= 14;
        bool toWorker = kind == 2 || kind == 3 || kind == 4 || kind == 10 ||
                        kind == 11 || kind == 13 || kind == 14;
        bool toNginx =
            (kind >= 5 && kind <= 9) || kind == 12 || kind == 13 || kind == 14;
        std::string bytes =
            hello() + raw(static_cast<std::uint8_t>(kind), payload);

        Error otherwise = !known      ? Error::UnknownKind
                          : kind == 1 ? Error::BadHello
                                      : Error::Direction;

        assertError(Side::Worker, bytes, toWorker ? Error::None : otherwise);
        assertError(Side::Nginx, bytes, toNginx ? Error::None : otherwise);
    }
}
END_TEST

START_TEST(testShortPayloads)
{
    struct Case {
        Side side;
        std::uint8_t kind;
        std::uint8_t flags;
        std::size_t least;
    };
    const Case cases[] = {
        {Side::Worker, 2, 0, 16}, {Side::Nginx, 5, kHasMark, 8},
        {Side::Nginx, 6, 0, 12},  {Side::Worker, 11, 0, 2},
        {Side::Nginx, 12, 0, 2},
    };

    for (const Case& each : cases) {
        std::string enough(each.least, '\0');
        std::string less(each.least - 1, '\0');

        assertError(each.side, hello() + raw(each.kind, enough, each.flags),
                    Error::None);
        assertError(each.side, hello() + raw(each.kind, less, each.flags),
                    Error::ShortPayload);
    }
}
END_TEST

START_TEST(testFailureIsFinal)
{
    Reader reader(Side::Worker, kBound);
    readAll(&reader, raw(3), 1);
    ck_assert(reader.error() == Error::NotHello);

    Frame frame;
    std::string good = hello();
    reader.feed(good);
    ck_assert(reader.next(&frame) == Reader::Status::Failed);

    Reader refused(Side::Worker, kBound);
    readAll(&refused, hello(), 100);
    refused.reject(Error::Malformed);
    refused.feed(good);
    ck_assert(refused.next(&frame) == Reader::Status::Failed);
    ck_assert(refused.error() == Error::Malformed);
}
END_TEST

START_TEST(testUnfinishedFrameIsHeldOnlyAsFarAsItCame)
{
    Reader reader(Side::Worker, kMaxPayload);
    readAll(&reader, hello(), 100);

    std::string bytes = raw(3, std::string(100000, 'x'));
    bytes.resize(500);
    readAll(&reader, bytes, 100);
    ck_assert_uint_eq(reader.buffered(), 500);
    ck_assert(reader.error() == Error::None);
}
END_TEST

START_TEST(testErrorTexts)
{
    for (int i = 0; i <= static_cast<int>(Error::NoMemory) + 1; ++i) {
        const char* text = errorText(static_cast<Error>(i));
        ck_assert(text != nullptr && std::strlen(text) > 5);
    }
}
END_TEST

Suite* readerSuite()
{
    Suite* suite = suite_create("relay reader");
    TCase* tests = tcase_create("reader");
    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, testAllFramesAtEverySplit);
    tcase_add_test(tests, testWholeFramesAreViews);
    tcase_add_test(tests, testHello);
    tcase_add_test(tests, testHelloFaults);
    tcase_add_test(tests, testLengthBounds);
    tcase_add_test(tests, testKinds);
    tcase_add_test(tests, testShortPayloads);
    tcase_add_test(tests, testFailureIsFinal);
    tcase_add_test(tests, testUnfinishedFrameIsHeldOnlyAsFarAsItCame);
    tcase_add_test(tests, testErrorTexts);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(readerSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
