#include "worker/membership_cache.hpp"

#include <utility>

#include "membership_world.hpp"
#include "run_tests.hpp"
#include "worker/membership_memory.hpp"

using namespace chat;
using namespace chat::test;
using namespace std::chrono_literals;

namespace {

struct World {
    Loop loop;
    MembershipMemory* source = nullptr;
    bool changed = false;
    std::unique_ptr<MembershipCache> membership;

    explicit World(const MembershipCache::Options& options = {})
    {
        auto memory = std::make_unique<MembershipMemory>();
        source = memory.get();
        source->set("21", {{"1", true}, {"2", true}});
        source->set("22", {{"3", false}});
        membership = std::make_unique<MembershipCache>(
            loop, std::move(memory), options,
            [this] { return std::exchange(changed, false); });
    }

    std::string ask(std::string_view chatId)
    {
        return members(loop, *membership, chatId);
    }
};

void expect(const std::string& got, const char* wanted)
{
    ck_assert_str_eq(got.c_str(), wanted);
}

}  // namespace

START_TEST(asksOnceWhileTheEntryLives)
{
    World world({.ttl = 50ms});
    expect(world.ask("21"), "1 2");
    expect(world.ask("21"), "1 2");
    ck_assert_uint_eq(world.source->lookups(), 1);
    world.loop.turnFor(80ms);
    world.source->set("21", {{"9", true}});
    expect(world.ask("21"), "9");
    ck_assert_uint_eq(world.source->lookups(), 2);
}
END_TEST

START_TEST(joinsLookupsOfOneChat)
{
    World world;
    world.source->hold(true);
    std::string order;

    for (const char* name : {"a", "b"}) {
        world.membership->lookup("21", [&order, name](const LookupResult& r) {
            ck_assert(r.status == LookupStatus::Ok);
            order += name;
        });
    }

    world.membership->lookup("22", [&](const LookupResult&) { order += "c"; });
    ck_assert_uint_eq(world.source->lookups(), 2);
    world.source->release();
    expect(order, "abc");
    ck_assert_uint_eq(world.membership->stats().joined, 1);
}
END_TEST

START_TEST(invalidatingCountsAtOnce)
{
    World world;
    world.ask("21");
    world.ask("22");
    world.source->set("21", {{"9", true}});
    world.source->set("22", {{"9", true}});
    world.membership->invalidate("21");
    expect(world.ask("21"), "9");
    expect(world.ask("22"), "'3'");
    world.membership->invalidateAll();
    expect(world.ask("22"), "9");

    // By the probe as well.
    world.source->set("22", {{"8", true}});
    world.changed = true;
    expect(world.ask("22"), "8");
}
END_TEST

START_TEST(aLookupUnderWayIsMadeAgainWhenInvalidated)
{
    World world;
    world.source->hold(true);
    std::string got;
    world.membership->lookup(
        "21", [&](const LookupResult& r) { got = r.members->list[0].user; });
    world.membership->invalidate("21");
    world.source->release();  // from before the change
    expect(got, "");
    world.source->set("21", {{"9", true}});
    world.source->release();
    expect(got, "9");
}
END_TEST

START_TEST(oldMembersServeOnWhileTheDatabaseIsAway)
{
    World world({.ttl = 1ms});
    world.ask("21");
    world.source->fail("away");
    world.loop.turnFor(10ms);
    expect(world.ask("21"), "1 2");
    expect(world.ask("22"), "away");
    ck_assert_uint_eq(world.membership->stats().stale, 1);
    ck_assert_uint_eq(world.membership->stats().failures, 2);

    // Not when they are known to be outdated.
    world.membership->invalidate("21");
    expect(world.ask("21"), "away");
    world.source->fail("");
    expect(world.ask("21"), "1 2");
}
END_TEST

START_TEST(chatsThatDoNotExistAreNotKept)
{
    World world;
    expect(world.ask("99"), "none");
    ck_assert_uint_eq(world.membership->stats().chats, 0);
    world.source->set("99", {{"1", true}});
    expect(world.ask("99"), "1");

    // And one that is gone goes.
    world.source->remove("99");
    world.membership->invalidate("99");
    expect(world.ask("99"), "none");
}
END_TEST

START_TEST(theLeastUsedChatLeaves)
{
    World world({.size = 2});
    world.source->set("23", {{"1", true}});
    world.ask("21");
    world.ask("22");
    world.ask("21");
    world.ask("23");
    ck_assert_uint_eq(world.membership->stats().chats, 2);
    ck_assert_uint_eq(world.source->lookups(), 3);
    world.ask("21");
    ck_assert_uint_eq(world.source->lookups(), 3);
    world.ask("22");
    ck_assert_uint_eq(world.source->lookups(), 4);
}
END_TEST

START_TEST(membersAreBoundedToo)
{
    World world({.members = 2});
    world.ask("21");
    world.ask("22");
    ck_assert_uint_eq(world.membership->stats().chats, 1);
    ck_assert_uint_eq(world.membership->stats().members, 1);
}
END_TEST

START_TEST(destructionAnswersNobody)
{
    World world;
    world.source->hold(true);
    world.membership->lookup(
        "21", [](const LookupResult&) { ck_abort_msg("called"); });
    world.membership.reset();
}
END_TEST

int main()
{
    return runTests(
        "membership cache",
        {asksOnceWhileTheEntryLives, joinsLookupsOfOneChat,
         invalidatingCountsAtOnce, aLookupUnderWayIsMadeAgainWhenInvalidated,
         oldMembersServeOnWhileTheDatabaseIsAway, chatsThatDoNotExistAreNotKept,
         theLeastUsedChatLeaves, membersAreBoundedToo,
         destructionAnswersNobody});
}
