// Lists of inboxes; connections that are lost and servers that fail.

#include "worker/inbox_redis.hpp"

#include "cutting_proxy.hpp"
#include "redis_world.hpp"
#include "worker/sorted_keys.hpp"

using namespace chat;
using namespace chat::test;

START_TEST(aLargeInboxIsListedInPages)
{
    RedisWorld world;
    constexpr int kCount = 7000;

    for (int from = 0; from < kCount; from += 1000) {
        std::vector<std::string> command = {"HSET", kFirst};

        for (int i = from; i < from + 1000; ++i) {
            command.push_back(std::to_string(1 + (i * 3571) % kCount) + "-x");
            command.push_back("{}");
        }

        redis->ask(command);
    }

    redis->ask({"SET", "chat:seq:{" + kFirst + "}", "6999"});
    const auto all = world.list("1");
    ck_assert_uint_eq(all.keys.size(), 6999);
    ck_assert_uint_eq(all.last, 6999);
    ck_assert_str_eq(all.keys[6998].c_str(), "6999-x");
    ck_assert_uint_eq(world.list("1", 6000).keys.size(), 999);
}
END_TEST

START_TEST(arrivalsAndListsShareCalls)
{
    RedisWorld world;
    const auto before = storeCalls();  // list.lua, too, asks once a call
    std::map<std::string, Snapshot> found;
    const std::vector<std::size_t> sizes = {900, 0, 900, 7, 2500, 900, 3};

    for (std::size_t u = 0; u < sizes.size(); ++u) {
        const auto user = std::to_string(u);
        std::vector<std::string> command = {"HSET", "WaitSendNews_" + user};

        for (std::size_t i = 1; i <= sizes[u]; ++i) {
            command.push_back(std::to_string(i) + "-x");
            command.push_back("{}");
        }

        redis->ask(command);
        redis->ask({"SET", "chat:seq:{WaitSendNews_" + user + "}",
                    std::to_string(sizes[u])});
        world.inbox().arrive(user);
        world.inbox().list(user, 0, [&, user](Snapshot snapshot) {
            found[user] = std::move(snapshot);
        });
    }

    world.inbox().leave("3");
    ck_assert(world.loop.until([&] { return found.size() == sizes.size(); }));

    for (std::size_t u = 0; u < sizes.size(); ++u) {
        const auto& snapshot = found[std::to_string(u)];
        ck_assert_uint_eq(snapshot.keys.size(), sizes[u]);
        ck_assert_uint_eq(snapshot.last, sizes[u]);
        ck_assert_int_eq(redis->number({"EXISTS",
                                        "chat:presence:{"
                                        "WaitSendNews_" +
                                            std::to_string(u) + "}"}),
                         u == 3 ? 0 : 1);
    }

    // 900, 900 and 7 keys; 900 and 3.
    ck_assert_int_eq(storeCalls() - before, 2);
}
END_TEST

START_TEST(failuresHaveAPlainReason)
{
    RedisWorld world;
    const auto members = makeMembers({"1"});

    redis->ask({"CONFIG", "SET", "maxmemory", "1"});
    auto result = world.store("9", "1", "a", members);
    redis->ask({"CONFIG", "SET", "maxmemory", "0"});
    checkStatus(result, StoreStatus::Failed);
    ck_assert_str_eq(result.reason.c_str(),
                     "the message store is out of memory");

    redis->ask({"REPLICAOF", "127.0.0.1", "1"});
    result = world.store("9", "2", "a", members);
    checkStatus(result, StoreStatus::Failed);
    ck_assert_str_eq(result.reason.c_str(),
                     "the message store is read-only at the moment");
    ck_assert(!world.inbox().available());

    // While it stays a replica it is not used, then it is again.
    world.loop.turnFor(300ms);
    ck_assert(!world.inbox().available());
    redis->ask({"REPLICAOF", "NO", "ONE"});
    ck_assert(world.loop.until([&] { return world.inbox().available(); }));
    checkStatus(world.store("9", "2", "a", members), StoreStatus::Stored);
}
END_TEST

START_TEST(aStoppedServerCostsTheTimeoutAndNoMore)
{
    auto options = makeOptions("a");
    options.redis.timeout = 300ms;
    RedisWorld world(options);
    const auto members = makeMembers({"1"});
    redis->pause();
    const auto start = uv_hrtime();
    const auto result = world.store("9", "1", "a", members);
    const auto took = (uv_hrtime() - start) / 1'000'000;
    ck_assert_uint_lt(took, 2000);
    checkStatus(result, StoreStatus::Failed);
    ck_assert_str_eq(result.reason.c_str(),
                     "the message store cannot be reached");
    ck_assert_uint_eq(
        world.store("9", "2", "b", members).status == StoreStatus::Failed, 1);
    redis->resume();
    const int resyncs = world.nodes[0].resyncs;
    ck_assert(world.loop.until([&] {
        return world.inbox().available() && world.nodes[0].resyncs > resyncs;
    }));

    // It may have been carried out: the retry must not store it twice.
    const auto again = world.store("9", "1", "a", members);
    ck_assert(again.status == StoreStatus::Stored ||
              again.status == StoreStatus::Duplicate);
    ck_assert_uint_eq(world.list("1").keys.size(), 1);
}
END_TEST

START_TEST(aRestartedServerIsFoundAgain)
{
    RedisWorld world;
    world.inbox().arrive("1");
    world.store("9", "1", "a", makeMembers({"1"}));
    const int resyncs = world.nodes[0].resyncs;
    redis->stop(SIGKILL);
    ck_assert(world.loop.until([&] { return !world.inbox().available(); }));
    checkStatus(world.store("9", "2", "b", makeMembers({"1"})),
                StoreStatus::Failed);
    ck_assert(!world.list("1").ok);
    ck_assert(!world.acknowledge("1", {"1-a"}));
    ck_assert(!world.read("1", {"1-a"}).ok);
    world.inbox().arrive("2");

    redis->start();
    ck_assert(
        world.loop.until([&] { return world.nodes[0].resyncs > resyncs; }));
    ck_assert(world.ids("1") == std::vector<std::string>({"a"}));
    checkStatus(world.store("9", "1", "a", makeMembers({"1"})),
                StoreStatus::Duplicate);
    ck_assert_int_eq(redis->number({"ZCARD", "chat:presence:{WaitSendNews_2}"}),
                     1);
}
END_TEST

START_TEST(aQuickRestartIsNotSeenBySenders)
{
    auto options = makeOptions("a");
    options.redis.timeout = 5s;
    RedisWorld world(options);
    const auto members = makeMembers({"1"});
    std::vector<StoreStatus> answers;
    std::vector<std::string> ids;
    const auto send = [&] {
        ids.push_back(std::to_string(ids.size()));
        world.inbox().store(
            {"21", "9", ids.back(), makeNews(ids.back()), members},
            [&](const StoreResult& r) { answers.push_back(r.status); });
    };

    redis->pause();
    send();
    send();
    world.loop.turnFor(50ms);
    redis->stop(SIGKILL);
    ck_assert(world.loop.until([&] { return !world.inbox().available(); }));
    send();
    redis->start();
    ck_assert(world.loop.until([&] { return answers.size() == 3; }));

    for (const auto status : answers) {
        ck_assert(status == StoreStatus::Stored ||
                  status == StoreStatus::Duplicate);
    }

    ck_assert(world.ids("1") == ids);
}
END_TEST

// A store, a list and an acknowledgement under way while the connection breaks
// after each number of bytes that the replies can have.
START_TEST(aReplyCutAnywhereLosesNothingAndRepeatsNothing)
{
    const TempDir dir;
    CuttingProxy proxy(dir / "proxy.sock", redis->socket());
    auto options = makeOptions("a");
    options.redis.path = dir / "proxy.sock";
    options.redis.timeout = 5s;
    options.batch = 2;
    RedisWorld world(options);
    const auto members = makeMembers({"1", "2", "3", "4", "5"});

    for (int bytes = 0; bytes < 150; ++bytes) {
        const auto id = "m" + std::to_string(bytes);
        int answers = 0;
        proxy.cutAfter(bytes);
        world.inbox().store(
            {"21", "9", id, makeNews(id), members},
            [&](const StoreResult& result) {
                ck_assert_msg(result.status == StoreStatus::Stored ||
                                  result.status == StoreStatus::Duplicate,
                              "%d bytes: %s", bytes, result.reason.c_str());
                ++answers;
            });
        world.inbox().list("1", 0, [&](const Snapshot&) { ++answers; });
        world.inbox().acknowledge("1", {"1-none"},
                                  [&](bool, const std::string&) { ++answers; });
        ck_assert(world.loop.until([&] { return answers == 3; }));

        proxy.cutAfter(CuttingProxy::kNever);

        for (const auto& member : members->list) {
            Snapshot snapshot;
            ck_assert(world.loop.until([&] {
                snapshot = world.list(member.user);
                return snapshot.ok;
            }));
            ck_assert_uint_eq(snapshot.keys.size(), 1);
            ck_assert(snapshot.keys[0].ends_with("-" + id));
            ck_assert(world.loop.until(
                [&] { return world.acknowledge(member.user, snapshot.keys); }));
        }
    }

    ck_assert_int_gt(world.nodes[0].resyncs, 100);
}
END_TEST

START_TEST(namesAreResolved)
{
    RedisWorld world;
    redis->ask({"CONFIG", "SET", "bind", "127.0.0.1"});
    int port = 0;

    for (int tried = 20000 + getpid() % 10000; port == 0; ++tried) {
        if (redis->ask({"CONFIG", "SET", "port", std::to_string(tried)}) ==
            "OK") {
            port = tried;
        }
    }

    std::string error;
    const auto url = "redis://localhost:" + std::to_string(port) + "/3";
    const auto parsed = parseRedisUrl(url, error);
    ck_assert_msg(parsed.has_value(), "%s", error.c_str());
    auto options = makeOptions("b");
    options.redis = *parsed;
    world.add(1, options);
    checkStatus(world.store("9", "1", "a", makeMembers({"1"}), 1),
                StoreStatus::Stored);
    redis->ask({"SELECT", "3"});
    ck_assert_int_eq(redis->number({"EXISTS", kFirst}), 1);

    // No such name; the loop ends all the same.
    options.redis.host = "no-such-host.invalid";
    world.nodes[1].inbox = makeInbox(world.loop, options);
    checkStatus(world.store("9", "2", "b", makeMembers({"1"}), 1),
                StoreStatus::Failed);
}
END_TEST

START_TEST(whatIsSentBeforeTheFirstConnectionWaitsForIt)
{
    World world;
    auto& node = world.nodes[0];
    node.inbox = makeInbox(world.loop, makeOptions("a"));
    node.listen();
    checkStatus(world.store("9", "1", "a", makeMembers({"1"})),
                StoreStatus::Stored);
}
END_TEST

START_TEST(destructionWithCallsInFlightCallsNothing)
{
    RedisWorld world;
    redis->pause();
    const auto never = [](auto&&...) {
        ck_abort_msg("called");
    };
    world.inbox().arrive("1");
    world.inbox().list("1", 0, never);
    world.inbox().read("1", {"x"}, never);
    world.inbox().acknowledge("1", {"x"}, never);
    world.inbox().store({"21", "9", "1", makeNews("a"), makeMembers({"1"})},
                        never);
    world.inbox().store({"21", "9", "2", makeNews("b"), makeMembers({"1"})},
                        never);
    world.nodes[0].inbox.reset();
    world.loop.turnFor(50ms);
    redis->resume();
}
END_TEST

START_TEST(keysAreSortedByNumber)
{
    ck_assert_uint_eq(sequenceOf("17-abc"), 17);
    ck_assert_uint_eq(sequenceOf("17"), 0);
    ck_assert_uint_eq(sequenceOf("-1-a"), 0);
    ck_assert_uint_eq(sequenceOf("99999999999999999999-a"), 0);

    SortedKeys keys;
    ck_assert_uint_eq(keys.take().size(), 0);
    keys.add({"10-a", "9-b", "21_167", "11-c"}, 0, 10);
    ck_assert(keys.take() ==
              std::vector<std::string>({"21_167", "9-b", "10-a"}));
    keys.add({"10-a", "9-b", "21_167", "11-c"}, 9, 20);
    ck_assert(keys.take() == std::vector<std::string>({"10-a", "11-c"}));
}
END_TEST

START_TEST(keysAreSortedOverManyPages)
{
    SortedKeys keys;

    for (int page = 0; page < 37; ++page) {
        std::vector<std::string> some;
        some.reserve(60);

        for (int i = 0; i < 50 + page % 7; ++i) {
            some.push_back(std::to_string(1 + (page * 57 + i) * 7919 % 2500) +
                           "-x");
        }

        keys.add(std::move(some), 0, 3000);
    }

    const auto sorted = keys.take();

    for (std::size_t i = 1; i < sorted.size(); ++i) {
        ck_assert_uint_lt(sequenceOf(sorted[i - 1]), sequenceOf(sorted[i]));
    }

    ck_assert_uint_gt(sorted.size(), 1500);
}
END_TEST

int main()
{
    return runWithRedis(
        "inbox in Redis",
        {aLargeInboxIsListedInPages, arrivalsAndListsShareCalls,
         failuresHaveAPlainReason, aStoppedServerCostsTheTimeoutAndNoMore,
         aRestartedServerIsFoundAgain, aQuickRestartIsNotSeenBySenders,
         aReplyCutAnywhereLosesNothingAndRepeatsNothing, namesAreResolved,
         whatIsSentBeforeTheFirstConnectionWaitsForIt,
         destructionWithCallsInFlightCallsNothing, keysAreSortedByNumber,
         keysAreSortedOverManyPages});
}
