// relay_server.hpp over real sockets: the test plays nginx, on a socket of its
// own in the same thread, and turns the loop by hand.

#include "worker/relay_server.hpp"

#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "shared/relay_fanout.hpp"
#include "shared/relay_reader.hpp"

namespace {

using namespace chat::relay;
using namespace std::chrono_literals;

// Writes down what it is called with; keeps the tickets.
class Recorder final : public RelayHandler {
  public:
    void onOpen(RelayLink& link) override
    {
        links.push_back(&link);
        log.push_back("open " + link.name());
    }
    void onAttach(RelayLink&, std::uint64_t session,
                  const Attach& attach) override
    {
        log.push_back("attach " + std::to_string(session) + " " +
                      std::string(attach.user));
    }
    void onMessage(RelayLink& link, std::uint64_t session,
                   std::string_view message, bool binary,
                   MessageTicket ticket) override
    {
        log.push_back((binary ? "binary " : "text ") + std::to_string(session) +
                      " " + std::string(message));
        if (message == "throw") {
            throw std::runtime_error("thrown by the test");
        }
        if (message == "drop") {
            link.drop("dropped by the test");
        }
        tickets.push_back(std::move(ticket));
    }
    void onDetach(RelayLink&, std::uint64_t session,
                  std::uint16_t code) override
    {
        log.push_back("detach " + std::to_string(session) + " " +
                      std::to_string(code));
    }
    void onWritten(RelayLink&, std::uint64_t session) override
    {
        log.push_back("written " + std::to_string(session));
    }
    void onRequest(RelayLink& link, std::uint64_t request,
                   const Request& content) override
    {
        log.push_back("request " + std::string(content.path));
        link.respond(request, 200, "text/plain", content.body);
    }
    void onDrained(RelayLink&) override { log.emplace_back("drained"); }
    void onClosed(RelayLink& link) override
    {
        log.push_back("closed " + link.name());
        link.send(1, "nobody gets this");
        std::erase(links, &link);
    }

    bool has(const std::string& line) const
    {
        return std::find(log.begin(), log.end(), line) != log.end();
    }

    std::vector<std::string> log;
    std::vector<RelayLink*> links;
    std::deque<MessageTicket> tickets;
};

uv_loop_t loop;
Recorder* recorder;
RelayServer* server;
std::string directory;

void turn(int times = 1)
{
    for (int i = 0; i < times; ++i) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

// Turns the loop until the condition holds; fails the test after 5 seconds.
void turnUntil(const char* what, const std::function<bool()>& condition)
{
    std::uint64_t end = uv_hrtime() + 5000000000;

    while (!condition()) {
        ck_assert_msg(uv_hrtime() < end, "timed out: %s", what);
        turn();
        usleep(500);
    }
}

// The nginx side of a relay connection.
class Peer {
  public:
    explicit Peer(const std::string& path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::snprintf(address.sun_path, sizeof(address.sun_path), "%s",
                      path.c_str());
        fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
        connectTo(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    explicit Peer(int port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd_ = socket(AF_INET, SOCK_STREAM, 0);
        connectTo(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    ~Peer() { hangUp(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void write(const std::string& bytes)
    {
        std::size_t done = 0;
        turnUntil("write", [&] {
            ssize_t sent = ::send(fd_, bytes.data() + done, bytes.size() - done,
                                  MSG_NOSIGNAL);
            done += sent > 0 ? static_cast<std::size_t>(sent) : 0;
            return done == bytes.size() || (sent < 0 && errno == EPIPE);
        });
    }
    void hello(std::uint32_t maxPayload = 1U << 20)
    {
        std::string out;
        appendHello(&out, {1, maxPayload, "nginx 1"});
        write(out);
    }

    // Reads what is there; false at the end of the stream.
    bool read()
    {
        char buffer[65536];
        for (;;) {
            ssize_t size = ::recv(fd_, buffer, sizeof(buffer), 0);
            if (size <= 0) {
                return size < 0 && errno == EAGAIN;
            }
            total += static_cast<std::size_t>(size);
            reader_.feed({buffer, static_cast<std::size_t>(size)});
            Frame frame;
            while (reader_.next(&frame) == Reader::Status::Frame) {
                lines.push_back(describe(frame));
            }
            ck_assert_str_eq(errorText(reader_.error()), "no error");
        }
    }
    void readUntil(const std::string& line)
    {
        turnUntil(line.c_str(), [&] {
            read();
            return std::find(lines.begin(), lines.end(), line) != lines.end();
        });
    }
    void readToEnd()
    {
        turnUntil("end of the stream", [&] { return !read(); });
    }
    void hangUp()
    {
        if (fd_ != -1) {
            close(fd_);
        }
        fd_ = -1;
    }

    std::vector<std::string> lines;
    std::size_t total = 0;

  private:
    static std::string describe(const Frame& frame)
    {
        std::string id = " " + std::to_string(frame.id);
        switch (frame.kind) {
        case Kind::Hello:
            return "hello";
        case Kind::Send:
            return "send" + id + " " + std::string(frame.payload.substr(0, 20));
        case Kind::Receipt:
            return "receipt" + id;
        case Kind::Close:
            return "close" + id + " " + std::to_string(frame.code);
        default:
            return std::to_string(static_cast<int>(frame.kind)) + id;
        }
    }

    void connectTo(const sockaddr* address, socklen_t size)
    {
        ck_assert_int_eq(connect(fd_, address, size), 0);
        fcntl(fd_, F_SETFL, O_NONBLOCK);
    }

    int fd_ = -1;
    Reader reader_{Side::Nginx, 1U << 20};
};

std::string socketPath()
{
    return directory + "/relay.sock";
}

ServerSettings defaults()
{
    ServerSettings settings;
    settings.listen = {"unix:" + socketPath()};
    return settings;
}

void start(const ServerSettings& settings)
{
    server = new RelayServer(&loop, recorder, settings);
    auto error = server->listen();
    ck_assert_msg(!error, "%s", error ? error->c_str() : "");
}

void setUp()
{
    char name[] = "/tmp/relay_test_XXXXXX";
    ck_assert(mkdtemp(name) != nullptr);
    directory = name;
    spdlog::set_level(spdlog::level::off);
    uv_loop_init(&loop);
    recorder = new Recorder;
    server = nullptr;
}

void tearDown()
{
    delete server;
    turn(3);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    delete recorder;
    unlink(socketPath().c_str());
    rmdir(directory.c_str());
}

std::string messageFrame(const std::string& text)
{
    std::string out;
    appendMessage(&out, 1, text, false);
    return out;
}

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
    peer.hello(1000);
    turnUntil("link", [] { return !recorder->links.empty(); });

    RelayLink* link = recorder->links[0];
    ck_assert_uint_eq(link->maxPayload(), 1000);
    ck_assert(link->send(5, "text", kReportWritten, 9));
    ck_assert(link->send(5, std::string(1000, 'x')));
    ck_assert(!link->send(5, std::string(1001, 'x')));
    ck_assert(!link->send(5, std::string(993, 'x'), 0, 9));
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

START_TEST(testTcp)
{
    ServerSettings settings;
    settings.listen = {"127.0.0.1:0"};
    start(settings);
    ck_assert_int_gt(server->port(), 0);
    Peer peer(server->port());
    peer.hello();
    peer.write(messageFrame("1"));
    turnUntil("message", [] { return recorder->has("text 1 1"); });
    recorder->tickets.clear();
    peer.readUntil("receipt 1");
}
END_TEST

START_TEST(testSocketFile)
{
    ServerSettings settings = defaults();
    settings.socketMode = 0640;
    mode_t before = umask(0);
    umask(before);
    start(settings);

    struct stat info {};
    ck_assert_int_eq(stat(socketPath().c_str(), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777U, 0640);
    mode_t after = umask(before);
    ck_assert_uint_eq(after, before);

    // In use.
    RelayServer other(&loop, recorder, settings);
    auto error = other.listen();
    ck_assert(error);
    ck_assert_ptr_nonnull(
        std::strstr(error->c_str(), "another process listens there"));
    ck_assert_int_eq(stat(socketPath().c_str(), &info), 0);

    // Closing removes it.
    delete server;
    server = nullptr;
    turn(2);
    ck_assert_int_eq(stat(socketPath().c_str(), &info), -1);
}
END_TEST

START_TEST(testStaleSocketIsReplaced)
{
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof(address.sun_path), "%s",
                  socketPath().c_str());
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    ck_assert_int_eq(
        bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    close(fd);

    start(defaults());
    Peer peer(socketPath());
    peer.readUntil("hello");
}
END_TEST

START_TEST(testOtherFilesAreLeftAlone)
{
    std::FILE* file = std::fopen(socketPath().c_str(), "w");
    std::fputs("precious", file);
    std::fclose(file);

    server = new RelayServer(&loop, recorder, defaults());
    auto error = server->listen();
    ck_assert(error);
    ck_assert_ptr_nonnull(std::strstr(error->c_str(), "not a socket"));

    struct stat info {};
    ck_assert_int_eq(stat(socketPath().c_str(), &info), 0);
    ck_assert_int_eq(info.st_size, 8);
}
END_TEST

START_TEST(testBadAddresses)
{
    const char* addresses[] = {"",
                               "unix:",
                               "localhost:",
                               "localhost:70000",
                               "localhost:x",
                               "::1:80",
                               ":80",
                               "unix:/nowhere/at/all"};

    for (const char* each : addresses) {
        ServerSettings settings;
        settings.listen = {each};
        RelayServer bad(&loop, recorder, settings);
        ck_assert_msg(bad.listen().has_value(), "%s", each);
    }

    ServerSettings settings;
    settings.listen = {"unix:/" + std::string(108, 'x')};
    RelayServer tooLong(&loop, recorder, settings);
    ck_assert_ptr_nonnull(std::strstr(tooLong.listen()->c_str(), "too long"));
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
    tcase_add_test(tests, testTcp);
    tcase_add_test(tests, testSocketFile);
    tcase_add_test(tests, testStaleSocketIsReplaced);
    tcase_add_test(tests, testOtherFilesAreLeftAlone);
    tcase_add_test(tests, testBadAddresses);
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
