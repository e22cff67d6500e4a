// Who a session is: 230, 231 and 240.

#include "worker/chat.hpp"

#include "t/unit/chat_frames.hpp"

namespace {

using namespace chat::test;

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

}  // namespace

int main()
{
    return runTests("chat: identity",
                    {a_named_user_gets_240_and_no_231,
                     a_resumed_session_is_not_greeted_again,
                     an_unknown_user_is_asked_every_two_seconds,
                     sessions_are_asked_each_at_its_own_time,
                     a_230_names_the_user_to_nginx_and_to_the_client,
                     a_230_may_be_repeated_and_may_change_the_user,
                     a_230_cannot_change_who_nginx_says,
                     a_230_is_refused_where_it_is_not_trusted,
                     a_claimed_user_may_change_after_a_relay_reconnect});
}
