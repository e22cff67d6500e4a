// Messages to sessions at the moment they are stored.

#include "worker/live.hpp"

#include "t/unit/hub_world.hpp"

namespace {

using namespace chat::test;
using chat::Hub;
using chat::News;

START_TEST(one_doorbell_is_one_frame_per_link)
{
    Fixture f;
    FakeLink other(2);
    f.hub.openLink(other);
    f.attachLive(1, "a");
    f.attachLive(2, "b");
    f.attachLive(3, "b");
    f.attachLive(1, "a", &other);
    other.take();
    f.inbox.deliver({"absent", "a", "b"});
    ck_assert_uint_eq(f.link.take().size(), 3);
    ck_assert_int_eq(f.link.fanouts, 1);
    const auto got = other.take();
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(got[0].fanned);
    ck_assert_uint_eq(got[0].mark, kFirst + 1);
    ck_assert(got[0].text ==
              "{\"code\":236,\"msg\":\"接收到新消息\",\"data\":{\"1001-m1001\":"
              "{\"r\":\"a\"}}}");
    ck_assert(f.inbox.listed.empty());
}
END_TEST

START_TEST(a_message_that_was_delivered_is_skipped)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.deliver({"a"});
    f.inbox.ring({"a"}, kFirst + 1);
    f.inbox.ring({"a"}, kFirst);
    expectNumbers(f.numbers(1), {kFirst + 1});
}
END_TEST

START_TEST(a_group_is_one_message_with_all_keys)
{
    Fixture f;
    f.attachLive(1, "a");
    f.attachLive(2, "b");
    f.attachLive(3, "b");
    f.inbox.ring({"a", "absent", "b"}, kFirst + 1, 3);
    const auto got = f.link.take();
    ck_assert_int_eq(f.link.fanouts, 1);
    ck_assert_uint_eq(got.size(), 3);
    ck_assert_uint_eq(got[0].mark, kFirst + 3);
    ck_assert(got[0].text ==
              "{\"code\":236,\"msg\":\"接收到新消息\",\"data\":{"
              "\"1001-m1001\":{\"r\":\"a\"},\"1002-m1002\":{\"r\":\"a\"},"
              "\"1003-m1003\":{\"r\":\"a\"}}}");
    ck_assert(got[2].text == got[1].text);
    ck_assert_uint_eq(f.counters.deliveredLive, 9);
    f.inbox.ring({"a"}, kFirst + 4);
    expectNumbers(f.numbers(1), {kFirst + 4});
}
END_TEST

START_TEST(who_has_a_part_of_a_group_gets_the_rest)
{
    Fixture f;
    f.attachLive(1, "a");
    f.attachLive(2, "a");
    f.hub.find({1, 2})->mark = kFirst + 2;
    f.inbox.ring({"a"}, kFirst + 1, 4);
    const auto got = f.link.take();
    ck_assert_uint_eq(got.size(), 2);
    Numbers one;
    Numbers two;
    Fixture::numbersOf(got[0].text, one);
    Fixture::numbersOf(got[1].text, two);
    expectNumbers(one, range(kFirst + 1, kFirst + 4));
    expectNumbers(two, range(kFirst + 3, kFirst + 4));
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
    f.inbox.ring({"a"}, kFirst + 2, 3);
    ck_assert(f.link.take().empty());
}
END_TEST

START_TEST(groups_in_the_wrong_order_are_put_in_order)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.ring({"a"}, kFirst + 4, 2);
    ck_assert(f.link.take().empty());
    f.inbox.ring({"a"}, kFirst + 1, 3);
    expectNumbers(f.numbers(1), range(kFirst + 1, kFirst + 5));
    ck_assert_uint_eq(f.lastMark, kFirst + 5);
    f.timers.advance(10000);
    ck_assert(f.inbox.listed.empty());
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

START_TEST(a_group_is_split_into_pages)
{
    Fixture f;
    f.settings.replayMessages = 2;
    f.attachLive(1, "a");
    f.inbox.ring({"a"}, kFirst + 1, 5);
    const auto got = f.link.take();
    ck_assert_int_eq(f.link.fanouts, 3);
    Numbers all;
    for (const Got& one : got) {
        Fixture::numbersOf(one.text, all);
    }
    expectNumbers(all, range(kFirst + 1, kFirst + 5));
    f.settings.replayMessages = 1000;
    f.settings.replayBytes = 1;
    f.inbox.ring({"a"}, kFirst + 6, 4);
    ck_assert_uint_eq(f.link.take().size(), 4);
    f.settings.replayBytes = 1U << 20;
    f.inbox.ring({"a"}, kFirst + 10, 300);  // more than a FANOUT has holes for
    expectNumbers(f.numbers(1), range(kFirst + 10, kFirst + 309));
    ck_assert_int_eq(f.link.fanouts, 3);
}
END_TEST

START_TEST(a_group_that_nginx_does_not_take_comes_singly)
{
    Fixture f;
    f.attachLive(1, "a");
    f.attachLive(2, "b");
    f.link.payloadBound = 160;
    f.inbox.ring({"a", "b"}, kFirst + 1, 4);
    const auto got = f.link.take();
    ck_assert_int_eq(f.link.fanouts, 0);
    ck_assert_uint_eq(got.size(), 8);
    ck_assert_uint_eq(got[3].mark, kFirst + 4);
    ck_assert_uint_eq(f.counters.undeliverable, 0);
    ck_assert_uint_eq(f.counters.deliveredLive, 8);
}
END_TEST

START_TEST(a_number_of_zero_was_not_stored)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.ring({"a"}, 0);
    ck_assert(f.link.take().empty());
}
END_TEST

START_TEST(doorbells_in_the_wrong_order_are_put_in_order)
{
    Fixture f;
    f.attachLive(1, "a");
    f.attachLive(2, "a");
    f.inbox.put("a");
    f.inbox.put("a");
    f.inbox.put("a");
    f.inbox.ring({"a"}, kFirst + 3);
    f.inbox.ring({"a"}, kFirst + 2);
    ck_assert(f.link.take().empty());
    f.inbox.ring({"a"}, kFirst + 1);
    expectNumbers(f.numbers(1), range(kFirst + 1, kFirst + 3));
    f.timers.advance(10000);
    ck_assert(f.inbox.listed.empty());
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

START_TEST(a_gap_that_is_not_filled_is_read_from_the_inbox)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.put("a");
    f.inbox.put("a");
    f.inbox.ring({"a"}, kFirst + 2);
    f.timers.advance(99);
    ck_assert(f.link.take().empty());
    f.timers.advance(1);
    expectNumbers(f.numbers(1), range(kFirst + 1, kFirst + 2));
    ck_assert_uint_eq(f.lastMark, kFirst + 2);
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 3});
    f.timers.advance(10000);
    ck_assert_uint_eq(f.inbox.listed.size(), 1);
    ck_assert_uint_eq(f.hub.heldBytes(), 0);
}
END_TEST

START_TEST(a_gap_that_nobody_knows_is_not_asked_for_for_ever)
{
    Fixture f;
    f.attachLive(1, "a");
    f.inbox.ring({"a"}, kFirst + 5);  // but the inbox's counter is at kFirst
    f.timers.advance(60000);
    ck_assert_uint_le(f.inbox.listed.size(), 2);
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 1});
}
END_TEST

START_TEST(the_first_message_of_an_inbox_needs_no_wait)
{
    Fixture f;
    f.attach(1, "a");
    ck_assert(f.link.take().empty());
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst});
    f.inbox.deliver({"a"});
    expectNumbers(f.numbers(1), {kFirst + 1});
    ck_assert_uint_eq(f.inbox.listed.size(), 2);
}
END_TEST

START_TEST(a_fanout_is_split_at_what_nginx_accepts)
{
    Fixture f;
    for (std::uint64_t id = 1; id <= 4; ++id) {
        f.attachLive(id, "u" + std::to_string(id));
    }
    f.link.payloadBound = 200;
    f.inbox.deliver({"u1", "u2", "u3", "u4"});
    ck_assert_uint_eq(f.link.take().size(), 4);
    ck_assert_int_gt(f.link.fanouts, 1);
    f.link.payloadBound = 64;
    f.inbox.deliver({"u1", "u2", "u3", "u4"});
    ck_assert(f.link.take().empty());
    ck_assert_uint_eq(f.counters.undeliverable, 4);
}
END_TEST

}  // namespace

int main()
{
    return runTests("live", {one_doorbell_is_one_frame_per_link,
                             a_message_that_was_delivered_is_skipped,
                             a_group_is_one_message_with_all_keys,
                             who_has_a_part_of_a_group_gets_the_rest,
                             groups_in_the_wrong_order_are_put_in_order,
                             a_group_is_split_into_pages,
                             a_group_that_nginx_does_not_take_comes_singly,
                             a_number_of_zero_was_not_stored,
                             doorbells_in_the_wrong_order_are_put_in_order,
                             a_gap_that_is_not_filled_is_read_from_the_inbox,
                             a_gap_that_nobody_knows_is_not_asked_for_for_ever,
                             the_first_message_of_an_inbox_needs_no_wait,
                             a_fanout_is_split_at_what_nginx_accepts});
}
