// What a session gets from its inbox, and when.

#include "worker/catch_up.hpp"

#include "t/unit/hub_world.hpp"

namespace {

using namespace chat::test;
using chat::Hub;
using chat::News;

START_TEST(what_waited_comes_first_then_the_live_ones)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.put("a");
    f.attach(1, "a");
    f.inbox.deliver({"a"});
    const auto got = f.link.take();
    ck_assert_uint_eq(got.size(), 2);
    ck_assert(!got[0].fanned);
    ck_assert_uint_eq(got[0].mark, kFirst + 1);
    ck_assert(got[1].fanned);
    ck_assert_uint_eq(got[1].mark, kFirst + 2);
}
END_TEST

START_TEST(messages_that_come_during_a_replay_follow_it_once)
{
    Fixture f;
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.inbox.deliver({"a"});  // before the list is made: in it
    f.inbox.answerOne();
    f.inbox.deliver({"a"});  // after: only held
    f.inbox.answerOne();
    expectNumbers(f.numbers(1), range(kFirst, kFirst + 2));
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 3});
    ck_assert(f.inbox.waiting.empty());
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

START_TEST(a_group_that_comes_during_a_replay_follows_it)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.slow = true;
    f.attach(1, "a");
    f.inbox.answerOne();
    f.inbox.ring({"a"}, kFirst + 1, 3);
    ck_assert(f.link.take().empty());
    f.inbox.answerOne();
    expectNumbers(f.numbers(1), range(kFirst, kFirst + 3));
    f.inbox.ring({"a"}, kFirst + 4, 2);
    expectNumbers(f.numbers(1), range(kFirst + 4, kFirst + 5));
}
END_TEST

START_TEST(another_session_may_be_faster_to_acknowledge)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.slow = true;
    f.attach(2, "a");
    f.inbox.deliver({"a"});  // session 1 gets it live
    expectNumbers(f.numbers(1), {kFirst + 1});
    f.inbox.boxes["a"].clear();  // and acknowledges it
    while (!f.inbox.waiting.empty()) {
        f.inbox.answerOne();
    }
    expectNumbers(f.numbers(2), {kFirst + 1});
}
END_TEST

START_TEST(acknowledged_between_list_and_doorbell_all_the_same)
{
    Fixture f;
    f.attachLive(1, "b");
    f.inbox.put("a");
    f.inbox.slow = true;
    f.attach(2, "a");
    const auto second = f.inbox.put("a");  // acknowledged on another node
    f.inbox.boxes["a"].erase(second);
    f.inbox.answerOne();          // the list: counter says second
    f.inbox.ring({"a"}, second);  // now the doorbell comes
    f.inbox.slow = false;
    f.inbox.answerOne();
    f.hub.written({1, 2});
    expectNumbers(f.numbers(2), {kFirst, second});
}
END_TEST

START_TEST(a_large_inbox_comes_in_pages_as_nginx_writes)
{
    Fixture f;
    for (int i = 0; i < 250; ++i) {
        f.inbox.put("a");
    }
    f.attach(1, "a");
    expectNumbers(f.numbers(1), range(kFirst, kFirst + 99));
    ck_assert(f.reports);
    ck_assert_uint_eq(f.lastMark, kFirst + 99);
    f.inbox.deliver({"a"});
    ck_assert(f.link.take().empty());
    f.hub.written({1, 1});
    expectNumbers(f.numbers(1), range(kFirst + 100, kFirst + 199));
    f.hub.written({1, 1});
    expectNumbers(f.numbers(1), range(kFirst + 200, kFirst + 250));
    ck_assert(!f.reports);
    f.hub.written({1, 1});
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 251});
}
END_TEST

START_TEST(pages_are_bounded_in_bytes)
{
    Fixture f;
    f.settings.replayBytes = 1000;
    for (int i = 0; i < 10; ++i) {
        f.inbox.put("a", 450);
    }
    f.attach(1, "a");
    Numbers all;
    for (int pages = 0; pages < 20; ++pages) {
        for (const Got& got : f.link.take()) {
            ck_assert_uint_le(got.text.size(), 1100);
            Fixture::numbersOf(got.text, all);
        }
        f.hub.written({1, 1});
    }
    expectNumbers(all, range(kFirst, kFirst + 9));
}
END_TEST

START_TEST(a_message_larger_than_a_page_comes_alone)
{
    Fixture f;
    f.settings.replayBytes = 1000;
    f.inbox.put("a", 5000);
    f.inbox.put("a");
    f.attach(1, "a");
    expectNumbers(f.numbers(1), {kFirst});
    f.hub.written({1, 1});
    expectNumbers(f.numbers(1), {kFirst + 1});
}
END_TEST

START_TEST(a_resumed_session_gets_only_what_is_new)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.put("a");
    f.attach(1, "a", kFirst);
    expectNumbers(f.numbers(1), {kFirst + 1});
}
END_TEST

START_TEST(a_resumed_session_whose_mark_redis_has_lost)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.boxes["a"].clear();
    f.attach(1, "a", kFirst + 10);
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 1});
}
END_TEST

START_TEST(an_inbox_that_is_away_is_asked_again)
{
    Fixture f;
    f.inbox.put("a");
    f.inbox.works = false;
    f.attach(1, "a");
    f.timers.advance(3000);
    ck_assert(f.link.take().empty());
    f.inbox.works = true;
    f.timers.advance(1000);
    expectNumbers(f.numbers(1), {kFirst});
    const auto asked = f.inbox.listed.size();
    f.timers.advance(60000);
    ck_assert_uint_eq(f.inbox.listed.size(), asked);
}
END_TEST

START_TEST(a_page_that_cannot_be_read_is_read_again)
{
    Fixture f;
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.inbox.answerOne();
    f.inbox.works = false;
    f.inbox.answerOne();
    f.inbox.works = true;
    f.timers.advance(1000);
    f.inbox.answerOne();
    expectNumbers(f.numbers(1), {kFirst});
}
END_TEST

START_TEST(resync_lists_every_inbox_above_its_mark)
{
    Fixture f;
    f.attachLive(1, "a");
    f.attachLive(2, "b");
    f.inbox.put("a");  // its doorbell is lost
    f.inbox.resync();
    ck_assert_uint_eq(f.inbox.listed.size(), 2);
    ck_assert_uint_eq(f.inbox.listed[0].second, kFirst);
    expectNumbers(f.numbers(1), {kFirst + 1});
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 2});
}
END_TEST

START_TEST(resync_during_a_question_asks_again)
{
    Fixture f;
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.inbox.resync();
    f.inbox.put("a");
    while (!f.inbox.waiting.empty()) {
        f.inbox.answerOne();
    }
    expectNumbers(f.numbers(1), range(kFirst, kFirst + 1));
    ck_assert_uint_eq(f.inbox.listed.size(), 2);
}
END_TEST

START_TEST(resync_while_a_page_is_written_goes_on_from_there)
{
    Fixture f;
    for (int i = 0; i < 150; ++i) {
        f.inbox.put("a");
    }
    f.attach(1, "a");
    f.link.take();
    f.inbox.resync();
    ck_assert(f.link.take().empty());
    f.hub.written({1, 1});
    expectNumbers(f.numbers(1), range(kFirst + 100, kFirst + 149));
}
END_TEST

START_TEST(questions_at_the_same_time_are_bounded)
{
    Fixture f;
    f.settings.replayConcurrency = 2;
    f.inbox.slow = true;
    for (std::uint64_t id = 1; id <= 4; ++id) {
        f.inbox.put("u" + std::to_string(id));
        f.attach(id, "u" + std::to_string(id));
    }
    ck_assert_uint_eq(f.inbox.waiting.size(), 2);
    int answered = 0;
    while (!f.inbox.waiting.empty()) {
        f.inbox.answerOne();
        ck_assert_uint_le(f.inbox.waiting.size(), 2);
        ++answered;
    }
    ck_assert_int_eq(answered, 8);
    ck_assert_uint_eq(f.link.take().size(), 4);
}
END_TEST

START_TEST(what_does_not_fit_in_memory_is_left_to_the_inbox)
{
    Fixture f;
    f.settings.maxHeldMessages = 3;
    f.hub.applySettings();
    f.inbox.slow = true;
    f.inbox.put("a");
    f.attach(1, "a");
    f.inbox.answerOne();
    for (int i = 0; i < 10; ++i) {
        f.inbox.deliver({"a"});
    }
    ck_assert_uint_eq(f.counters.heldOverflows, 7);
    f.inbox.slow = false;
    f.inbox.answerOne();
    f.timers.advance(100);
    expectNumbers(f.numbers(1), range(kFirst, kFirst + 10));
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

}  // namespace

int main()
{
    return runTests(
        "catch-up",
        {what_waited_comes_first_then_the_live_ones,
         messages_that_come_during_a_replay_follow_it_once,
         a_group_that_comes_during_a_replay_follows_it,
         another_session_may_be_faster_to_acknowledge,
         acknowledged_between_list_and_doorbell_all_the_same,
         a_large_inbox_comes_in_pages_as_nginx_writes,
         pages_are_bounded_in_bytes, a_message_larger_than_a_page_comes_alone,
         a_resumed_session_gets_only_what_is_new,
         a_resumed_session_whose_mark_redis_has_lost,
         an_inbox_that_is_away_is_asked_again,
         a_page_that_cannot_be_read_is_read_again,
         resync_lists_every_inbox_above_its_mark,
         resync_during_a_question_asks_again,
         resync_while_a_page_is_written_goes_on_from_there,
         questions_at_the_same_time_are_bounded,
         what_does_not_fit_in_memory_is_left_to_the_inbox});
}
