// worker/chat: what each client message does, from the relay's frames in to
// the frames out, over an inbox and a membership in memory.

#include "worker/chat.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include "t/unit/chat_world.hpp"

#include <check.h>  // last: it defines a macro named fail
#undef fail         // a method of MembershipMemory

namespace {

using chat::test::FakeLink;
using chat::test::Got;
using chat::test::World;

const std::string kAsk =
    "{\"code\":231,\"msg\":\"申请初始化当前用户\",\"data\":null}";

std::string sent(const std::string& sendId)
{
    return "{\"code\":235,\"msg\":\"信息发送成功\",\"data\":{\"send_id\":\"" +
           sendId + "\",\"msg\":\"成功\"}}";
}

std::string refused(const std::string& sendId, const std::string& reason)
{
    return "{\"code\":300,\"msg\":\"信息发送出现异常\",\"data\":{\"send_id\":" +
           sendId + ",\"msg\":\"" + reason + "\"}}";
}

void expectTexts(const std::vector<std::string>& got,
                 const std::vector<std::string>& wanted)
{
    std::string text;
    for (const auto& one : got) {
        text += "\n  " + one;
    }
    ck_assert_msg(got == wanted, "got%s", text.c_str());
}

std::string keyIn(const std::string& text)
{
    const std::string mark = "\"data\":{\"";
    const std::size_t start = text.find(mark) + mark.size();
    return text.substr(start, text.find('"', start) - start);
}

START_TEST(a_named_user_gets_240_and_no_231)
{
    World w;
    w.attach(1, "u3");
    const auto got = w.link.texts(1);
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(World::has(got[0], "{\"code\":240,"));
    ck_assert(World::has(got[0], "{\"user\":\"u3\",\"server_time\":"));
    ck_assert(World::has(got[0], ",\"heartbeat_timeout\":20000}}"));
    w.timers.advance(10000);
    ck_assert(w.link.take().empty());
    ck_assert(w.inbox.present("u3"));
}
END_TEST

START_TEST(a_resumed_session_is_not_greeted_again)
{
    World w;
    w.attach(1, "u3", 5);
    ck_assert(w.link.take().empty());
}
END_TEST

START_TEST(an_unknown_user_is_asked_every_two_seconds)
{
    World w;
    w.attach(1);
    expectTexts(w.link.texts(1), {kAsk});
    w.timers.advance(1999);
    ck_assert(w.link.take().empty());
    w.timers.advance(1);
    expectTexts(w.link.texts(1), {kAsk});
    w.timers.advance(4000);
    expectTexts(w.link.texts(1), {kAsk, kAsk});
    for (const char* falsy : {"0", "\"\"", "null", "false"}) {
        w.say(1, "{\"code\":230,\"data\":" + std::string(falsy) + "}");
        w.timers.advance(2000);
        expectTexts(w.link.texts(1), {kAsk});
    }
    w.say(1, "{\"code\":230,\"data\":2}");
    w.link.take();
    w.timers.advance(10000);
    ck_assert(w.link.take().empty());
}
END_TEST

START_TEST(sessions_are_asked_each_at_its_own_time)
{
    World w;
    w.attach(1);
    w.timers.advance(500);
    w.attach(2);
    w.link.take();
    w.timers.advance(1500);
    ck_assert_uint_eq(w.link.texts(1).size(), 1);
    w.timers.advance(500);
    ck_assert_uint_eq(w.link.texts(2).size(), 1);
    w.chat.onDetach(w.link, 1, 1000);
    w.chat.onDetach(w.link, 2, 1000);
    w.timers.advance(10000);
    ck_assert(w.link.take().empty());
}
END_TEST

START_TEST(a_230_names_the_user_to_nginx_and_to_the_client)
{
    World w;
    w.attach(1);
    w.link.take();
    w.say(1, "{\"code\":230,\"msg\":\"\",\"data\":{\"user\":2}}");
    const auto got = w.link.take();
    ck_assert_uint_eq(got.size(), 2);
    ck_assert(got[0].kind == chat::relay::Kind::Identify);
    ck_assert(got[0].text == "2");
    ck_assert_uint_eq(got[0].flags, chat::relay::kNumber);
    ck_assert(World::has(got[1].text, "\"user\":2,"));
    ck_assert(w.inbox.present("2"));
}
END_TEST

START_TEST(a_230_may_be_repeated_and_may_change_the_user)
{
    World w;
    w.attach(1);
    w.say(1, "{\"code\":230,\"data\":2}");
    w.link.take();
    w.say(1, "{\"code\":230,\"data\":2}");
    auto got = w.link.take();
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(World::has(got[0].text, "{\"code\":240,"));
    w.say(1, "{\"code\":230,\"data\":\"u3\"}");
    got = w.link.take();
    ck_assert_uint_eq(got.size(), 2);
    ck_assert(got[0].kind == chat::relay::Kind::Identify);
    ck_assert(!w.inbox.present("2"));
    ck_assert(w.inbox.present("u3"));
}
END_TEST

START_TEST(a_230_cannot_change_who_nginx_says)
{
    World w;
    w.attach(1, "u3");
    w.link.take();
    w.say(1, "{\"code\":230,\"data\":\"1\"}");
    auto got = w.link.texts(1);
    ck_assert(World::has(got.at(0), "{\"send_id\":null,"));
    ck_assert(World::has(got.at(0), "another user"));
    w.say(1, "{\"code\":230,\"data\":\"u3\"}");
    got = w.link.texts(1);
    ck_assert(World::has(got.at(0), "{\"code\":240,"));
}
END_TEST

START_TEST(a_230_is_refused_where_it_is_not_trusted)
{
    World w;
    chat::relay::Attach attach;
    w.chat.onAttach(w.link, 1, attach);
    w.link.take();
    w.say(1, "{\"code\":230,\"data\":2}");
    ck_assert(World::has(w.link.texts(1).at(0), "\"code\":300"));
    ck_assert(!w.inbox.present("2"));
    w.timers.advance(2000);
    expectTexts(w.link.texts(1), {kAsk});
}
END_TEST

START_TEST(a_claimed_user_may_change_after_a_relay_reconnect)
{
    World w;
    chat::relay::Attach attach;
    attach.user = "2";
    attach.number = true;
    attach.claimed = true;
    attach.trustInit = true;
    attach.resumed = true;
    w.chat.onAttach(w.link, 1, attach);
    w.say(1, "{\"code\":230,\"data\":1}");
    ck_assert(World::has(w.link.texts(1).at(1), "\"code\":240"));
}
END_TEST

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

START_TEST(a_237_deletes_from_the_own_inbox_only)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("a"));
    auto& boxes = w.inbox.data().boxes;
    const std::string mine = boxes["1"].entries.begin()->second.key;
    w.link.take();
    w.say(1, "{\"code\":237,\"data\":[\"" + mine + "\",\"9-none\"]}");
    ck_assert(w.link.take().empty());
    ck_assert(boxes["1"].entries.empty());
    ck_assert_uint_eq(boxes["2"].entries.size(), 1);
    w.say(1, "{\"code\":237,\"data\":\"" + mine + "\"}");
    expectTexts(w.link.texts(1),
                {refused("null", "data must be a list of keys")});
    w.say(1, "{\"code\":237,\"data\":[]}");
    ck_assert(w.link.take().empty());
    ck_assert_uint_eq(w.receipts->pending(), 0);
}
END_TEST

START_TEST(keys_that_redis_cannot_delete_now_are_deleted_later)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("a"));
    const std::string key =
        w.inbox.data().boxes["1"].entries.begin()->second.key;
    w.link.take();
    w.inbox.setAvailable(false);
    w.say(1, "{\"code\":237,\"data\":[\"" + key + "\"]}");
    ck_assert(w.link.take().empty());
    ck_assert_uint_eq(w.receipts->pending(), 0);
    ck_assert_uint_eq(w.chat.waitingAcknowledgements(), 1);
    w.timers.advance(5000);
    ck_assert_uint_eq(w.chat.waitingAcknowledgements(), 1);
    w.inbox.setAvailable(true);
    w.timers.advance(500);
    ck_assert_uint_eq(w.chat.waitingAcknowledgements(), 0);
    ck_assert(w.inbox.data().boxes["1"].entries.empty());
}
END_TEST

START_TEST(messages_for_the_absent_wait_for_them)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("a"));
    w.say(1, World::message("b"));
    w.link.take();
    w.attach(3, "u3");
    const auto got = w.link.texts(3);
    ck_assert_uint_eq(got.size(), 2);
    ck_assert(World::has(got[1], "\"send_id\":\"a\""));
    ck_assert(got[1].find("\"send_id\":\"a\"") <
              got[1].find("\"send_id\":\"b\""));
}
END_TEST

START_TEST(two_processes_share_one_store)
{
    auto store = std::make_shared<chat::InboxMemory::Store>();
    World a(store);
    World b(store);
    a.attach(1, "1");
    b.attach(1, "u3");
    a.say(1, World::message("s0"));
    a.link.take();
    b.link.take();
    a.say(1, World::message("s1"));
    const auto got = b.link.take();
    ck_assert_uint_eq(got.size(), 1);
    ck_assert(got[0].fanned);
    ck_assert(World::has(got[0].text, "\"send_id\":\"s1\""));
}
END_TEST

START_TEST(a_message_of_a_dead_predecessor_is_answered_again)
{
    auto store = std::make_shared<chat::InboxMemory::Store>();
    {
        World before(store);
        before.attach(1, "1");
        before.say(1, World::message("s1"));
    }
    World after(store);
    after.attach(1, "1", store->boxes["1"].last);
    after.say(1, World::message("s1"));
    expectTexts(after.link.texts(1), {sent("s1")});
}
END_TEST

START_TEST(too_many_sessions_are_closed_with_1013)
{
    World w;
    for (std::uint64_t id = 1; id <= 1000; ++id) {
        w.attach(id, "u3");
    }
    w.link.take();
    w.attach(1001, "u3");
    const auto got = w.link.take();
    ck_assert(got.at(0).kind == chat::relay::Kind::Close);
    ck_assert_uint_eq(got[0].code, 1013);
}
END_TEST

START_TEST(metrics_are_shown_in_both_forms)
{
    World w;
    w.attach(1, "1");
    w.say(1, World::message("a"));
    w.link.take();
    w.chat.onRequest(w.link, 7, {"/metrics", ""});
    w.chat.onRequest(w.link, 8, {"/metrics?format=json", ""});
    w.chat.onRequest(w.link, 9, {"/other", ""});
    const auto got = w.link.take();
    ck_assert_uint_eq(got.size(), 3);
    ck_assert_uint_eq(got[0].code, 200);
    ck_assert(World::has(got[0].text, "\nchat_worker_stored_total 1\n"));
    ck_assert(
        World::has(got[0].text, "# TYPE chat_worker_stored_total counter\n"));
    ck_assert(World::has(got[1].text, ",\"stored_total\":1,"));
    ck_assert_uint_eq(got[2].code, 404);
}
END_TEST

}  // namespace

int main()
{
    Suite* suite = suite_create("chat");
    TCase* identity = tcase_create("identity");
    tcase_add_test(identity, a_named_user_gets_240_and_no_231);
    tcase_add_test(identity, a_resumed_session_is_not_greeted_again);
    tcase_add_test(identity, an_unknown_user_is_asked_every_two_seconds);
    tcase_add_test(identity, sessions_are_asked_each_at_its_own_time);
    tcase_add_test(identity, a_230_names_the_user_to_nginx_and_to_the_client);
    tcase_add_test(identity, a_230_may_be_repeated_and_may_change_the_user);
    tcase_add_test(identity, a_230_cannot_change_who_nginx_says);
    tcase_add_test(identity, a_230_is_refused_where_it_is_not_trusted);
    tcase_add_test(identity, a_claimed_user_may_change_after_a_relay_reconnect);
    suite_add_tcase(suite, identity);

    TCase* sending = tcase_create("sending");
    tcase_add_test(sending, a_message_is_answered_and_goes_to_every_member);
    tcase_add_test(sending, a_repeated_send_id_is_answered_but_stored_once);
    tcase_add_test(sending, what_cannot_be_sent_has_a_reason);
    tcase_add_test(sending, stores_that_are_away_are_a_reason_too);
    tcase_add_test(sending, a_full_inbox_is_told_to_the_sender);
    tcase_add_test(sending, binary_is_closed_with_1003);
    tcase_add_test(sending, a_message_of_an_unknown_session_is_done);
    tcase_add_test(sending, receipts_wait_for_the_answer);
    tcase_add_test(sending, order_of_a_sender_in_a_chat_survives_slow_look_ups);
    tcase_add_test(sending,
                   messages_stored_together_are_answered_before_they_go_out);
    tcase_add_test(sending, the_sender_may_go_before_the_answer);
    tcase_add_test(sending, the_relay_may_go_before_the_answer);
    tcase_add_test(sending, sends_in_flight_are_bounded_per_session);
    suite_add_tcase(suite, sending);

    TCase* inbox = tcase_create("inbox");
    tcase_add_test(inbox, a_237_deletes_from_the_own_inbox_only);
    tcase_add_test(inbox, keys_that_redis_cannot_delete_now_are_deleted_later);
    tcase_add_test(inbox, messages_for_the_absent_wait_for_them);
    tcase_add_test(inbox, two_processes_share_one_store);
    tcase_add_test(inbox, a_message_of_a_dead_predecessor_is_answered_again);
    tcase_add_test(inbox, too_many_sessions_are_closed_with_1013);
    tcase_add_test(inbox, metrics_are_shown_in_both_forms);
    suite_add_tcase(suite, inbox);

    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
