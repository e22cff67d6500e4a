// relay_server.hpp over real sockets: frames, receipts, bounds, the end.

#include "worker/relay_server.hpp"

#include "shared/relay_fanout.hpp"
#include "t/unit/relay_server_util.hpp"

namespace {

using namespace relaytest;
using namespace std::chrono_literals;

START_TEST(testFramesReachTheHandler)
{
    start(defaults());
    Peer peer(socketPath());
    peer.hello();

    std::string out;
    Attach attach;
    attach.user = "u";
    appendAttach(&out, 1, attach);
    appendMessage(&out, 1, "m", false);
    appendMessage(&out, 1, "b", true);
    appendWritten(&out, 1);
    appendRequest(&out, 9, "/p", "body");
    appendPing(&out, 77);
    appendDetach(&out, 1, 1000);
    peer.write(out);
    peer.readUntil("14 77");

    const std::vector<std::string> expected = {
        "open nginx 1", "attach 1 u", "text 1 m",     "binary 1 b",
        "written 1",    "request /p", "detach 1 1000"};
    turnUntil("all calls",
              [&] { return recorder->log.size() == expected.size(); });
    ck_assert(recorder->log == expected);
    ck_assert_str_eq(peer.lines[0].c_str(), "hello");
    ck_assert_str_eq(peer.lines[1].c_str(), "12 9");

    ServerStats stats = server->stats();
    ck_assert_uint_eq(stats.links, 1);
    ck_assert_uint_eq(stats.framesIn, 8);
    ck_assert_uint_eq(stats.messages, 2);
    ck_assert_uint_eq(stats.tickets, 2);

    peer.hangUp();
    turnUntil("closed", [&] { return recorder->has("closed nginx 1"); });
    ck_assert_uint_eq(server->stats().links, 0);
    recorder->tickets.clear();
}
END_TEST

START_TEST(testEverythingSentReachesNginx)
{
    start(defaults());
    Peer peer(socketPath());
    peer.hello(3000);
    turnUntil("link", [] { return !recorder->links.empty(); });

    RelayLink* link = recorder->links[0];
    ck_assert_uint_eq(link->maxPayload(), 3000);
    ck_assert(link->send(5, "text", kReportWritten, 9));
    ck_assert(link->send(5, std::string(3000, 'x')));
    ck_assert(!link->send(5, std::string(3001, 'x')));
    ck_assert(!link->send(5, std::string(2993, 'x'), 0, 9));
    link->identify(5, "u", false);
    link->close(5, 1008, "reason");
    FanoutBuilder fanout(link->output(), "body", nullptr, 0);
    std::uint64_t id = 5;
    fanout.add(1, &id, 1, nullptr);
    fanout.finish();

    peer.readUntil("6 0");
    ck_assert_uint_eq(peer.lines.size(), 6);
    ck_assert_str_eq(peer.lines[3].c_str(), "8 5");
    ck_assert_str_eq(peer.lines[4].c_str(), "close 5 1008");
}
END_TEST

START_TEST(testReceiptsAreCumulative)
{
    start(defaults());
    Peer peer(socketPath());
    peer.hello();
    peer.write(messageFrame("1") + messageFrame("2") + messageFrame("3"));
    turnUntil("tickets", [] { return recorder->tickets.size() == 3; });

    recorder->tickets[2].done();
    turn(3);
    recorder->tickets[0].done();
    peer.readUntil("receipt 1");
    recorder->tickets[1].done();
    recorder->tickets[1].done();
    peer.readUntil("receipt 3");

    // hello and two receipts: nothing was told twice, or too early.
    ck_assert_uint_eq(peer.lines.size(), 3);

    peer.write(messageFrame("4"));
    turnUntil("ticket", [] { return recorder->tickets.size() == 4; });
    recorder->tickets.pop_back();
    peer.readUntil("receipt 4");
}
END_TEST

START_TEST(testTicketsOutliveTheLink)
{
    start(defaults());
    Peer peer(socketPath());
    peer.hello();
    peer.write(messageFrame("1"));
    turnUntil("ticket", [] { return recorder->tickets.size() == 1; });
    peer.hangUp();
    turnUntil("closed", [&] { return recorder->has("closed nginx 1"); });
    turn(3);
    recorder->tickets.clear();
}
END_TEST

START_TEST(testReadingStopsAtTheTicketBound)
{
    ServerSettings settings = defaults();
    settings.maxTickets = 4;
    start(settings);
    Peer peer(socketPath());
    peer.hello();

    for (int i = 0; i < 4; ++i) {
        peer.write(messageFrame("1"));
        turn(2);
    }
    turnUntil("tickets", [] { return recorder->tickets.size() == 4; });
    turn(3);
    peer.write(messageFrame("later"));
    turn(20);
    ck_assert_uint_eq(recorder->tickets.size(), 4);

    recorder->tickets[2].done();
    turnUntil("go on", [] { return recorder->tickets.size() == 5; });

    // A refused frame while reading is stopped is found afterwards.
    peer.write("garbage, garbage, garbage");
    turn(20);
    ck_assert_uint_eq(recorder->links.size(), 1);
    recorder->tickets.clear();
    turnUntil("closed", [] { return recorder->links.empty(); });
}
END_TEST

START_TEST(testReadingStopsAtTheByteBound)
{
    ServerSettings settings = defaults();
    settings.maxTicketBytes = 1000;
    start(settings);
    Peer peer(socketPath());
    peer.hello();
    peer.write(messageFrame(std::string(1000, 'x')));
    turnUntil("ticket", [] { return recorder->tickets.size() == 1; });
    turn(3);
    peer.write(messageFrame("later"));
    turn(20);
    ck_assert_uint_eq(recorder->tickets.size(), 1);
    recorder->tickets[0].done();
    turnUntil("go on", [] { return recorder->tickets.size() == 2; });
}
END_TEST

START_TEST(testCongestion)
{
    ServerSettings settings = defaults();
    settings.maxQueue = 4U << 20;
    start(settings);
    Peer peer(socketPath());
    peer.hello();
    turnUntil("link", [] { return !recorder->links.empty(); });

    RelayLink* link = recorder->links[0];
    std::string large(64U << 10, 'x');
    std::size_t sent = 0;

    while (!link->congested()) {
        ck_assert(link->send(1, large));
        sent += large.size();
        turn();
    }
    ck_assert_uint_ge(sent, settings.maxQueue);
    ck_assert_uint_le(sent, settings.maxQueue + (2U << 20));
    ck_assert_uint_eq(server->stats().congested, 1);
    ck_assert_uint_ge(server->stats().queued, settings.maxQueue);

    // Nothing is read from a congested link.
    peer.write(messageFrame("1"));
    turn(10);
    ck_assert_uint_eq(recorder->tickets.size(), 0);

    turnUntil("drained", [&] {
        peer.read();
        return recorder->has("drained");
    });
    ck_assert(!link->congested());
    turnUntil("message", [] { return recorder->tickets.size() == 1; });
    turnUntil("all", [&] {
        peer.read();
        return peer.total >= sent;
    });
    ck_assert_uint_eq(server->stats().queued, 0);
}
END_TEST

START_TEST(testTooMuchOutputEndsTheLink)
{
    ServerSettings settings = defaults();
    settings.maxQueue = 1U << 20;
    start(settings);
    Peer peer(socketPath());
    peer.hello();
    turnUntil("link", [] { return !recorder->links.empty(); });

    std::string large(64U << 10, 'x');

    for (int i = 0; i < 100 && !recorder->links.empty(); ++i) {
        recorder->links[0]->send(1, large);
        turn();
    }
    ck_assert(recorder->links.empty());
}
END_TEST

START_TEST(testFaultsEndTheLinkOnly)
{
    start(defaults());
    Peer good(socketPath());
    good.hello();

    Peer garbage(socketPath());
    garbage.write("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    garbage.readToEnd();

    Peer malformed(socketPath());
    malformed.hello();
    std::string out;
    appendFrame(&out, Kind::Attach, 0, 0, 1, std::string(17, '\xff'));
    malformed.write(out);
    malformed.readToEnd();

    Peer request(socketPath());
    request.hello();
    out.clear();
    appendFrame(&out, Kind::Request, 0, 0, 1, "\xff\xff");
    request.write(out);
    request.readToEnd();

    Peer thrower(socketPath());
    thrower.hello();
    thrower.write(messageFrame("throw") + messageFrame("not seen"));
    thrower.readToEnd();

    Peer dropped(socketPath());
    dropped.hello();
    dropped.write(messageFrame("drop") + messageFrame("not seen"));
    dropped.readToEnd();
    ck_assert(!recorder->has("text 1 not seen"));

    turnUntil("one left", [] { return recorder->links.size() == 1; });
    ck_assert_uint_eq(server->stats().failed, 3);
    ck_assert_uint_eq(server->stats().accepted, 6);
    good.write(messageFrame("still here"));
    turnUntil("message", [] { return recorder->has("text 1 still here"); });
    recorder->tickets.clear();
}
END_TEST

START_TEST(testSilenceEndsTheLink)
{
    ServerSettings settings = defaults();
    settings.idleTimeout = 300ms;
    start(settings);
    Peer silent(socketPath());
    Peer mute(socketPath());
    mute.hello();
    silent.readToEnd();
    mute.readToEnd();
    ck_assert_uint_eq(server->stats().failed, 2);
}
END_TEST

START_TEST(testNoProgressEndsTheLink)
{
    ServerSettings settings = defaults();
    settings.writeTimeout = 300ms;
    start(settings);
    Peer peer(socketPath());
    peer.hello();
    turnUntil("link", [] { return !recorder->links.empty(); });
    for (int i = 0; i < 32; ++i) {
        recorder->links[0]->send(1, std::string(64U << 10, 'x'));
    }
    turnUntil("closed", [] { return recorder->links.empty(); });
}
END_TEST

START_TEST(testMaxLinks)
{
    ServerSettings settings = defaults();
    settings.maxLinks = 1;
    start(settings);
    Peer first(socketPath());
    first.hello();
    first.readUntil("hello");
    Peer second(socketPath());
    second.readToEnd();
    ck_assert_uint_eq(second.lines.size(), 0);
    ck_assert_uint_eq(server->stats().refused, 1);

    settings.maxLinks = 2;
    server->configure(settings);
    Peer third(socketPath());
    third.readUntil("hello");
}
END_TEST

START_TEST(testShutdownWaitsForTickets)
{
    start(defaults());
    Peer peer(socketPath());
    peer.hello();
    peer.write(messageFrame("1"));
    turnUntil("ticket", [] { return recorder->tickets.size() == 1; });

    bool done = false;
    server->shutdown(5s, [&] { done = true; });
    peer.write(messageFrame("not seen"));
    turn(20);
    ck_assert(!done);
    ck_assert_int_eq(access(socketPath().c_str(), F_OK), -1);

    recorder->links[0]->send(1, "answer");
    recorder->tickets[0].done();
    peer.readToEnd();
    ck_assert_uint_eq(peer.lines.size(), 3);
    ck_assert_str_eq(peer.lines[1].c_str(), "send 1 answer");
    ck_assert_str_eq(peer.lines[2].c_str(), "receipt 1");
    ck_assert(!done);

    peer.hangUp();
    turnUntil("done", [&] { return done; });
    ck_assert(recorder->has("closed nginx 1"));
    ck_assert(!recorder->has("text 1 not seen"));
}
END_TEST

START_TEST(testShutdownEndsAtTheTimeout)
{
    start(defaults());
    Peer peer(socketPath());
    Peer silent(socketPath());
    peer.hello();
    peer.write(messageFrame("1"));
    turnUntil("ticket", [] { return recorder->tickets.size() == 1; });

    bool done = false;
    server->shutdown(200ms, [&] { done = true; });
    turnUntil("done", [&] { return done; });
    ck_assert(recorder->links.empty());
}
END_TEST

START_TEST(testShutdownWithoutLinks)
{
    start(defaults());
    bool done = false;
    server->shutdown(5s, [&] { done = true; });
    turnUntil("done", [&] { return done; });
    ck_assert_int_eq(uv_run(&loop, UV_RUN_DEFAULT), 0);
}
END_TEST

Suite* serverSuite()
{
    Suite* suite = suite_create("relay server");
    TCase* tests = tcase_create("server");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setUp, tearDown);
    tcase_add_test(tests, testFramesReachTheHandler);
    tcase_add_test(tests, testEverythingSentReachesNginx);
    tcase_add_test(tests, testReceiptsAreCumulative);
    tcase_add_test(tests, testTicketsOutliveTheLink);
    tcase_add_test(tests, testReadingStopsAtTheTicketBound);
    tcase_add_test(tests, testReadingStopsAtTheByteBound);
    tcase_add_test(tests, testCongestion);
    tcase_add_test(tests, testTooMuchOutputEndsTheLink);
    tcase_add_test(tests, testFaultsEndTheLinkOnly);
    tcase_add_test(tests, testSilenceEndsTheLink);
    tcase_add_test(tests, testNoProgressEndsTheLink);
    tcase_add_test(tests, testMaxLinks);
    tcase_add_test(tests, testShutdownWaitsForTickets);
    tcase_add_test(tests, testShutdownEndsAtTheTimeout);
    tcase_add_test(tests, testShutdownWithoutLinks);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(serverSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
