// Storing: groups, batches, calls that are shared, markers, limits.

#include "worker/redis_store.hpp"

#include <array>

#include "redis_world.hpp"

using namespace chat;
using namespace chat::test;

namespace {

// As redis_store.cpp divides recipients among batches.
std::uint32_t hashOf(std::string_view text)
{
    std::uint32_t hash = 2166136261U;

    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }

    return hash;
}

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

// Batches of one message share a marker, so they must not share a call.
START_TEST(batchesOfAMessageDoNotShareACall)
{
    auto options = makeOptions("a");
    options.batch = 6;
    RedisWorld world(options);
    std::vector<std::string> users;

    // Of four batches two have three users each, one has none.
    std::array<int, 4> wanted = {3, 0, 3, 18};

    for (const auto& name : names(1000)) {
        if (wanted.at(hashOf(name) % 4)-- > 0) {
            users.push_back(name);
        }
    }

    const auto members = makeMembers(users);
    ck_assert_uint_eq(users.size(), 24);
    checkStatus(world.store("9", "1", "x", members), StoreStatus::Stored);
    ck_assert(redis->ask({"GET", "chat:sent:1:9:1"}) == "4:1111");
    checkStatus(world.store("9", "1", "x", members), StoreStatus::Duplicate);

    for (const auto& user : users) {
        ck_assert_uint_eq(world.list(user).keys.size(), 1);
    }
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

int main()
{
    return runWithRedis(
        "storing in Redis",
        {aMessageThatWasStoredInPartIsCompleted,
         aRetryKeepsTheSplitOfTheFirstAttempt,
         aGroupThatWasStoredInPartIsCompleted, aCallIsBoundedInBytes,
         longNewsAreAlikeInAllInboxes, chatsShareACall,
         aCallIsBoundedInRecipients, batchesOfAMessageDoNotShareACall,
         aBusyLargeChatWaitsForCompany, aSenderMayHaveAColonInItsName,
         keysHaveALife, aLostCounterNeverRepeatsANumber,
         scriptsComeBackAfterScriptFlush, anUnwritableInboxLeavesNoTrace,
         aLimitInBytes});
}
