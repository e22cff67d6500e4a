// relay_listener.hpp, by way of the server: addresses, and Unix sockets that
// are already there.

#include "worker/relay_listener.hpp"

#include <sys/stat.h>

#include <cstring>

#include "t/unit/relay_server_util.hpp"

namespace {

using namespace relaytest;

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

START_TEST(testParseAddress)
{
    Address address;
    ck_assert(parseAddress("unix:/a b", &address).empty());
    ck_assert_str_eq(address.path.c_str(), "/a b");
    ck_assert(parseAddress("[::1]:80", &address).empty());
    ck_assert_str_eq(address.path.c_str(), "");
    ck_assert_str_eq(address.host.c_str(), "::1");
    ck_assert_str_eq(address.port.c_str(), "80");
    ck_assert(parseAddress("9000", &address).empty());
    ck_assert_str_eq(address.host.c_str(), "127.0.0.1");
}
END_TEST

Suite* listenerSuite()
{
    Suite* suite = suite_create("relay listener");
    TCase* tests = tcase_create("listener");
    tcase_set_timeout(tests, 30);
    tcase_add_checked_fixture(tests, setUp, tearDown);
    tcase_add_test(tests, testTcp);
    tcase_add_test(tests, testSocketFile);
    tcase_add_test(tests, testStaleSocketIsReplaced);
    tcase_add_test(tests, testOtherFilesAreLeftAlone);
    tcase_add_test(tests, testBadAddresses);
    tcase_add_test(tests, testParseAddress);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(listenerSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
