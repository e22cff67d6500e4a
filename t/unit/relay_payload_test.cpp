// relay_payload.hpp and relay_writer.hpp: what is written is read back, and
// every shorter or longer payload is refused. The bytes of each kind stand
// here once as docs/relay-protocol.md gives them.

#include "shared/relay_payload.hpp"

#include <check.h>

#include <cstdlib>
#include <string>

#include "shared/relay_bytes.hpp"
#include "shared/relay_writer.hpp"

namespace {

using namespace chat::relay;
using namespace std::literals;

Frame parse(const std::string& bytes)
{
    Frame frame;
    ck_assert_uint_ge(bytes.size(), kHeaderSize);
    ck_assert_uint_eq(load<std::uint32_t>(bytes.data()),
                      bytes.size() - kHeaderSize);
    frame.kind = static_cast<Kind>(bytes[4]);
    frame.flags = static_cast<std::uint8_t>(bytes[5]);
    frame.code = load<std::uint16_t>(&bytes[6]);
    frame.id = load<std::uint64_t>(&bytes[8]);
    frame.payload = std::string_view(bytes).substr(kHeaderSize);
    return frame;
}

// The frame must decode, and every proper prefix of its payload and every
// payload with a byte more must not.
template <typename T>
void assertExact(const std::string& bytes, T* out)
{
    Frame frame = parse(bytes);
    std::string longer = std::string(frame.payload) + "x";

    ck_assert(decode(frame, out));

    for (std::size_t size = 0; size < frame.payload.size(); ++size) {
        Frame shorter = frame;
        shorter.payload = frame.payload.substr(0, size);
        T other;
        ck_assert(!decode(shorter, &other));
    }

    Frame more = frame;
    more.payload = longer;
    T other;
    ck_assert(!decode(more, &other));
}

START_TEST(testBytesOfEachKind)
{
    std::string out;
    appendHello(&out, {0x0807060504030201, 0x10000, "a"});
    ck_assert(out ==
              "\x09\0\0\0\x01\0\x01\0\x01\x02\x03\x04\x05\x06\x07\x08"
              "CHAT\0\0\x01\0a"s);

    out.clear();
    Attach attach;
    attach.mark = 5;
    attach.heartbeatTimeoutMs = 20000;
    attach.trustInit = true;
    attach.claimed = true;
    attach.user = "me";
    attach.address = "::1";
    appendAttach(&out, 2, attach);
    ck_assert(out ==
              "\x15\0\0\0\x02\x05\0\0\x02\0\0\0\0\0\0\0"
              "\x05\0\0\0\0\0\0\0\x20\x4e\0\0\x02\0\x03\0me::1"s);

    out.clear();
    appendMessage(&out, 2, "hi", true);
    ck_assert(out == "\x02\0\0\0\x03\x01\0\0\x02\0\0\0\0\0\0\0hi"s);

    out.clear();
    appendDetach(&out, 2, 1001);
    ck_assert(out == "\0\0\0\0\x04\0\xe9\x03\x02\0\0\0\0\0\0\0"s);

    out.clear();
    appendSend(&out, 2, "hi", kReportWritten);
    ck_assert(out == "\x02\0\0\0\x05\x02\0\0\x02\0\0\0\0\0\0\0hi"s);

    out.clear();
    appendSend(&out, 2, "hi", 0, 3);
    ck_assert(out ==
              "\x0a\0\0\0\x05\x04\0\0\x02\0\0\0\0\0\0\0"
              "\x03\0\0\0\0\0\0\0hi"s);

    out.clear();
    appendClose(&out, 2, 1003, "no");
    ck_assert(out == "\x02\0\0\0\x07\0\xeb\x03\x02\0\0\0\0\0\0\0no"s);

    out.clear();
    appendIdentify(&out, 2, "17", true);
    ck_assert(out ==
              "\x02\0\0\0\x08\x08\0\0\x02\0\0\0\0\0\0\0"
              "17"s);

    out.clear();
    appendReceipt(&out, 258);
    ck_assert(out == "\0\0\0\0\x09\0\0\0\x02\x01\0\0\0\0\0\0"s);

    out.clear();
    appendWritten(&out, 2);
    ck_assert(out == "\0\0\0\0\x0a\0\0\0\x02\0\0\0\0\0\0\0"s);

    out.clear();
    appendRequest(&out, 2, "/a", "b");
    ck_assert(out == "\x05\0\0\0\x0b\0\0\0\x02\0\0\0\0\0\0\0\x02\0/ab"s);

    out.clear();
    appendResponse(&out, 2, 404, "t", "b");
    ck_assert(out == "\x04\0\0\0\x0c\0\x94\x01\x02\0\0\0\0\0\0\0\x01\0tb"s);

    out.clear();
    appendPing(&out, 1);
    appendPong(&out, 1);
    ck_assert(out ==
              "\0\0\0\0\x0d\0\0\0\x01\0\0\0\0\0\0\0"
              "\0\0\0\0\x0e\0\0\0\x01\0\0\0\0\0\0\0"s);
}
END_TEST

START_TEST(testHello)
{
    std::string bytes;
    std::string name(300, 'n');
    appendHello(&bytes, {42, kMaxPayload, name});

    Hello hello;
    ck_assert(decode(parse(bytes), &hello));
    ck_assert_uint_eq(hello.instance, 42);
    ck_assert_uint_eq(hello.maxPayload, kMaxPayload);
    ck_assert_uint_eq(hello.name.size(), kMaxHelloName);
}
END_TEST

START_TEST(testAttach)
{
    for (unsigned bits = 0; bits < 16; ++bits) {
        Attach in;
        in.mark = 0xfedcba9876543210;
        in.heartbeatTimeoutMs = 0xffffffff;
        in.trustInit = (bits & 1) != 0;
        in.resumed = (bits & 2) != 0;
        in.claimed = (bits & 4) != 0;
        in.number = (bits & 8) != 0;
        in.user = "u\0ser"sv;
        in.address = "unix:";

        std::string bytes;
        appendAttach(&bytes, 1, in);
        Attach out;
        assertExact(bytes, &out);

        ck_assert_uint_eq(out.mark, in.mark);
        ck_assert_uint_eq(out.heartbeatTimeoutMs, in.heartbeatTimeoutMs);
        ck_assert(out.trustInit == in.trustInit);
        ck_assert(out.resumed == in.resumed);
        ck_assert(out.claimed == in.claimed);
        ck_assert(out.number == in.number);
        ck_assert(out.user == in.user);
        ck_assert(out.address == in.address);
    }
}
END_TEST

START_TEST(testLongTextsAreCutAtACharacter)
{
    // 65535 is in the middle of a three-byte character.
    std::string user = "xx";
    while (user.size() < 65536) {
        user += "\xe4\xbd\xa0";
    }

    Attach in;
    in.user = user;
    std::string bytes;
    appendAttach(&bytes, 1, in);
    Attach out;
    ck_assert(decode(parse(bytes), &out));
    ck_assert_uint_eq(out.user.size(), 65534);
    ck_assert_uint_eq(out.address.size(), 0);

    bytes.clear();
    appendClose(&bytes, 1, 1008, user);
    ck_assert_uint_eq(parse(bytes).payload.size(), 122);
}
END_TEST

START_TEST(testSend)
{
    Send out;
    std::string bytes;
    appendSend(&bytes, 1, "", kBinary | kReportWritten);
    Frame frame = parse(bytes);
    ck_assert(frame.flags == (kBinary | kReportWritten));
    ck_assert(decode(frame, &out));
    ck_assert(out.mark == 0 && out.message.empty());

    bytes.clear();
    appendSend(&bytes, 1, "text", 0, 77);
    frame = parse(bytes);
    ck_assert(decode(frame, &out));
    ck_assert(out.mark == 77 && out.message == "text");

    for (std::size_t size = 0; size < 8; ++size) {
        Frame shorter = frame;
        shorter.payload = frame.payload.substr(0, size);
        ck_assert(!decode(shorter, &out));
    }
}
END_TEST

START_TEST(testRequestAndResponse)
{
    std::string bytes;
    appendRequest(&bytes, 8, "/path", "");
    Frame frame = parse(bytes);
    Request request;
    ck_assert(decode(frame, &request));
    ck_assert(request.path == "/path" && request.body.empty());

    for (std::size_t size = 0; size < frame.payload.size(); ++size) {
        Frame shorter = frame;
        shorter.payload = frame.payload.substr(0, size);
        ck_assert(!decode(shorter, &request));
    }

    bytes.clear();
    appendResponse(&bytes, 8, 200, "", "body");
    frame = parse(bytes);
    Response response;
    ck_assert(decode(frame, &response));
    ck_assert(frame.code == 200);
    ck_assert(response.contentType.empty() && response.body == "body");
}
END_TEST

START_TEST(testConnectionIds)
{
    ck_assert_uint_eq(slotOf(0x0000000500000007), 7);
}
END_TEST

Suite* payloadSuite()
{
    Suite* suite = suite_create("relay payload");
    TCase* tests = tcase_create("payload");
    tcase_add_test(tests, testBytesOfEachKind);
    tcase_add_test(tests, testHello);
    tcase_add_test(tests, testAttach);
    tcase_add_test(tests, testLongTextsAreCutAtACharacter);
    tcase_add_test(tests, testSend);
    tcase_add_test(tests, testRequestAndResponse);
    tcase_add_test(tests, testConnectionIds);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(payloadSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
