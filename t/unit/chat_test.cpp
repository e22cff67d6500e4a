// Inboxes and acknowledgements (237), several processes, limits, metrics.

#include "worker/chat.hpp"

#include "t/unit/chat_frames.hpp"

namespace {

using namespace chat::test;

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
    return runTests(
        "chat: inbox",
        {a_237_deletes_from_the_own_inbox_only,
         keys_that_redis_cannot_delete_now_are_deleted_later,
         messages_for_the_absent_wait_for_them, two_processes_share_one_store,
         a_message_of_a_dead_predecessor_is_answered_again,
         too_many_sessions_are_closed_with_1013,
         metrics_are_shown_in_both_forms});
}
