// Sessions and users that come and go, links that do not keep up.

#include "worker/hub.hpp"

#include "t/unit/hub_world.hpp"

namespace {

using namespace chat::test;
using chat::Hub;
using chat::News;

START_TEST(a_congested_link_gets_nothing_live_and_catches_up)
{
    Fixture f;
    f.attachLive(1, "a");
    f.link.isCongested = true;
    f.inbox.deliver({"a"});
    f.inbox.deliver({"a"});
    f.timers.advance(60000);
    ck_assert(f.link.take().empty());
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
    ck_assert_uint_eq(f.counters.fellBehind, 1);
    f.link.isCongested = false;
    f.hub.drainedLink(f.link);
    expectNumbers(f.numbers(1), range(kFirst + 1, kFirst + 2));
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 3});
}
END_TEST

START_TEST(a_replay_stops_at_a_congested_link)
{
    Fixture f;
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.link.isCongested = true;
    f.inbox.answerOne();
    ck_assert(f.inbox.waiting.empty());
    f.link.isCongested = false;
    f.hub.drainedLink(f.link);
    f.inbox.answerOne();
    f.inbox.answerOne();
    expectNumbers(f.numbers(1), {kFirst});
}
END_TEST

START_TEST(only_the_congested_link_falls_behind)
{
    Fixture f;
    FakeLink other(2);
    f.hub.openLink(other);
    f.attachLive(1, "a");
    f.attachLive(1, "a", &other);
    other.take();
    other.isCongested = true;
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 1});
    ck_assert(other.take().empty());
}
END_TEST

START_TEST(sessions_may_go_while_the_inbox_is_asked)
{
    Fixture f;
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.attach(2, "a");
    f.hub.detach({1, 1});
    f.inbox.answerOne();
    f.hub.closeLink(f.link);
    while (!f.inbox.waiting.empty()) {
        f.inbox.answerOne();
    }
    ck_assert(f.link.take().empty());
    ck_assert_uint_eq(f.hub.sessions(), 0);
    ck_assert_uint_eq(f.hub.users(), 0);
    ck_assert(f.inbox.here.empty());
}
END_TEST

START_TEST(presence_follows_first_and_last_session)
{
    Fixture f;
    FakeLink other(2);
    f.hub.openLink(other);
    f.attach(1, "a");
    ck_assert_uint_eq(f.inbox.here.count("a"), 1);
    f.attach(1, "a", 0, &other);
    f.hub.detach({1, 1});
    ck_assert_uint_eq(f.inbox.here.count("a"), 1);
    f.hub.closeLink(other);
    ck_assert_uint_eq(f.inbox.here.count("a"), 0);
}
END_TEST

START_TEST(held_news_go_with_the_session_that_waited)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.slow = true;
    f.attach(2, "a");
    f.inbox.deliver({"a"});
    ck_assert_uint_ne(f.hub.heldBytes(), 0);
    f.hub.detach({1, 2});
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

START_TEST(another_user_starts_at_the_beginning)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.put("b");
    f.attach(1, "a");
    f.link.take();
    f.hub.identify(*f.hub.find({1, 1}), {"b", false});
    expectNumbers(f.numbers(1), {kFirst});
    ck_assert_uint_eq(f.inbox.here.count("a"), 0);
    ck_assert_uint_eq(f.inbox.here.count("b"), 1);
    f.inbox.deliver({"a"});
    ck_assert(f.link.take().empty());
}
END_TEST

START_TEST(the_same_user_again_repeats_nothing)
{
    Fixture f;
    f.inbox.put("a");
    f.attach(1, "a");
    f.link.take();
    f.hub.identify(*f.hub.find({1, 1}), {"a", true});
    ck_assert(f.link.take().empty());
    ck_assert(f.hub.find({1, 1})->numberForm);
}
END_TEST

START_TEST(sessions_are_bounded)
{
    Fixture f;
    for (std::uint64_t id = 1; id <= 4; ++id) {
        f.attach(id, "a");
    }
    ck_assert_ptr_null(f.hub.attach(f.link, 5, 0));
    ck_assert_ptr_nonnull(f.hub.attach(f.link, 4, 0));
    ck_assert_uint_eq(f.hub.sessions(), 4);
    ck_assert_uint_eq(f.counters.refusedSessions, 1);
}
END_TEST

}  // namespace

int main()
{
    return runTests(
        "hub", {a_congested_link_gets_nothing_live_and_catches_up,
                a_replay_stops_at_a_congested_link,
                only_the_congested_link_falls_behind,
                sessions_may_go_while_the_inbox_is_asked,
                presence_follows_first_and_last_session,
                held_news_go_with_the_session_that_waited,
                another_user_starts_at_the_beginning,
                the_same_user_again_repeats_nothing, sessions_are_bounded});
}
