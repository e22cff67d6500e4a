// What every Inbox promises, asked of both back ends: the one in memory that
// other unit tests rely on, and the one in a real Redis.

#include "inbox_world.hpp"
#include "servers.hpp"
#include "worker/inbox_memory.hpp"
#include "worker/stores.hpp"

using namespace chat;
using namespace chat::test;

namespace {

enum Backend { kMemory, kRedis, kBackends };

constexpr std::size_t kLimit = 5;

std::unique_ptr<RedisServer> redis;

void startRedis()
{
    redis = std::make_unique<RedisServer>();
}

void stopRedis()
{
    redis.reset();
}

class ContractWorld : public World {
  public:
    explicit ContractWorld(int backend)
    {
        if (backend == kMemory) {
            auto data = std::make_shared<InboxMemory::Store>();
            data->maxMessages = kLimit;

            for (auto& node : nodes) {
                auto inbox = std::make_unique<InboxMemory>(data);
                memory.push_back(inbox.get());
                node.inbox = std::move(inbox);
                node.listen();
            }

            return;
        }

        redis->ask({"FLUSHALL"});
        InboxOptions options;
        options.redis.path = redis->socket();
        options.maxInboxMessages = kLimit;

        for (std::size_t i = 0; i < nodes.size(); ++i) {
            options.node.id = "node" + std::to_string(i);
            nodes[i].inbox = makeInbox(loop, options);
            nodes[i].listen();
        }

        ck_assert(loop.until(
            [&] { return nodes[0].resyncs > 0 && nodes[1].resyncs > 0; }));
    }

    // From here to release() requests become groups, as they do while Redis
    // is busy with the one before.
    void gather()
    {
        for (auto* inbox : memory) {
            inbox->hold(true);
        }
    }

    void release() override
    {
        for (auto* inbox : memory) {
            inbox->hold(false);
        }
    }

    std::vector<InboxMemory*> memory;
};

using Statuses = std::vector<StoreStatus>;
constexpr auto kStored = StoreStatus::Stored;

void checkStatus(const StoreResult& result, StoreStatus status)
{
    ck_assert_msg(result.status == status, "status %d: %s",
                  static_cast<int>(result.status), result.reason.c_str());
}

}  // namespace

START_TEST(longNewsAreReadLikeShortOnes)
{
    ContractWorld world(_i);
    const std::string user = "ann \"x\" 5:";
    const std::string lookalike = ",\"receive_user_id\":0}";
    auto members = std::make_shared<Members>();
    members->list = {{"12", true}, {user, false}};

    for (const std::size_t size : {10, 1023, 1024, 70000}) {
        for (const bool last : {true, false}) {
            auto news = std::make_shared<News>();
            const auto id = std::to_string(size) + (last ? "a" : "b");
            const auto text = "{\"c\":\"" + std::string(size, 'x') + "\"";
            *news = {id, text + ",\"receive_user_id\":",
                     last ? "}" : ",\"d\":{\"a\":1" + lookalike + "}"};
            std::optional<StoreStatus> status;
            world.inbox().store(
                {"21", "9", id, news, members},
                [&](const StoreResult& r) { status = r.status; });
            ck_assert(world.loop.until([&] { return status.has_value(); }));
            ck_assert(*status == kStored);

            const auto number = world.read("12", world.list("12").keys);
            const auto string = world.read(user, world.list(user).keys);
            ck_assert(number.ok && string.ok);
            ck_assert(number.entries.back().news ==
                      news->before + "12" + news->after);
            ck_assert(string.entries.back().news ==
                      news->before + "\"ann \\\"x\\\" 5:\"" + news->after);
            world.acknowledge("12", world.list("12").keys);
            world.acknowledge(user, world.list(user).keys);
        }
    }
}
END_TEST

START_TEST(numbersAreDensePerUserAndKeysAreInOrder)
{
    ContractWorld world(_i);
    world.store("9", "1", "a", makeMembers({"1", "2"}));
    world.store("9", "2", "b", makeMembers({"2"}));
    world.store("8", "1", "c", makeMembers({"2", "1"}));

    const auto one = world.list("1");
    const auto two = world.list("2");
    ck_assert(one.ok && two.ok);
    ck_assert_uint_eq(one.keys.size(), 2);
    ck_assert_uint_eq(two.keys.size(), 3);

    for (std::size_t i = 0; i < 3; ++i) {
        const char* id = i == 0 ? "a" : i == 1 ? "b" : "c";
        const auto key = std::to_string(two.last - 2 + i) + "-" + id;
        ck_assert_str_eq(two.keys[i].c_str(), key.c_str());
    }
}
END_TEST

START_TEST(listGivesOnlyWhatIsAboveTheMark)
{
    ContractWorld world(_i);
    world.store("9", "1", "a", makeMembers({"1"}));
    const auto first = world.list("1");
    world.store("9", "2", "b", makeMembers({"1"}));

    const auto later = world.list("1", first.last);
    ck_assert_uint_eq(later.keys.size(), 1);
    ck_assert_uint_eq(later.last, first.last + 1);
    ck_assert_uint_eq(world.list("1", later.last).keys.size(), 0);
    ck_assert_uint_eq(world.list("nobody").keys.size(), 0);
    ck_assert_uint_eq(world.list("nobody").last, 0);
}
END_TEST

START_TEST(readGivesTheNewsOfEachRecipient)
{
    ContractWorld world(_i);
    auto members = std::make_shared<Members>();
    members->list = {{"o\"brien\\\n", false}, {"7", true}, {"7x", false}};
    world.store("9", "1", "a", members);

    const char* expected[] = {
        R"({"id":"a","receive_user_id":"o\"brien\\\u000a"})",
        R"({"id":"a","receive_user_id":7})",
        R"({"id":"a","receive_user_id":"7x"})"};

    for (std::size_t i = 0; i < 3; ++i) {
        const auto& user = members->list[i].user;
        auto keys = world.list(user).keys;
        ck_assert_uint_eq(keys.size(), 1);
        keys.push_back("1-gone");
        const auto result = world.read(user, keys);
        ck_assert(result.ok);
        ck_assert_uint_eq(result.entries.size(), 2);
        ck_assert_str_eq(result.entries[0].key.c_str(), keys[0].c_str());
        ck_assert_str_eq(result.entries[0].news.c_str(), expected[i]);
        ck_assert_str_eq(result.entries[1].news.c_str(), "");
    }
}
END_TEST

START_TEST(aRepeatedSendIsStoredOnce)
{
    ContractWorld world(_i);
    const auto members = makeMembers({"1", "2"});
    checkStatus(world.store("9", "1", "a", members), StoreStatus::Stored);
    checkStatus(world.store("9", "1", "b", members), StoreStatus::Duplicate);
    checkStatus(world.store("9", "1", "c", members, 1), StoreStatus::Duplicate);
    // Another sender, and the string "1", are others.
    checkStatus(world.store("8", "1", "d", members), StoreStatus::Stored);
    checkStatus(world.store("9", "\"1\"", "e", members), StoreStatus::Stored);
    ck_assert(world.ids("1") == std::vector<std::string>({"a", "d", "e"}));
    ck_assert(world.ids("2") == std::vector<std::string>({"a", "d", "e"}));
}
END_TEST

START_TEST(aFullInboxStopsTheWholeMessage)
{
    ContractWorld world(_i);

    for (std::size_t i = 0; i < kLimit; ++i) {
        const auto id = std::to_string(i);
        checkStatus(world.store("9", id, id, makeMembers({"1"})),
                    StoreStatus::Stored);
    }

    const auto members = makeMembers({"2", "1", "3"});
    const auto result = world.store("9", "x", "x", members);
    checkStatus(result, StoreStatus::Full);
    ck_assert_str_eq(result.reason.c_str(), "the inbox of 1 is full");
    ck_assert_uint_eq(world.list("2").keys.size(), 0);

    const auto keys = world.list("1").keys;
    ck_assert(world.acknowledge("1", {keys[0]}));
    checkStatus(world.store("9", "x", "x", members), StoreStatus::Stored);
    ck_assert_uint_eq(world.list("2").keys.size(), 1);
    ck_assert_uint_eq(world.list("1").keys.size(), kLimit);
}
END_TEST

START_TEST(acknowledgingDeletesOnlyFromTheOwnInbox)
{
    ContractWorld world(_i);
    world.store("9", "1", "a", makeMembers({"1", "2"}));
    world.store("9", "2", "b", makeMembers({"1"}));
    const auto keys = world.list("1").keys;

    ck_assert(world.acknowledge("1", {keys[0], "no such key", ""}));
    ck_assert(world.acknowledge("1", {keys[0]}));
    ck_assert(world.acknowledge("1", {}));
    ck_assert(world.ids("1") == std::vector<std::string>({"b"}));
    ck_assert(world.ids("2") == std::vector<std::string>({"a"}));

    // The counter goes on when the inbox is empty.
    ck_assert(world.acknowledge("1", {keys[1]}));
    const auto last = world.list("1").last;
    world.store("9", "3", "c", makeMembers({"1"}));
    ck_assert_uint_eq(world.list("1").last, last + 1);
}
END_TEST

START_TEST(theCallbackComesBeforeTheDoorbell)
{
    ContractWorld world(_i);
    auto& node = world.nodes[0];
    world.inbox().arrive("1");
    bool answered = false;
    world.inbox().store(
        {"21", "9", "1", makeNews("a"), makeMembers({"1", "2"})},
        [&](const StoreResult&) {
            ck_assert_uint_eq(node.bells.size(), 0);
            answered = true;
        });
    ck_assert(world.loop.until([&] { return !node.bells.empty(); }));
    ck_assert(answered);
    ck_assert(node.rung("1") ==
              std::vector<std::uint64_t>({world.list("1").last}));
    ck_assert_str_eq(node.bells[0].news[0]->messageId.c_str(), "a");
}
END_TEST

START_TEST(requestsOfOneSenderStayInOrder)
{
    ContractWorld world(_i);
    std::vector<int> answers;
    std::vector<std::string> ids;
    world.inbox().arrive("1");

    for (int i = 0; i < 5; ++i) {
        ids.push_back("m" + std::to_string(i));
        world.inbox().store({"21", "9", std::to_string(i), makeNews(ids.back()),
                             makeMembers({"1"})},
                            [&answers, i](const StoreResult& result) {
                                checkStatus(result, StoreStatus::Stored);
                                answers.push_back(i);
                            });
    }

    auto& bells = world.nodes[0].bells;
    ck_assert(world.loop.until([&] { return bells.size() == 5; }));
    ck_assert(answers == std::vector<int>({0, 1, 2, 3, 4}));
    ck_assert(world.ids("1") == ids);

    for (std::size_t i = 0; i < 5; ++i) {
        ck_assert_str_eq(bells[i].news[0]->messageId.c_str(), ids[i].c_str());
    }
}
END_TEST

START_TEST(aGroupKeepsTheOrderOfItsChat)
{
    ContractWorld world(_i);
    const auto members = makeMembers({"1", "2"});
    world.inbox().arrive("1");
    world.inbox(1).arrive("2");
    world.store("9", "warm", "warm", makeMembers({"3"}), 1);
    world.nodes[1].bells.clear();
    world.gather();
    const auto statuses = world.storeAll({makeRequest("9", "1", "a", members),
                                          makeRequest("9", "2", "b", members),
                                          makeRequest("8", "1", "c", members),
                                          makeRequest("9", "3", "d", members)});
    ck_assert(statuses == Statuses(4, kStored));
    const std::vector<std::string> ids = {"a", "b", "c", "d"};
    ck_assert(world.ids("1") == ids);
    ck_assert(world.ids("2") == ids);

    // Both nodes hear of each message once and in order, in few doorbells.
    for (std::size_t n = 0; n < 2; ++n) {
        auto& node = world.nodes[n];
        const auto user = std::to_string(n + 1);
        ck_assert(
            world.loop.until([&] { return node.rung(user).size() >= 4; }));
        const auto last = world.list(user).last;
        ck_assert(node.rung(user) == std::vector<std::uint64_t>(
                                         {last - 3, last - 2, last - 1, last}));
        std::vector<std::string> heard;

        for (const auto& bell : node.bells) {
            for (const auto& news : bell.news) {
                heard.push_back(news->messageId);
                ck_assert(news->before == makeNews(heard.back())->before);
                ck_assert(news->after == "}");
            }
        }

        ck_assert(heard == ids);
        ck_assert_uint_le(node.bells.size(), 2);
    }
}
END_TEST

START_TEST(aSendThatIsRepeatedWithinAGroupIsStoredOnce)
{
    ContractWorld world(_i);
    const auto members = makeMembers({"1", "2"});
    world.inbox().arrive("1");
    world.store("9", "0", "old", members);
    world.gather();
    const auto statuses = world.storeAll({makeRequest("9", "1", "a", members),
                                          makeRequest("9", "2", "b", members),
                                          makeRequest("9", "2", "x", members),
                                          makeRequest("9", "0", "x", members),
                                          makeRequest("9", "1", "x", members),
                                          makeRequest("9", "3", "c", members)});
    constexpr auto kAgain = StoreStatus::Duplicate;
    ck_assert(statuses ==
              Statuses({kStored, kStored, kAgain, kAgain, kAgain, kStored}));
    const std::vector<std::string> ids = {"old", "a", "b", "c"};
    ck_assert(world.ids("1") == ids);
    ck_assert(world.ids("2") == ids);
    ck_assert(
        world.loop.until([&] { return world.nodes[0].rung("1").size() == 4; }));
    const auto rung = world.nodes[0].rung("1");
    ck_assert_uint_eq(rung[3] - rung[0], 3);
}
END_TEST

START_TEST(theSameSendToTwoChatsIsOne)
{
    ContractWorld world(_i);
    const auto members = makeMembers({"1", "2"});
    std::vector<StoreRequest> requests;

    for (const char* id : {"a", "b", "c"}) {
        for (const char* chat : {"21", "22", "23"}) {
            requests.push_back(makeRequest("9", id, id, members, chat));
        }
    }

    const auto statuses = world.storeAll(std::move(requests));
    ck_assert_int_eq(std::count(statuses.begin(), statuses.end(), kStored), 3);
    auto ids = world.ids("1");
    std::sort(ids.begin(), ids.end());
    ck_assert(ids == std::vector<std::string>({"a", "b", "c"}));
}
END_TEST

START_TEST(aGroupFillsAnInboxUpToItsLimit)
{
    ContractWorld world(_i);
    const auto members = makeMembers({"1", "2"});
    world.inbox().arrive("2");
    world.store("9", "0", "0", makeMembers({"1"}));
    std::vector<StoreRequest> requests;

    for (int i = 1; i <= 7; ++i) {
        const auto id = std::to_string(i);
        requests.push_back(makeRequest("9", id, id, members));
    }

    world.gather();
    const auto statuses = world.storeAll(std::move(requests));
    constexpr auto kFull = StoreStatus::Full;
    ck_assert(statuses == Statuses({kStored, kStored, kStored, kStored, kFull,
                                    kFull, kFull}));
    const std::vector<std::string> ids = {"1", "2", "3", "4"};
    ck_assert(world.ids("2") == ids);
    ck_assert_uint_eq(world.ids("1").size(), kLimit);
    ck_assert_uint_eq(world.nodes[0].rung("2").size(), 4);
}
END_TEST

START_TEST(aListOfRecipientsThatChangesKeepsTheOrder)
{
    ContractWorld world(_i);
    world.inbox().arrive("1");
    std::vector<StoreRequest> requests;
    std::vector<std::string> ids;

    for (int i = 0; i < 5; ++i) {
        const auto id = std::to_string(i);
        ids.push_back(id);
        requests.push_back(
            makeRequest("9", id, id, makeMembers({"1", "m" + id})));
    }

    world.gather();
    ck_assert(world.storeAll(std::move(requests)) == Statuses(5, kStored));
    ck_assert(world.ids("1") == ids);
    ck_assert(world.ids("m3") == std::vector<std::string>({"3"}));
    const auto rung = world.nodes[0].rung("1");
    ck_assert_uint_eq(rung.size(), 5);
    ck_assert(std::is_sorted(rung.begin(), rung.end()));
}
END_TEST

START_TEST(otherNodesAreRungForTheUsersTheyHold)
{
    ContractWorld world(_i);
    auto& other = world.nodes[1];
    world.inbox(1).arrive("2");
    world.inbox(1).arrive("3");
    world.inbox(1).arrive("3");
    world.inbox(1).leave("3");
    world.inbox(1).leave("3");
    world.inbox(1).arrive("ann \"x\" 5:");
    world.store("9", "0", "warm", makeMembers({"3"}), 1);

    auto members = std::make_shared<Members>();
    members->list = {
        {"1", true}, {"2", true}, {"3", true}, {"ann \"x\" 5:", false}};
    world.store("9", "1", "a", members);
    ck_assert(world.loop.until([&] { return other.rung("2").size() == 1; }));

    const auto& bell = other.bells.back();
    ck_assert_str_eq(bell.news[0]->messageId.c_str(), "a");
    ck_assert(bell.news[0]->before == makeNews("a")->before);
    ck_assert(bell.news[0]->after == makeNews("a")->after);
    ck_assert_uint_eq(bell.recipients.size(), 2);
    ck_assert(bell.recipients[0].isNumber);
    ck_assert(!bell.recipients[1].isNumber);
    ck_assert_uint_eq(bell.sequences[1], world.list("ann \"x\" 5:").last);
}
END_TEST

START_TEST(doorbellsFromTwoNodesLeaveNoGap)
{
    ContractWorld world(_i);
    world.inbox(0).arrive("1");
    world.inbox(1).arrive("1");
    world.list("1");
    world.store("9", "w", "w", makeMembers({"2"}), 1);

    for (int i = 0; i < 4; ++i) {
        const auto id = std::to_string(i);
        world.store("9", id, id, makeMembers({"1"}), i % 2);
    }

    for (auto& node : world.nodes) {
        ck_assert(world.loop.until([&] { return node.bells.size() >= 4; }));
        auto rung = node.rung("1");
        std::sort(rung.begin(), rung.end());
        ck_assert_uint_eq(rung.size(), 4);
        ck_assert_uint_eq(rung.back() - rung.front(), 3);
    }
}
END_TEST

int main()
{
    Suite* suite = suite_create("inbox contract");
    TCase* tests = tcase_create("every back end");
    tcase_set_timeout(tests, 30);
    tcase_add_unchecked_fixture(tests, startRedis, stopRedis);
    const TTest* all[] = {longNewsAreReadLikeShortOnes,
                          numbersAreDensePerUserAndKeysAreInOrder,
                          listGivesOnlyWhatIsAboveTheMark,
                          readGivesTheNewsOfEachRecipient,
                          aRepeatedSendIsStoredOnce,
                          aFullInboxStopsTheWholeMessage,
                          acknowledgingDeletesOnlyFromTheOwnInbox,
                          theCallbackComesBeforeTheDoorbell,
                          requestsOfOneSenderStayInOrder,
                          aGroupKeepsTheOrderOfItsChat,
                          aSendThatIsRepeatedWithinAGroupIsStoredOnce,
                          theSameSendToTwoChatsIsOne,
                          aGroupFillsAnInboxUpToItsLimit,
                          aListOfRecipientsThatChangesKeepsTheOrder,
                          otherNodesAreRungForTheUsersTheyHold,
                          doorbellsFromTwoNodesLeaveNoGap};

    for (const auto* test : all) {
        tcase_add_loop_test(tests, test, 0, kBackends);
    }

    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? 0 : 1;
}
