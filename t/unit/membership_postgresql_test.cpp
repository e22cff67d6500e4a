#include <fstream>
#include <sstream>

#include "membership_world.hpp"
#include "postgres.hpp"

using namespace chat;
using namespace chat::test;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<PostgresServer> server;

void startServer()
{
    server = std::make_unique<PostgresServer>();
}

void stopServer()
{
    server.reset();
}

std::string fileText(const char* path)
{
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    ck_assert_msg(!text.str().empty(), "run this in the top folder");
    return text.str();
}

MembershipOptions makeOptions()
{
    MembershipOptions options;
    options.url = server->url();
    options.timeout = 400ms;
    return options;
}

struct World {
    Loop loop;
    std::unique_ptr<MembershipCache> membership;

    explicit World(const MembershipOptions& options = makeOptions())
    {
        reset();
        membership = makeMembership(loop, options);
    }

    static void reset()
    {
        server->run(
            "DROP TABLE IF EXISTS chat_chatlist_users;"
            "CREATE TABLE chat_chatlist_users (id serial PRIMARY KEY,"
            " chat_id int NOT NULL, user_id bigint NOT NULL);"
            "INSERT INTO chat_chatlist_users (chat_id, user_id) VALUES"
            " (21, 7), (21, 4), (22, 9007199254740993)");
    }

    World& connect()
    {
        ck_assert(loop.until(
            [&] { return members(loop, *membership, "0") == "none"; }));
        return *this;
    }

    void expect(std::string_view chatId, const char* wanted)
    {
        const auto got = members(loop, *membership, chatId);
        ck_assert_str_eq(got.c_str(), wanted);
    }

    // Notifications arrive a moment later.
    void expectSoon(std::string_view chatId, const std::string& wanted)
    {
        ck_assert(loop.until(
            [&] { return members(loop, *membership, chatId) == wanted; }, 2s));
    }
};

}  // namespace

START_TEST(findsMembers)
{
    World world;
    world.connect();
    world.expect("21", "7 4");
    world.expect("22", "9007199254740993");
    world.expect("99", "none");

    for (const char* odd :
         {"abc", "99999999999", "1.5", "", "21 OR true", "\xff\xfe", "-0x1"}) {
        world.expect(odd, "none");
    }

    world.expect(std::string_view("21\0x", 4), "none");
    world.expect(" 21", "7 4");  // as PostgreSQL reads it
}
END_TEST

START_TEST(takesOtherTypesAsStrings)
{
    auto options = makeOptions();
    options.query =
        "SELECT u FROM (VALUES ('5aa6cd91-9b3d-4b6b-8a0e-000000000001'::uuid,"
        " 'ann'), ('5aa6cd91-9b3d-4b6b-8a0e-000000000001'::uuid, NULL))"
        " AS m (c, u) WHERE c = $1";
    World world(options);
    ck_assert(world.loop.until(
        [&] { return members(world.loop, *world.membership, "x") == "none"; }));
    world.expect("5aa6cd91-9b3d-4b6b-8a0e-000000000001", "'ann'");
}
END_TEST

START_TEST(theFirstLookupsWaitForTheConnection)
{
    World world;
    world.expect("21", "7 4");
}
END_TEST

START_TEST(anErrorDoesNotTouchItsNeighbours)
{
    World world;
    world.connect();
    std::string got;

    for (const char* id : {"21", "abc", "22", "999999999999", "23", "21"}) {
        world.membership->lookup(id, [&](const LookupResult& r) {
            got += r.status == LookupStatus::Ok ? "+" : "-";
        });
    }

    ck_assert(world.loop.until([&] { return got.size() == 6; }));
    std::sort(got.begin(), got.end());
    ck_assert_str_eq(got.c_str(), "+++---");
}
END_TEST

START_TEST(theShippedTriggerInvalidates)
{
    auto options = makeOptions();
    options.cacheTtl = 1h;
    World world(options);
    server->run(fileText("worker/sql/notify.sql"));
    server->run(fileText("worker/sql/notify.sql"));  // may be run again
    world.connect();
    world.expect("21", "7 4");
    world.expect("22", "9007199254740993");

    server->run(
        "INSERT INTO chat_chatlist_users (chat_id, user_id) VALUES (21, 5)");
    world.expectSoon("21", "7 4 5");
    server->run(
        "UPDATE chat_chatlist_users SET chat_id = 22"
        " WHERE user_id = 5");
    world.expectSoon("21", "7 4");
    world.expectSoon("22", "9007199254740993 5");
    server->run("DELETE FROM chat_chatlist_users WHERE user_id = 4");
    world.expectSoon("21", "7");
    server->run("TRUNCATE chat_chatlist_users");
    world.expectSoon("21", "none");
    ck_assert_uint_gt(world.membership->stats().misses, 0);
}
END_TEST

START_TEST(aRestartedServerIsFoundAgain)
{
    auto options = makeOptions();
    options.cacheTtl = 1ms;
    World world(options);
    world.connect();
    world.expect("21", "7 4");
    server->stop();
    ck_assert(world.loop.until([&] {
        return members(world.loop, *world.membership, "22") == "away";
    }));
    world.expect("21", "7 4");  // the old members serve on
    server->start();
    world.expectSoon("22", "9007199254740993");
}
END_TEST

START_TEST(whatWasMissedWhileAwayIsReadAgain)
{
    auto options = makeOptions();
    options.cacheTtl = 1h;
    World world(options);
    world.connect();
    world.expect("21", "7 4");
    server->signalBackends(SIGTERM);
    server->run("DELETE FROM chat_chatlist_users WHERE user_id = 4");
    world.expectSoon("21", "7");
}
END_TEST

START_TEST(aStoppedServerCostsTheTimeoutAndNoMore)
{
    World world;
    world.connect();
    world.expect("21", "7 4");
    server->signalBackends(SIGSTOP);
    const auto start = uv_hrtime();
    world.expect("22", "away");
    ck_assert_uint_lt((uv_hrtime() - start) / 1'000'000, 2000);
    world.expect("21", "7 4");
    server->signalBackends(SIGCONT);
    world.expectSoon("22", "9007199254740993");
}
END_TEST

START_TEST(aQueryThatFailsIsTriedAgain)
{
    World world;
    server->run("DROP TABLE chat_chatlist_users");
    world.loop.turnFor(100ms);
    world.expect("21", "away");
    World::reset();
    world.expectSoon("21", "7 4");
}
END_TEST

START_TEST(aTableThatIsAlteredIsPreparedFor)
{
    auto options = makeOptions();
    options.cacheTtl = 1ms;
    World world(options);
    world.connect();
    world.expect("21", "7 4");
    server->run("ALTER TABLE chat_chatlist_users ALTER user_id TYPE text");
    world.expectSoon("21", "'7' '4'");
}
END_TEST

START_TEST(nobodyListensAtAll)
{
    MembershipOptions options = makeOptions();
    options.url = "postgresql://chat@127.0.0.1:1/x";
    World world(options);
    world.expect("21", "away");
    world.loop.turnFor(200ms);
    const auto result = lookup(world.loop, *world.membership, "21");
    ck_assert(result.status == LookupStatus::Unavailable);
    ck_assert(!result.reason.empty());
}
END_TEST

START_TEST(destructionAtAnyTime)
{
    const auto never = [](const LookupResult&) {
        ck_abort_msg("called");
    };

    for (const auto wait : {0ms, 1ms, 3ms, 50ms}) {
        World world;
        world.loop.turnFor(wait);

        if (wait == 50ms) {
            world.connect().membership->lookup("21", never);
        }

        world.membership.reset();
    }
}
END_TEST

int main()
{
    Suite* suite = suite_create("membership in PostgreSQL");
    TCase* tests = tcase_create("all");
    tcase_set_timeout(tests, 30);
    tcase_add_unchecked_fixture(tests, startServer, stopServer);
    const TTest* all[] = {findsMembers,
                          takesOtherTypesAsStrings,
                          theFirstLookupsWaitForTheConnection,
                          anErrorDoesNotTouchItsNeighbours,
                          theShippedTriggerInvalidates,
                          whatWasMissedWhileAwayIsReadAgain,
                          aStoppedServerCostsTheTimeoutAndNoMore,
                          aQueryThatFailsIsTriedAgain,
                          aTableThatIsAlteredIsPreparedFor,
                          nobodyListensAtAll,
                          destructionAtAnyTime};

    for (const auto* test : all) {
        tcase_add_test(tests, test);
    }

    suite_add_tcase(suite, tests);

    // This one stops and starts its server.
    TCase* restart = tcase_create("restart");
    tcase_set_timeout(restart, 30);
    tcase_add_checked_fixture(restart, startServer, stopServer);
    tcase_add_test(restart, aRestartedServerIsFoundAgain);
    suite_add_tcase(suite, restart);

    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
