// Presence, leases, the streams between nodes.

#include "worker/redis_node.hpp"

#include "redis_world.hpp"

using namespace chat;
using namespace chat::test;

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

int main()
{
    return runWithRedis(
        "nodes in Redis",
        {presenceIsSaidAgainBeforeTheResync, aNodeThatSignsOffIsForgottenAtOnce,
         aDeadNodeIsForgottenByItsLease, aLapsedLeaseMeansResync,
         aGapInTheStreamMeansResync, aLostStreamConnectionMeansResync,
         recipientsOfADoorbell});
}
