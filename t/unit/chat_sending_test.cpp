// Messages that are sent: 234, 235 and 300.

#include "worker/chat.hpp"

#include "t/unit/chat_frames.hpp"

namespace {

using namespace chat::test;

START_TEST(a_message_is_answered_and_goes_to_every_member)
{
    World w;
    w.attach(1, "1");
    w.attach(2);
    w.say(2, "{\"code\":230,\"data\":2}");
    w.attach(3, "u3");
    w.say(1, World::message("warm"));
    w.link.take();
    w.say(2, World::message("s1"));
    const auto all = w.link.take();
    ck_assert_int_eq(w.link.fanouts, 1);
    ck_assert_uint_eq(all.size(), 4);
    ck_assert(all[0].session == 2);
    ck_assert(all[0].text == sent("s1"));
    const std::string key = keyIn(all[1].text);
    ck_assert(World::has(all[1].text,
                         "\"send_id\":\"s1\",\"send_timestamp\":1,\"new_type\":"
                         "\"text\",\"content\":\"x\",\"resource_url\":null,"
                         "\"send_user_id\":2,\"receive_user_id\":1}}}"));
    ck_assert(World::has(all[3].text, "\"receive_user_id\":\"u3\"}}}"));
    ck_assert(w.inbox.data().boxes["u3"].entries.rbegin()->second.key == key);
    ck_assert_uint_eq(w.receipts->pending(), 0);
    ck_assert_uint_eq(w.receipts->completed(), 3);
}
END_TEST

START_TEST(a_repeated_send_id_is_answered_but_stored_once)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("s1"));
    w.say(1, World::message("s1"));
    const auto got = w.link.texts(1);
    int answers = 0;
    for (const auto& text : got) {
        answers += text == sent("s1") ? 1 : 0;
    }
    ck_assert_int_eq(answers, 2);
    ck_assert_uint_eq(w.inbox.data().boxes["1"].entries.size(), 1);
    ck_assert_uint_eq(w.counters.duplicates, 1);
}
END_TEST

START_TEST(what_cannot_be_sent_has_a_reason)
{
    World w;
    w.attach(1, "u3");
    w.attach(2);
    w.link.take();
    w.say(1, World::message("a", "99"));
    expectTexts(w.link.texts(1), {refused("\"a\"", "chat 99 does not exist")});
    w.say(1, World::message("b", "22"));
    expectTexts(w.link.texts(1),
                {refused("\"b\"", "you are no member of chat 22")});
    w.say(2, World::message("c"));
    expectTexts(w.link.texts(2),
                {refused("\"c\"",
                         "the user of this connection is not known yet, send "
                         "230 first")});
    w.say(1, "{\"code\":234,\"data\":{\"send_id\":5}}");
    expectTexts(w.link.texts(1), {refused("5", "chat_id is missing")});
    w.say(1, "{\"code\":234}");
    expectTexts(w.link.texts(1), {refused("null", "data is missing")});
    w.say(1, "{\"code\":236,\"data\":{}}");
    expectTexts(w.link.texts(1), {refused("null", "code 236 is not known")});
    w.say(1, "nonsense");
    expectTexts(w.link.texts(1),
                {refused("null", "the message is no valid JSON")});
    ck_assert_uint_eq(w.receipts->pending(), 0);
    ck_assert_uint_eq(w.counters.errors, 7);
}
END_TEST

START_TEST(stores_that_are_away_are_a_reason_too)
{
    World w;
    w.attach(1, "1");
    w.link.take();
    w.membership.fail("connection refused to db.internal");
    w.say(1, World::message("a"));
    expectTexts(w.link.texts(1),
                {refused("\"a\"",
                         "the members of chat 21 cannot be looked up "
                         "now, try again")});
    w.membership.fail("");
    w.inbox.setAvailable(false);
    w.say(1, World::message("b"));
    expectTexts(w.link.texts(1),
                {refused("\"b\"",
                         "the message could not be stored: the "
                         "message store cannot be reached")});
    w.inbox.setAvailable(true);
    w.say(1, World::message("b"));
    ck_assert(w.link.texts(1).at(0) == sent("b"));
    ck_assert_uint_eq(w.receipts->pending(), 0);
}
END_TEST

START_TEST(a_full_inbox_is_told_to_the_sender)
{
    World w;
    w.attach(1, "1");
    w.inbox.data().maxMessages = 1;
    w.say(1, World::message("a"));
    w.link.take();
    w.say(1, World::message("b"));
    ck_assert(World::has(w.link.texts(1).at(0), "is full"));
}
END_TEST

START_TEST(binary_is_closed_with_1003)
{
    World w;
    w.attach(1, "1");
    w.link.take();
    w.chat.onMessage(w.link, 1, "{}", true,
                     chat::relay::MessageTicket(w.receipts, 2));
    const auto got = w.link.take();
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(got[0].kind == chat::relay::Kind::Close);
    ck_assert_uint_eq(got[0].code, 1003);
    ck_assert_uint_eq(w.receipts->pending(), 0);
}
END_TEST

START_TEST(a_message_of_an_unknown_session_is_done)
{
    World w;
    w.say(77, World::message("a"));
    ck_assert(w.link.take().empty());
    ck_assert_uint_eq(w.receipts->completed(), 1);
}
END_TEST

START_TEST(receipts_wait_for_the_answer)
{
    World w;
    w.attach(1, "1");
    w.link.take();
    w.inbox.hold(true);
    w.say(1, World::message("a"));
    w.say(1, "{\"code\":237,\"data\":[\"1-x\"]}");
    ck_assert_uint_eq(w.receipts->pending(), 2);
    ck_assert(w.link.take().empty());
    w.inbox.release();
    ck_assert_uint_eq(w.receipts->pending(), 0);
    ck_assert(w.link.texts(1).at(0) == sent("a"));
}
END_TEST

START_TEST(order_of_a_sender_in_a_chat_survives_slow_look_ups)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("warm"));
    w.link.take();
    w.membership.hold(true);
    w.say(1, World::message("a"));
    w.say(1, World::message("b", "\"21\""));
    w.say(1, World::message("c"));
    w.membership.hold(false);
    w.membership.release();
    std::string order;
    for (const Got& got : w.link.take()) {
        if (got.fanned) {
            const auto at = got.text.find("send_id\":\"");
            order += got.text.substr(at + 10, 1);
        }
    }
    ck_assert_str_eq(order.c_str(), "abc");
}
END_TEST

START_TEST(messages_stored_together_are_answered_before_they_go_out)
{
    World w;
    w.attach(1, "1");
    w.attach(3, "u3");
    w.say(1, World::message("warm"));
    w.link.take();
    w.inbox.hold(true);
    w.say(1, World::message("a"));
    w.say(3, World::message("b"));
    w.say(1, World::message("a"));  // again
    w.say(1, World::message("c"));
    w.inbox.hold(false);
    const auto got = w.link.take();
    ck_assert_int_eq(w.link.fanouts, 1);
    ck_assert_uint_eq(got.size(), 6);
    const char* answers[] = {"a", "b", "a", "c"};
    for (std::size_t i = 0; i < 4; ++i) {
        ck_assert(got[i].text == sent(answers[i]));
    }
    for (std::size_t i = 4; i < 6; ++i) {
        const auto& text = got[i].text;
        const auto a = text.find("\"send_id\":\"a\"");
        const auto b = text.find("\"send_id\":\"b\"");
        const auto c = text.find("\"send_id\":\"c\"");
        ck_assert(a < b && b < c && c != std::string::npos);
        ck_assert(text.find("\"send_id\":\"a\"", a + 1) == std::string::npos);
    }
    ck_assert_uint_eq(w.inbox.data().boxes["2"].entries.size(), 4);
    ck_assert_uint_eq(w.counters.duplicates, 1);
    ck_assert_uint_eq(w.receipts->pending(), 0);
}
END_TEST

START_TEST(the_sender_may_go_before_the_answer)
{
    World w;
    w.attach(1, "1");
    w.membership.hold(true);
    w.say(1, World::message("a"));
    w.chat.onDetach(w.link, 1, 1001);
    w.membership.hold(false);
    w.membership.release();
    ck_assert_uint_eq(w.inbox.data().boxes["2"].entries.size(), 1);
    ck_assert_uint_eq(w.receipts->pending(), 0);
}
END_TEST

START_TEST(the_relay_may_go_before_the_answer)
{
    World w;
    FakeLink other(2);
    w.chat.onOpen(other);
    w.attach(1, "1", 0, &other);
    w.inbox.hold(true);
    w.say(1, World::message("a"), &other);
    w.chat.onClosed(other);
    other.take();
    w.inbox.hold(false);
    ck_assert(other.take().empty());
    ck_assert_uint_eq(w.receipts->pending(), 0);
    ck_assert_uint_eq(w.hub.sessions(), 0);
}
END_TEST

START_TEST(sends_in_flight_are_bounded_per_session)
{
    World w;
    w.settings.maxPending = 2;
    w.attach(1, "1");
    w.attach(2, "u3");
    w.link.take();
    w.membership.hold(true);
    w.say(1, World::message("a"));
    w.say(1, World::message("b"));
    w.say(1, World::message("c"));
    const auto got = w.link.take();
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(World::has(got[0].text, "{\"send_id\":\"c\",\"msg\":\"too many"));
    w.say(2, World::message("d"));
    ck_assert(w.link.take().empty());
    w.membership.hold(false);
    w.membership.release();
    w.link.take();
    w.say(1, World::message("c"));
    ck_assert(w.link.texts(1).at(0) == sent("c"));
}
END_TEST

}  // namespace

int main()
{
    return runTests(
        "chat: sending",
        {a_message_is_answered_and_goes_to_every_member,
         a_repeated_send_id_is_answered_but_stored_once,
         what_cannot_be_sent_has_a_reason,
         stores_that_are_away_are_a_reason_too,
         a_full_inbox_is_told_to_the_sender, binary_is_closed_with_1003,
         a_message_of_an_unknown_session_is_done, receipts_wait_for_the_answer,
         order_of_a_sender_in_a_chat_survives_slow_look_ups,
         messages_stored_together_are_answered_before_they_go_out,
         the_sender_may_go_before_the_answer,
         the_relay_may_go_before_the_answer,
         sends_in_flight_are_bounded_per_session});
}
