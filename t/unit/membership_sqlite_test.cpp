#include "worker/membership_sqlite.hpp"

#include "membership_world.hpp"
#include "servers.hpp"

using namespace chat;
using namespace chat::test;
using namespace std::chrono_literals;

namespace {

constexpr char kSchema[] =
    "CREATE TABLE chat_chatlist_users (id INTEGER PRIMARY KEY,"
    " chat_id INTEGER NOT NULL, user_id INTEGER NOT NULL);"
    "INSERT INTO chat_chatlist_users (chat_id, user_id) VALUES"
    " (21, 7), (21, 4), (21, 7), (22, 9007199254740993)";

struct World {
    TempDir dir;
    Loop loop;
    std::string path = dir / "chat.db";
    std::unique_ptr<sqlite3, SqliteClose> db;
    std::unique_ptr<MembershipCache> membership;

    explicit World(const char* schema = kSchema,
                   const std::string& query = MembershipOptions().query)
    {
        if (schema != nullptr) {
            create(schema);
        }

        membership = makeMembership(
            loop, {.url = "sqlite:" + path, .query = query, .timeout = 200ms});
    }

    void create(const char* schema)
    {
        sqlite3* opened = nullptr;
        ck_assert_int_eq(sqlite3_open(path.c_str(), &opened), SQLITE_OK);
        db.reset(opened);
        run(schema);
    }

    void run(const std::string& sql)
    {
        char* error = nullptr;
        sqlite3_exec(db.get(), sql.c_str(), nullptr, nullptr, &error);
        ck_assert_msg(error == nullptr, "%s", error);
    }

    // Until it is looked again whether the database has changed.
    void pass() { loop.turnFor(std::chrono::milliseconds(250)); }

    void expect(std::string_view chatId, const char* wanted)
    {
        const auto got = members(loop, *membership, chatId);
        ck_assert_str_eq(got.c_str(), wanted);
    }
};

}  // namespace

START_TEST(findsMembers)
{
    World world;
    world.expect("21", "7 4");
    world.expect("22", "9007199254740993");
    world.expect("99", "none");
    world.expect("abc", "none");
    world.expect("", "none");
    world.expect(std::string_view("21\0x", 4), "none");
    world.expect(std::string(300, '1'), "none");
    world.expect("21; DROP TABLE chat_chatlist_users", "none");
    world.expect("21", "7 4");
}
END_TEST

START_TEST(takesTextIdsAsStrings)
{
    World world(
        "CREATE TABLE m (chat TEXT, user TEXT);"
        "INSERT INTO m VALUES ('21', 'ann'), ('21', NULL), ('21', ''),"
        " ('21', '5'), ('a-b', 'bob')",
        "SELECT user FROM m WHERE chat = $1");
    world.expect("21", "'ann' '5'");
    world.expect("a-b", "'bob'");
}
END_TEST

START_TEST(rowsThatOthersAddCountSoon)
{
    for (const char* mode : {"delete", "wal"}) {
        World world(nullptr);
        world.create((std::string("PRAGMA journal_mode=") + mode).c_str());
        world.run(kSchema);
        world.expect("21", "7 4");
        world.run(
            "INSERT INTO chat_chatlist_users (chat_id, user_id)"
            " VALUES (21, 5)");
        world.pass();
        world.expect("21", "7 4 5");
        world.run("DELETE FROM chat_chatlist_users WHERE user_id = 4");
        world.pass();
        world.expect("21", "7 5");
        world.expect("21", "7 5");
        ck_assert_uint_gt(world.membership->stats().hits, 0);
    }
}
END_TEST

START_TEST(aMissingFileIsFoundLater)
{
    World world(nullptr);
    world.expect("21", "away");
    world.create(kSchema);
    world.expect("21", "7 4");

    // Cached chats go on without it.
    std::filesystem::rename(world.path, world.path + ".old");
    world.expect("21", "7 4");
    world.expect("22", "away");

    // Another file under the same name is another database.
    world.create(
        "CREATE TABLE chat_chatlist_users (chat_id INTEGER, user_id INTEGER);"
        "INSERT INTO chat_chatlist_users VALUES (21, 1)");
    world.pass();
    world.expect("21", "1");
    world.expect("22", "none");
}
END_TEST

START_TEST(aMissingTableIsUnavailable)
{
    World world("CREATE TABLE other (x)");
    const auto result = lookup(world.loop, *world.membership, "21");
    ck_assert(result.status == LookupStatus::Unavailable);
    ck_assert(result.reason.find("no such table") != std::string::npos);
    world.run(kSchema);
    world.expect("21", "7 4");
}
END_TEST

START_TEST(aBusyWriterDoesNotStopCachedChats)
{
    World world;
    world.expect("21", "7 4");
    world.run("BEGIN EXCLUSIVE");
    world.expect("21", "7 4");
    world.expect("22", "away");
    world.run("COMMIT");
    world.expect("22", "9007199254740993");
}
END_TEST

START_TEST(manyLookupsAtOnce)
{
    World world;
    int answers = 0;

    for (int i = 0; i < 100; ++i) {
        world.membership->lookup(std::to_string(i), [&](const LookupResult& r) {
            ck_assert(r.status != LookupStatus::Unavailable);
            ++answers;
        });
    }

    ck_assert(world.loop.until([&] { return answers == 100; }));
}
END_TEST

START_TEST(destructionWithALookupUnderWay)
{
    World world;
    world.membership->lookup(
        "21", [](const LookupResult&) { ck_abort_msg("called"); });
    world.membership.reset();
}
END_TEST

START_TEST(urlsAreChecked)
{
    for (const char* good :
         {"sqlite:/a/b.db", "sqlite:///a/b.db", "sqlite:chat.db",
          "postgresql://u:p@host/db", "postgres:///db?host=/run"}) {
        ck_assert_msg(checkMembershipUrl(good).empty(), "%s", good);
    }

    for (const char* bad : {"", "sqlite:", "mysql://x", "/a/b.db",
                            "postgresql://host/db?nosuch=1"}) {
        ck_assert_msg(!checkMembershipUrl(bad).empty(), "%s", bad);
    }
}
END_TEST

int main()
{
    Suite* suite = suite_create("membership in SQLite");
    TCase* tests = tcase_create("all");
    tcase_set_timeout(tests, 30);
    const TTest* all[] = {findsMembers,
                          takesTextIdsAsStrings,
                          rowsThatOthersAddCountSoon,
                          aMissingFileIsFoundLater,
                          aMissingTableIsUnavailable,
                          aBusyWriterDoesNotStopCachedChats,
                          manyLookupsAtOnce,
                          destructionWithALookupUnderWay,
                          urlsAreChecked};

    for (const auto* test : all) {
        tcase_add_test(tests, test);
    }

    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
