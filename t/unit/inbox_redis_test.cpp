// What only the Redis back end has to get right: batches, keys and their
// lives, lost connections, failing servers, nodes that come and go.

#include "worker/inbox_redis.hpp"

#include "cutting_proxy.hpp"
#include "inbox_world.hpp"
#include "servers.hpp"
#include "worker/sorted_keys.hpp"

using namespace chat;
using namespace chat::test;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<RedisServer> redis;

void startRedis()
{
    redis = std::make_unique<RedisServer>();
}

void stopRedis()
{
    redis.reset();
}

InboxOptions makeOptions(const std::string& id)
{
    InboxOptions options;
    options.redis.path = redis->socket();
    options.redis.timeout = 1500ms;
    options.node = {id, 600ms};
    return options;
}

class RedisWorld : public World {
  public:
    explicit RedisWorld(const InboxOptions& options = makeOptions("a"))
    {
        add(0, options);
    }

    void add(std::size_t index, const InboxOptions& options)
    {
        auto& node = nodes.at(index);
        node.inbox = makeInbox(loop, options);
        node.listen();
        ck_assert(loop.until([&] { return node.resyncs > 0; }));
    }
};

std::vector<std::string> names(int count)
{
    std::vector<std::string> users;
    users.reserve(static_cast<std::size_t>(count));

    for (int i = 0; i < count; ++i) {
        users.push_back("u" + std::to_string(i));
    }

    return users;
}

void checkStatus(const StoreResult& result, StoreStatus status)
{
    ck_assert_msg(result.status == status, "status %d: %s",
                  static_cast<int>(result.status), result.reason.c_str());
}

// store.lua alone asks for several strings, once a call.
long long storeCalls()
{
    const auto stats = redis->ask({"INFO", "commandstats"});
    const std::string_view name = "cmdstat_mget:calls=";
    const auto found = stats.find(name);
    return found == std::string::npos
               ? 0
               : std::atoll(stats.c_str() + found + name.size());
}

const std::string kFirst = "WaitSendNews_1";

}  // namespace

START_TEST(aMessageThatWasStoredInPartIsCompleted)
{
    auto options = makeOptions("a");
    options.batch = 10;
    options.maxInboxMessages = 3;
    RedisWorld world(options);
    world.inbox().arrive("u0");
    const auto members = makeMembers(names(35));

    for (const char* id : {"1", "2", "3"}) {
        world.store("9", id, id, makeMembers({"u7"}));
    }

    checkStatus(world.store("9", "x", "x", members), StoreStatus::Full);
    std::size_t stored = 0;

    for (const auto& member : members->list) {
        stored += world.list(member.user).keys.size();
    }

    // Other batches are written, the one of u7 is not.
    ck_assert_uint_gt(stored, 3);
    ck_assert_uint_lt(stored, 35 + 3);

    world.acknowledge("u7", {world.list("u7").keys[0]});
    checkStatus(world.store("9", "x", "x", members), StoreStatus::Stored);
    checkStatus(world.store("9", "x", "x", members), StoreStatus::Duplicate);

    for (const auto& member : members->list) {
        const auto ids = world.ids(member.user);
        ck_assert_int_eq(std::count(ids.begin(), ids.end(), "x"), 1);
    }

    ck_assert_uint_eq(world.nodes[0].rung("u0").size(), 1);
}
END_TEST

START_TEST(aRetryKeepsTheSplitOfTheFirstAttempt)
{
    auto options = makeOptions("a");
    options.batch = 10;
    options.maxInboxMessages = 1;
    RedisWorld world(options);
    world.store("9", "1", "1", makeMembers({"u3"}));
    checkStatus(world.store("9", "x", "x", makeMembers(names(20))),
                StoreStatus::Full);
    world.acknowledge("u3", world.list("u3").keys);

    // The chat has grown: 21 recipients would be three batches.
    checkStatus(world.store("9", "x", "x", makeMembers(names(21))),
                StoreStatus::Stored);

    for (const auto& user : names(20)) {
        ck_assert(world.ids(user) == std::vector<std::string>({"x"}));
    }
}
END_TEST

START_TEST(aGroupThatWasStoredInPartIsCompleted)
{
    auto options = makeOptions("a");
    options.batch = 10;
    options.maxInboxMessages = 3;
    RedisWorld world(options);
    world.inbox().arrive("u0");
    const auto members = makeMembers(names(35));
    world.store("9", "1", "1", makeMembers({"u7"}));
    world.store("9", "2", "2", makeMembers({"u7"}));
    const auto send = [&] {
        return world.storeAll({makeRequest("9", "w", "w", makeMembers({"z"})),
                               makeRequest("9", "x", "x", members),
                               makeRequest("9", "y", "y", members),
                               makeRequest("8", "z", "z", members)});
    };
    const auto full = StoreStatus::Full;
    const auto stored = StoreStatus::Stored;
    const auto again = StoreStatus::Duplicate;
    ck_assert(send() == std::vector({stored, stored, full, full}));
    world.acknowledge("u7", world.list("u7").keys);
    ck_assert(send() == std::vector({again, again, stored, stored}));
    ck_assert(send() == std::vector({again, again, again, again}));

    for (const auto& user : names(35)) {
        const auto wanted = user == "u7"
                                ? std::vector<std::string>({"y", "z"})
                                : std::vector<std::string>({"x", "y", "z"});
        ck_assert_msg(world.ids(user) == wanted, "%s", user.c_str());
    }

    const auto rung = world.nodes[0].rung("u0");
    ck_assert_uint_eq(rung.size(), 3);
    ck_assert_uint_eq(rung[2], world.list("u0").last);
}
END_TEST

START_TEST(aCallIsBoundedInBytes)
{
    RedisWorld world;
    world.inbox().arrive("u0");
    auto news = std::make_shared<News>();
    *news = {"big", "{\"x\":\"" + std::string(60000, 'x') + "\",\"r\":", "}"};
    const auto members = makeMembers(names(200));
    std::optional<StoreStatus> status;
    world.inbox().store({"21", "9", "1", news, members},
                        [&](const StoreResult& r) { status = r.status; });
    ck_assert(world.loop.until([&] { return status.has_value(); }));
    ck_assert(*status == StoreStatus::Stored);
    ck_assert(redis->ask({"GET", "chat:sent:1:9:1"}).starts_with("12:1"));
    ck_assert_uint_eq(world.nodes[0].bells.size(), 1);

    for (const auto& user : names(200)) {
        ck_assert_uint_eq(world.list(user).keys.size(), 1);
    }
}
END_TEST

START_TEST(longNewsAreAlikeInAllInboxes)
{
    RedisWorld world;
    auto news = std::make_shared<News>();
    *news = {
        "long",
        "{\"x\":\"" + std::string(1100, 'x') + "\",\"receive_user_id\":", "}"};
    auto members = std::make_shared<Members>();
    members->list = {{"1", true}, {"2", true}, {"3", false}};
    std::optional<StoreStatus> status;
    world.inbox().store({"21", "9", "1", news, members},
                        [&](const StoreResult& r) { status = r.status; });
    ck_assert(world.loop.until([&] { return status.has_value(); }));
    const auto stored = [](const char* user) {
        return redis->ask({"HVALS", std::string("WaitSendNews_") + user});
    };
    ck_assert(stored("1") == news->before + "0}");
    ck_assert(stored("2") == stored("1"));
    ck_assert(stored("3") == news->before + "\"\"}");
}
END_TEST

START_TEST(chatsShareACall)
{
    RedisWorld world;
    world.inbox().arrive("1");
    const auto before = storeCalls();
    std::vector<StoreRequest> requests;
    std::vector<std::string> wanted;

    for (int chat = 0; chat < 40; ++chat) {
        const auto id = std::to_string(chat);
        requests.push_back(makeRequest(
            "9", id, id, makeMembers({"1", "u" + id}, chat % 2 == 0), id));
        wanted.push_back(id);
    }

    // One inbox cannot be written: that is the matter of its chat alone.
    redis->ask({"LPUSH", "WaitSendNews_u7", "a list"});
    wanted.erase(wanted.begin() + 7);
    const auto statuses = world.storeAll(std::move(requests));
    ck_assert_int_eq(storeCalls() - before, 1);

    for (std::size_t chat = 0; chat < statuses.size(); ++chat) {
        ck_assert(statuses[chat] ==
                  (chat == 7 ? StoreStatus::Failed : StoreStatus::Stored));
    }

    // Whoever is in several chats has numbers without a gap.
    ck_assert(world.ids("1") == wanted);
    ck_assert(world.ids("u8") == std::vector<std::string>({"8"}));
    const auto rung = world.nodes[0].rung("1");
    ck_assert_uint_eq(rung.size(), wanted.size());
    ck_assert_uint_eq(rung.back() - rung.front(), wanted.size() - 1);
    ck_assert_uint_eq(world.list("1").last, rung.back());

    redis->ask({"DEL", "WaitSendNews_u7"});
    checkStatus(world.store("9", "7", "7", makeMembers({"1", "u7"}, false)),
                StoreStatus::Stored);
    ck_assert_uint_eq(world.list("1").last, rung.back() + 1);
}
END_TEST

START_TEST(aCallIsBoundedInRecipients)
{
    auto options = makeOptions("a");
    options.batch = 50;
    RedisWorld world(options);
    const auto before = storeCalls();
    std::vector<StoreRequest> requests;

    for (const char* chat : {"1", "2", "3", "4", "5"}) {
        requests.push_back(
            makeRequest("9", chat, chat, makeMembers(names(20)), chat));
    }

    for (const auto status : world.storeAll(std::move(requests))) {
        ck_assert(status == StoreStatus::Stored);
    }

    ck_assert_int_eq(storeCalls() - before, 3);
}
END_TEST

START_TEST(aBusyLargeChatWaitsForCompany)
{
    auto options = makeOptions("a");
    options.batch = kMaxBatch;
    RedisWorld world(options);
    const auto before = storeCalls();
    const auto members = makeMembers(names(kMaxBatch));
    int answers = 0;
    const auto count = [&](const StoreResult& result) {
        checkStatus(result, StoreStatus::Stored);
        ++answers;
    };

    // The first call takes some milliseconds. Whoever has its answer sends
    // the next message, which goes together with the one that was waiting.
    world.inbox().store(
        makeRequest("8", "1", "a", members), [&](const StoreResult& result) {
            count(result);
            world.inbox().store(makeRequest("8", "2", "c", members), count);
        });
    world.loop.turn();
    world.inbox().store(makeRequest("9", "1", "b", members), count);
    ck_assert(world.loop.until([&] { return answers == 3; }));
    ck_assert_int_eq(storeCalls() - before, 2);

    // Nobody who is alone waits.
    checkStatus(world.store("8", "3", "d", members), StoreStatus::Stored);
    checkStatus(world.store("8", "4", "e", members), StoreStatus::Stored);
    ck_assert_int_eq(storeCalls() - before, 4);
    ck_assert(world.ids("u0") ==
              std::vector<std::string>({"a", "b", "c", "d", "e"}));
}
END_TEST

START_TEST(aSenderMayHaveAColonInItsName)
{
    RedisWorld world;
    const auto members = makeMembers({"1"});
    checkStatus(world.store("a:1", "2", "a", members), StoreStatus::Stored);
    checkStatus(world.store("a", "1:2", "b", members), StoreStatus::Stored);
    ck_assert_uint_eq(world.list("1").keys.size(), 2);
}
END_TEST

START_TEST(keysHaveALife)
{
    auto options = makeOptions("a");
    options.inboxTtl = 400ms;
    options.dedupeWindow = 300ms;
    RedisWorld world(options);
    const auto members = makeMembers({"1"});
    world.store("9", "1", "a", members);
    const auto first = world.list("1").last;
    std::this_thread::sleep_for(250ms);
    world.store("9", "2", "b", members);
    std::this_thread::sleep_for(250ms);
    ck_assert_uint_eq(world.list("1").keys.size(), 2);
    checkStatus(world.store("9", "1", "c", members), StoreStatus::Stored);
    ck_assert_uint_eq(world.list("1").last, first + 2);
    std::this_thread::sleep_for(500ms);
    ck_assert_uint_eq(world.list("1").keys.size(), 0);
}
END_TEST

START_TEST(aLostCounterNeverRepeatsANumber)
{
    RedisWorld world;
    const auto counter = "chat:seq:{" + kFirst + "}";
    world.store("9", "1", "a", makeMembers({"1"}));
    const auto first = world.list("1").last;
    redis->ask({"DEL", counter});
    world.store("9", "2", "b", makeMembers({"1"}));
    const auto second = world.list("1").last;
    ck_assert_uint_gt(second, first);

    // A key of another type is no counter.
    redis->ask({"DEL", counter});
    redis->ask({"LPUSH", counter, "a list"});
    world.store("9", "3", "c", makeMembers({"1"}));
    ck_assert_uint_gt(world.list("1").last, second);
    ck_assert(world.ids("1") == std::vector<std::string>({"a", "b", "c"}));
}
END_TEST

START_TEST(scriptsComeBackAfterScriptFlush)
{
    RedisWorld world;
    redis->ask({"SCRIPT", "FLUSH"});
    std::vector<std::string> ids;
    std::size_t answers = 0;

    for (int i = 0; i < 4; ++i) {
        ids.push_back(std::to_string(i));
        world.inbox().store(
            {"21", "9", ids.back(), makeNews(ids.back()), makeMembers({"1"})},
            [&](const StoreResult& result) {
                checkStatus(result, StoreStatus::Stored);
                ++answers;
            });
    }

    ck_assert(world.loop.until([&] { return answers == 4; }));
    ck_assert(world.ids("1") == ids);
}
END_TEST

START_TEST(anUnwritableInboxLeavesNoTrace)
{
    // Both kinds of limit look at the inbox before it is written.
    for (const std::uint64_t limit : {0, 3, 100000}) {
        redis->ask({"FLUSHALL"});
        auto options = makeOptions("a");
        options.maxInboxMessages = limit;
        RedisWorld world(options);
        const auto members = makeMembers({"0", "1", "2"});
        world.store("9", "0", "0", makeMembers({"0"}));
        const auto last = world.list("0").last;

        redis->ask({"LPUSH", kFirst, "a list"});

        for (const char* id : {"1", "2", "3"}) {
            checkStatus(world.store("9", id, id, members), StoreStatus::Failed);
        }

        redis->ask({"DEL", kFirst});
        ck_assert(world.ids("0") == std::vector<std::string>({"0"}));
        ck_assert_uint_eq(world.list("0").last, last);
        checkStatus(world.store("9", "1", "1", members), StoreStatus::Stored);
        ck_assert_uint_eq(world.list("0").last, last + 1);
    }
}
END_TEST

START_TEST(aLimitInBytes)
{
    auto options = makeOptions("a");
    options.maxInboxMessages = 0;
    options.maxInboxBytes = 4000;
    RedisWorld world(options);
    StoreResult result;
    int stored = 0;

    for (; stored < 500 && result.status != StoreStatus::Full; ++stored) {
        const auto id = std::to_string(stored);
        result = world.store("9", id, id, makeMembers({"1"}));
    }

    checkStatus(result, StoreStatus::Full);
    ck_assert_int_gt(stored, 10);
    ck_assert_int_lt(stored, 200);
}
END_TEST

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

START_TEST(presenceIsSaidAgainBeforeTheResync)
{
    RedisWorld world;
    world.inbox().arrive("1");
    world.list("1");
    redis->ask({"FLUSHALL"});
    const int resyncs = world.nodes[0].resyncs;
    redis->ask({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    ck_assert(
        world.loop.until([&] { return world.nodes[0].resyncs > resyncs; }));
    ck_assert(redis->ask({"ZRANGE", "chat:presence:{" + kFirst + "}", "0",
                          "-1"}) == "a");
    ck_assert_int_eq(redis->number({"ZCARD", "chat:nodes"}), 1);

    world.inbox().leave("1");
    world.list("1");
    ck_assert_int_eq(
        redis->number({"EXISTS", "chat:presence:{" + kFirst + "}"}), 0);
}
END_TEST

START_TEST(aNodeThatSignsOffIsForgottenAtOnce)
{
    RedisWorld world;
    world.add(1, makeOptions("b"));
    ck_assert_int_eq(redis->number({"ZCARD", "chat:nodes"}), 2);
    world.inbox(1).arrive("1");
    world.store("9", "0", "0", makeMembers({"2"}), 1);
    world.store("9", "1", "a", makeMembers({"1"}));
    ck_assert(world.loop.until([&] { return !world.nodes[1].bells.empty(); }));
    world.nodes[1].inbox.reset();
    ck_assert(eventually([] {
        return redis->number({"ZCARD", "chat:nodes"}) == 1;
    }));
    ck_assert_int_eq(redis->number({"EXISTS", "chat:node:b"}), 0);
}
END_TEST

START_TEST(aDeadNodeIsForgottenByItsLease)
{
    redis->ask({"ZADD", "chat:nodes", "1000", "dead"});
    redis->ask({"XADD", "chat:node:dead", "*", "a", "b"});
    redis->ask(
        {"ZADD", "chat:presence:{" + kFirst + "}", "9999999999999", "dead"});
    RedisWorld world;
    checkStatus(world.store("9", "1", "a", makeMembers({"1"})),
                StoreStatus::Stored);
    ck_assert(world.loop.until([&] {
        return redis->number({"ZCARD", "chat:nodes"}) == 1;
    }));
    ck_assert_int_eq(redis->number({"EXISTS", "chat:node:dead"}), 0);
}
END_TEST

START_TEST(aLapsedLeaseMeansResync)
{
    RedisWorld world;
    const int resyncs = world.nodes[0].resyncs;
    redis->ask({"ZREM", "chat:nodes", "a"});
    ck_assert(world.loop.until(
        [&] { return world.nodes[0].resyncs == resyncs + 1; }));
    world.loop.turnFor(500ms);
    ck_assert_int_eq(world.nodes[0].resyncs, resyncs + 1);
    ck_assert_uint_eq(world.inbox().stats().lapses, 1);
}
END_TEST

START_TEST(aGapInTheStreamMeansResync)
{
    RedisWorld world;
    const int resyncs = world.nodes[0].resyncs;
    const auto ring = [](const std::string& number) {
        redis->ask({"XADD", "chat:node:a", "*", "n", number, "m", "x", "b", "{",
                    "a", "}", "r", "n1:15"});
    };
    ring("1");
    ck_assert(
        world.loop.until([&] { return world.nodes[0].bells.size() == 1; }));
    ck_assert_int_eq(world.nodes[0].resyncs, resyncs);
    ring("3");
    ck_assert(
        world.loop.until([&] { return world.nodes[0].bells.size() == 2; }));
    ck_assert_int_eq(world.nodes[0].resyncs, resyncs + 1);
    ck_assert_uint_eq(world.inbox().stats().gaps, 1);
    ring("4");
    ck_assert(
        world.loop.until([&] { return world.nodes[0].bells.size() == 3; }));
    ck_assert_int_eq(world.nodes[0].resyncs, resyncs + 1);
}
END_TEST

START_TEST(aLostStreamConnectionMeansResync)
{
    RedisWorld world;
    world.add(1, makeOptions("b"));
    world.inbox(1).arrive("1");
    world.store("9", "0", "0", makeMembers({"2"}), 1);
    const int resyncs = world.nodes[1].resyncs;
    ck_assert(eventually([] {
        return redis->ask({"CLIENT", "LIST"}).find("cmd=xread") !=
               std::string::npos;
    }));

    // Only those that read a stream.
    const auto list = redis->ask({"CLIENT", "LIST"});
    std::size_t at = 0;

    while ((at = list.find("id=", at)) != std::string::npos) {
        const auto line = list.substr(at, list.find('\n', at) - at);
        at += line.size();

        if (line.find("cmd=xread") != std::string::npos) {
            redis->ask(
                {"CLIENT", "KILL", "ID", line.substr(3, line.find(' ') - 3)});
        }
    }

    world.store("9", "1", "a", makeMembers({"1"}));
    ck_assert(
        world.loop.until([&] { return world.nodes[1].resyncs > resyncs; }));
    world.store("9", "2", "b", makeMembers({"1"}));
    ck_assert(world.loop.until([&] {
        const auto& bells = world.nodes[1].bells;
        return !bells.empty() && bells.back().news[0]->messageId == "b";
    }));
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

START_TEST(recipientsOfADoorbell)
{
    Doorbell bell;
    ck_assert(parseRecipients("n2:4217 s6:a:b 197 n1:12", bell));
    ck_assert_uint_eq(bell.recipients.size(), 3);
    ck_assert_str_eq(bell.recipients[1].user.c_str(), "a:b 19");
    ck_assert(!bell.recipients[1].isNumber);

    for (const char* bad :
         {"n", "x1:12", "n1", "n1:", "n5:123", "n1:a", "n1:1x", "n1:12n1:12",
          "n99999999999999999999:1", ":"}) {
        Doorbell none;
        ck_assert_msg(!parseRecipients(bad, none), "%s", bad);
    }
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
    Suite* suite = suite_create("inbox in Redis");
    TCase* tests = tcase_create("all");
    tcase_set_timeout(tests, 30);
    // Some tests stop or change the server: each has one of its own.
    tcase_add_checked_fixture(tests, startRedis, stopRedis);
    const TTest* all[] = {aMessageThatWasStoredInPartIsCompleted,
                          aRetryKeepsTheSplitOfTheFirstAttempt,
                          aGroupThatWasStoredInPartIsCompleted,
                          aCallIsBoundedInBytes,
                          longNewsAreAlikeInAllInboxes,
                          chatsShareACall,
                          aCallIsBoundedInRecipients,
                          aBusyLargeChatWaitsForCompany,
                          aSenderMayHaveAColonInItsName,
                          keysHaveALife,
                          aLostCounterNeverRepeatsANumber,
                          scriptsComeBackAfterScriptFlush,
                          anUnwritableInboxLeavesNoTrace,
                          aLimitInBytes,
                          aLargeInboxIsListedInPages,
                          arrivalsAndListsShareCalls,
                          failuresHaveAPlainReason,
                          aStoppedServerCostsTheTimeoutAndNoMore,
                          aRestartedServerIsFoundAgain,
                          aQuickRestartIsNotSeenBySenders,
                          aReplyCutAnywhereLosesNothingAndRepeatsNothing,
                          namesAreResolved,
                          whatIsSentBeforeTheFirstConnectionWaitsForIt,
                          presenceIsSaidAgainBeforeTheResync,
                          aNodeThatSignsOffIsForgottenAtOnce,
                          aDeadNodeIsForgottenByItsLease,
                          aLapsedLeaseMeansResync,
                          aGapInTheStreamMeansResync,
                          aLostStreamConnectionMeansResync,
                          destructionWithCallsInFlightCallsNothing,
                          recipientsOfADoorbell,
                          keysAreSortedByNumber,
                          keysAreSortedOverManyPages};

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
