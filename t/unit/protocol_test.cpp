// worker/protocol: what client messages say, and the frames that go back.

#include "worker/protocol.hpp"

#include <cstdlib>
#include <string>
#include <vector>

#include <check.h>  // last: it defines a macro named fail

namespace {

namespace protocol = chat::protocol;
using chat::Identity;
using chat::News;
using protocol::Envelope;

const std::string kFields =
    "\"send_timestamp\":1,\"new_type\":\"text\",\"content\":\"hi\","
    "\"resource_url\":\"\"";

void expectText(const std::string& got, const std::string& wanted)
{
    ck_assert_msg(got == wanted, "got      %s\nexpected %s", got.c_str(),
                  wanted.c_str());
}

Envelope parse(const std::string& text)
{
    Envelope envelope;
    const auto reason = protocol::parseEnvelope(text, envelope);
    ck_assert_msg(!reason, "%s: %s", text.c_str(),
                  reason ? reason->c_str() : "");
    return envelope;
}

std::string envelopeError(const std::string& text)
{
    Envelope envelope;
    return protocol::parseEnvelope(text, envelope).value_or("");
}

std::string sendingError(const std::string& data)
{
    const std::string text = "{\"code\":234,\"data\":" + data + "}";
    return protocol::parseSending(parse(text)).reason;
}

START_TEST(envelope_is_read_in_any_order)
{
    const std::string text =
        " {\"data\":{\"a\":1,\"b\":[2]},\"x\":{},\"msg\":null,\"code\":234} ";
    const Envelope envelope = parse(text);
    ck_assert_int_eq(envelope.code, 234);
    ck_assert(envelope.data == "{\"a\":1,\"b\":[2]}");
    ck_assert_uint_eq(envelope.fields.size(), 2);
    ck_assert(envelope.field("b") == "[2]");
    ck_assert(envelope.field("c").empty());
}
END_TEST

START_TEST(the_last_of_equal_keys_counts)
{
    const std::string text =
        "{\"code\":1,\"data\":[\"x\"],\"c\\u006fde\":237,"
        "\"data\":{\"a\":1,\"a\":2}}";
    const Envelope envelope = parse(text);
    ck_assert_int_eq(envelope.code, 237);
    ck_assert(envelope.field("a") == "2");
    ck_assert(envelope.list.empty());
}
END_TEST

START_TEST(bad_envelopes_have_a_reason)
{
    expectText(envelopeError("{\"code\":230"),
               "the message is no valid JSON: \",\" or \"}\" was expected at "
               "byte 11");
    expectText(envelopeError("hello"), "the message is no valid JSON");
    expectText(envelopeError(""), "the message is no valid JSON");
    expectText(envelopeError("[]"), "the message must be a JSON object");
    expectText(envelopeError("7"), "the message must be a JSON object");
    expectText(envelopeError("{}"), "code is missing");
    expectText(envelopeError("{\"code\":\"234\"}"), "code must be an integer");
    expectText(envelopeError("{\"code\":234.0}"), "code must be an integer");
    expectText(envelopeError("{\"code\":99999999999}"), "code is not known");
}
END_TEST

START_TEST(init_takes_ids_and_objects_with_user)
{
    const auto init = [](const std::string& data) {
        const std::string text = "{\"code\":230,\"data\":" + data + "}";
        return protocol::parseInit(parse(text));
    };
    ck_assert(init("\"u1\"").identity->user == "u1");
    ck_assert(!init("\"7\"").identity->number);
    ck_assert(init("7").identity->number);
    ck_assert(init("7").identity->user == "7");
    ck_assert(init("{\"user\":\"a\\u0062\"}").identity->user == "ab");
    for (const char* falsy : {"0", "-0", "0.0", "0e5", "\"\"", "null", "false",
                              "{\"user\":null}", "{\"user\":0}"}) {
        ck_assert_msg(!init(falsy).identity, "%s", falsy);
        ck_assert_msg(init(falsy).reason.empty(), "%s", falsy);
    }
    expectText(init("true").reason, "data must be a string or an integer");
    expectText(init("1.5").reason, "data must be a string or an integer");
    expectText(init("[1]").reason, "data must be a string or an integer");
    expectText(init("{}").reason, "user is missing");
    expectText(init("{\"user\":{}}").reason,
               "user must be a string or an integer");
    expectText(init("\"a\\nb\"").reason,
               "data must be free of control characters");
    expectText(init('"' + std::string(300, 'x') + '"').reason,
               "data is too long");
    expectText(protocol::parseInit(parse("{\"code\":230}")).reason,
               "data is missing");
}
END_TEST

START_TEST(sending_names_what_is_missing_or_wrong)
{
    const std::string ids = "\"chat_id\":21,\"send_id\":\"s\",";
    expectText(sendingError("{" + ids + kFields + "}"), "");
    expectText(sendingError("null"), "data must be an object");
    expectText(sendingError("{\"chat_id\":21," + kFields + "}"),
               "send_id is missing");
    expectText(sendingError("{\"send_id\":1," + kFields + "}"),
               "chat_id is missing");
    expectText(sendingError("{\"chat_id\":[],\"send_id\":1," + kFields + "}"),
               "chat_id must be a string or an integer");
    expectText(sendingError("{\"chat_id\":1,\"send_id\":null," + kFields + "}"),
               "send_id must be a string or an integer");
    expectText(sendingError("{" + ids + "\"new_type\":1}"),
               "send_timestamp is missing");
    expectText(sendingError("{" + ids + kFields + ",\"content\":5}"),
               "content must be a string or null");
    expectText(sendingError("{" + ids + kFields + ",\"new_type\":null}"),
               "new_type must be a string or a number");
    expectText(sendingError("{" + ids + kFields + ",\"resource_url\":{}}"),
               "resource_url must be a string or null");
    expectText(protocol::parseSending(parse("{\"code\":234}")).reason,
               "data is missing");
}
END_TEST

START_TEST(sending_keeps_the_form_of_send_id)
{
    const std::string text =
        "{\"code\":234,\"data\":{\"chat_id\":\"2\\u0031\",\"send_id\":"
        "\"\\u4e2d\"," +
        kFields + "}}";
    const Envelope envelope = parse(text);
    const auto sending = protocol::parseSending(envelope);
    ck_assert(sending.sendId == "\"\\u4e2d\"");
    expectText(sending.chatId, "21");
}
END_TEST

START_TEST(send_id_is_known_even_if_the_rest_is_wrong)
{
    const std::string text = "{\"code\":234,\"data\":{\"send_id\":7}}";
    const Envelope envelope = parse(text);
    ck_assert(protocol::parseSending(envelope).sendId == "7");
}
END_TEST

std::string newsOf(const std::string& data, const Identity& sender)
{
    const std::string text = "{\"code\":234,\"data\":" + data + "}";
    const Envelope envelope = parse(text);
    const News news = protocol::makeNews(envelope, sender, "m");
    return news.before + "@" + news.after;
}

START_TEST(news_keeps_fields_values_and_order)
{
    expectText(newsOf("{ \"b\" : 1.10, \"a\":[ 1 , {\"x\" :\"\\u4e2d \"}] , "
                      "\"big\":123456789012345678901 }",
                      {"u1", false}),
               "{\"b\":1.10,\"a\":[1,{\"x\":\"\\u4e2d \"}],"
               "\"big\":123456789012345678901,\"send_user_id\":\"u1\","
               "\"receive_user_id\":@}");
    expectText(newsOf("{}", {"7", true}),
               "{\"send_user_id\":7,\"receive_user_id\":@}");
}
END_TEST

START_TEST(users_that_a_client_gives_are_overwritten_in_place)
{
    expectText(newsOf("{\"send_user_id\":\"evil\",\"a\":1}", {"u\"1", false}),
               "{\"send_user_id\":\"u\\\"1\",\"a\":1,\"receive_user_id\":@}");
    expectText(newsOf("{\"receive_user_id\":[1],\"a\":1,\"send_user_id\":2}",
                      {"7", true}),
               "{\"receive_user_id\":@,\"a\":1,\"send_user_id\":7}");
    expectText(newsOf("{\"a\":1,\"receive_user_id\":3}", {"7", true}),
               "{\"a\":1,\"receive_user_id\":@,\"send_user_id\":7}");
}
END_TEST

START_TEST(users_given_twice_or_in_disguise_are_overwritten_too)
{
    expectText(newsOf("{\"send_user_id\":1,\"x\":0,\"send_user_id\":2,"
                      "\"\\u0073end_user_id\":3,\"receive_user_id\":4,"
                      "\"receive\\u005fuser_id\":5}",
                      {"7", true}),
               "{\"send_user_id\":7,\"x\":0,\"receive_user_id\":@}");
}
END_TEST

START_TEST(keys_are_a_list_of_strings)
{
    std::vector<std::string> keys;
    std::string text = "{\"code\":237,\"data\":[\"1-a\",\"2\\u002db\"]}";
    ck_assert(!protocol::parseKeys(parse(text), keys));
    ck_assert_uint_eq(keys.size(), 2);
    expectText(keys[1], "2-b");
    keys.clear();
    text = "{\"code\":237,\"data\":[]}";
    ck_assert(!protocol::parseKeys(parse(text), keys));
    ck_assert(keys.empty());
    text = "{\"code\":237,\"data\":[\"a\",1]}";
    expectText(*protocol::parseKeys(parse(text), keys),
               "every key must be a string");
    text = "{\"code\":237,\"data\":\"a\"}";
    expectText(*protocol::parseKeys(parse(text), keys),
               "data must be a list of keys");
    text = "{\"code\":237}";
    expectText(*protocol::parseKeys(parse(text), keys), "data is missing");
}
END_TEST

START_TEST(frames_are_compact_and_exact)
{
    expectText(std::string(protocol::askInitFrame()),
               "{\"code\":231,\"msg\":\"申请初始化当前用户\",\"data\":null}");
    expectText(protocol::sentFrame("\"s\""),
               "{\"code\":235,\"msg\":\"信息发送成功\",\"data\":{\"send_id\":"
               "\"s\",\"msg\":\"成功\"}}");
    expectText(protocol::errorFrame("", "no \"x\""),
               "{\"code\":300,\"msg\":\"信息发送出现异常\",\"data\":{"
               "\"send_id\":null,\"msg\":\"no \\\"x\\\"\"}}");
    expectText(protocol::errorFrame("12", "r"),
               "{\"code\":300,\"msg\":\"信息发送出现异常\",\"data\":{"
               "\"send_id\":12,\"msg\":\"r\"}}");
    expectText(protocol::identifiedFrame({"7", true}, 1700000000123, 20000),
               "{\"code\":240,\"msg\":\"当前用户初始化成功\",\"data\":{"
               "\"user\":7,\"server_time\":1700000000123,"
               "\"heartbeat_timeout\":20000}}");
}
END_TEST

START_TEST(news_frame_for_many_has_two_holes)
{
    const News news{"m1", "{\"receive_user_id\":", ",\"a\":1}"};
    protocol::NewsBody body;
    body.add(news);
    body.finish();
    std::string filled = body.text();
    filled.insert(body.holes()[1], "\"u2\"");
    filled.insert(body.holes()[0], "1001");
    expectText(filled,
               "{\"code\":236,\"msg\":\"接收到新消息\",\"data\":{\"1001-m1\":"
               "{\"receive_user_id\":\"u2\",\"a\":1}}}");
    protocol::NewsFrame one;
    one.add(1001, news, "u2", false);
    expectText(one.finish(), filled);
}
END_TEST

START_TEST(news_frame_for_one_takes_several)
{
    const News news{"b", "{\"r\":", "}"};
    protocol::NewsFrame frame;
    ck_assert(frame.empty());
    frame.add("5-a", "{\"r\":1}");
    frame.add(6, news, "7", true);
    ck_assert_uint_eq(frame.count(), 2);
    expectText(frame.finish(),
               "{\"code\":236,\"msg\":\"接收到新消息\",\"data\":{\"5-a\":"
               "{\"r\":1},\"6-b\":{\"r\":7}}}");
}
END_TEST

}  // namespace

int main()
{
    Suite* suite = suite_create("protocol");
    TCase* tests = tcase_create("protocol");
    tcase_add_test(tests, envelope_is_read_in_any_order);
    tcase_add_test(tests, the_last_of_equal_keys_counts);
    tcase_add_test(tests, bad_envelopes_have_a_reason);
    tcase_add_test(tests, init_takes_ids_and_objects_with_user);
    tcase_add_test(tests, sending_names_what_is_missing_or_wrong);
    tcase_add_test(tests, sending_keeps_the_form_of_send_id);
    tcase_add_test(tests, send_id_is_known_even_if_the_rest_is_wrong);
    tcase_add_test(tests, news_keeps_fields_values_and_order);
    tcase_add_test(tests, users_that_a_client_gives_are_overwritten_in_place);
    tcase_add_test(tests, users_given_twice_or_in_disguise_are_overwritten_too);
    tcase_add_test(tests, keys_are_a_list_of_strings);
    tcase_add_test(tests, frames_are_compact_and_exact);
    tcase_add_test(tests, news_frame_for_many_has_two_holes);
    tcase_add_test(tests, news_frame_for_one_takes_several);
    suite_add_tcase(suite, tests);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
