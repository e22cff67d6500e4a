// worker/hub, live, catch_up and held: who gets which message when. The inbox
// here is a script: the test says what is in it and when it answers.

#include "worker/hub.hpp"

#include <cstdlib>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "t/unit/chat_world.hpp"

#include <check.h>  // last: it defines a macro named fail

namespace {

using chat::Hub;
using chat::News;
using chat::test::FakeLink;
using chat::test::Got;

constexpr std::uint64_t kFirst = 1000;  // number of each user's first message

std::string keyOf(std::uint64_t sequence)
{
    const auto text = std::to_string(sequence);
    return text + "-m" + text;
}

class ScriptedInbox : public chat::Inbox {
  public:
    void store(chat::StoreRequest, StoreCallback) override {}
    void acknowledge(std::string_view, const std::vector<std::string>&,
                     AckCallback) override
    {
    }

    void list(std::string_view user, std::uint64_t after,
              SnapshotCallback callback) override
    {
        listed.emplace_back(user, after);
        answer([this, name = std::string(user), after, callback] {
            chat::Snapshot snapshot{works, "away", lasts[name], {}};
            for (const auto& [sequence, news] : boxes[name]) {
                if (sequence > after) {
                    snapshot.keys.push_back(keyOf(sequence));
                }
            }
            callback(snapshot);
        });
    }

    void read(std::string_view user, std::vector<std::string> keys,
              ReadCallback callback) override
    {
        ++reads;
        answer([this, name = std::string(user), keys, callback] {
            chat::ReadResult result{works, "away", {}};
            for (const auto& key : keys) {
                const auto& box = boxes[name];
                const auto at = box.find(chat::sequenceOf(key));
                result.entries.push_back(
                    {key, at == box.end() ? "" : at->second});
            }
            callback(result);
        });
    }

    void arrive(std::string_view user) override { here.emplace(user); }
    void leave(std::string_view user) override
    {
        here.erase(std::string(user));
    }
    void onDoorbell(DoorbellHandler handler) override { bell = handler; }
    void onResync(ResyncHandler handler) override { resync = handler; }
    [[nodiscard]] bool available() const override { return works; }

    void answer(const std::function<void()>& step)
    {
        if (slow) {
            waiting.push_back(step);
        } else {
            step();
        }
    }

    void answerOne()
    {
        ck_assert(!waiting.empty());
        const auto step = waiting.front();
        waiting.pop_front();
        step();
    }

    // A message is stored for the user; no doorbell yet.
    std::uint64_t put(const std::string& user, std::size_t padding = 0)
    {
        auto& last = lasts[user];
        last = last == 0 ? kFirst : last + 1;
        boxes[user][last] =
            "{\"r\":\"" + user + "\"" + std::string(padding, ' ') + "}";
        return last;
    }

    // messages: so many in one group, from this number on.
    void ring(const std::vector<std::string>& users, std::uint64_t sequence,
              std::size_t messages = 1)
    {
        chat::Doorbell doorbell;
        for (std::size_t k = 0; k < messages; ++k) {
            doorbell.news.push_back(std::make_shared<News>(
                News{"m" + std::to_string(sequence + k), "{\"r\":", "}"}));
        }
        for (const auto& user : users) {
            doorbell.recipients.push_back({user, false});
            doorbell.sequences.push_back(sequence);
        }
        bell(doorbell);
    }

    // Stored and rung for all of them, who have had as many before.
    void deliver(const std::vector<std::string>& users)
    {
        std::uint64_t sequence = 0;
        for (const auto& user : users) {
            sequence = put(user);
        }
        ring(users, sequence);
    }

    bool works = true;
    bool slow = false;
    std::map<std::string, std::map<std::uint64_t, std::string>> boxes;
    std::map<std::string, std::uint64_t> lasts;
    std::vector<std::pair<std::string, std::uint64_t>> listed;
    int reads = 0;
    std::set<std::string> here;
    std::deque<std::function<void()>> waiting;
    DoorbellHandler bell;
    ResyncHandler resync;
};

struct Fixture {
    Fixture() { hub.openLink(link); }

    void attach(std::uint64_t id, const std::string& user,
                std::uint64_t mark = 0, FakeLink* through = nullptr)
    {
        FakeLink& at = through != nullptr ? *through : link;
        chat::Session* session = hub.attach(at, id, mark);
        ck_assert_ptr_nonnull(session);
        hub.identify(*session, {user, false});
    }

    // Attached, and past the first message.
    void attachLive(std::uint64_t id, const std::string& user,
                    FakeLink* through = nullptr)
    {
        if (inbox.lasts[user] == 0) {
            inbox.put(user);
            inbox.boxes[user].clear();
        }
        attach(id, user, 0, through);
        link.take();
        inbox.listed.clear();
    }

    // The sequence numbers that the session has got, in order.
    std::vector<std::uint64_t> numbers(std::uint64_t id)
    {
        std::vector<std::uint64_t> all;
        for (const Got& got : link.take()) {
            if (got.session == id) {
                numbersOf(got.text, all);
                lastMark = got.mark;
                reports = (got.flags & chat::relay::kReportWritten) != 0;
            }
        }
        return all;
    }

    static void numbersOf(const std::string& text,
                          std::vector<std::uint64_t>& all)
    {
        for (std::size_t at = text.find("-m"); at != std::string::npos;
             at = text.find("-m", at + 1)) {
            const std::size_t quote = text.rfind('"', at);
            all.push_back(std::stoull(text.substr(quote + 1, at - quote)));
        }
    }

    chat::ChatSettings settings;
    chat::Counters counters;
    chat::test::HandTimers timers;
    ScriptedInbox inbox;
    FakeLink link{1};
    Hub hub{inbox, timers, settings, 4, counters};
    std::uint64_t lastMark = 0;
    bool reports = false;
};

using Numbers = std::vector<std::uint64_t>;

Numbers range(std::uint64_t first, std::uint64_t last)
{
    Numbers all;
    for (std::uint64_t n = first; n <= last; ++n) {
        all.push_back(n);
    }
    return all;
}

void expectNumbers(const Numbers& got, const Numbers& wanted)
{
    std::string text;
    for (const auto n : got) {
        text += std::to_string(n) + " ";
    }
    ck_assert_msg(got == wanted, "got %s", text.c_str());
}

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
    Suite* suite = suite_create("hub");
    TCase* live = tcase_create("live");
    tcase_add_test(live, one_doorbell_is_one_frame_per_link);
    tcase_add_test(live, a_message_that_was_delivered_is_skipped);
    tcase_add_test(live, a_group_is_one_message_with_all_keys);
    tcase_add_test(live, who_has_a_part_of_a_group_gets_the_rest);
    tcase_add_test(live, groups_in_the_wrong_order_are_put_in_order);
    tcase_add_test(live, a_group_is_split_into_pages);
    tcase_add_test(live, a_group_that_nginx_does_not_take_comes_singly);
    tcase_add_test(live, a_number_of_zero_was_not_stored);
    tcase_add_test(live, doorbells_in_the_wrong_order_are_put_in_order);
    tcase_add_test(live, a_gap_that_is_not_filled_is_read_from_the_inbox);
    tcase_add_test(live, a_gap_that_nobody_knows_is_not_asked_for_for_ever);
    tcase_add_test(live, the_first_message_of_an_inbox_needs_no_wait);
    tcase_add_test(live, a_fanout_is_split_at_what_nginx_accepts);
    suite_add_tcase(suite, live);

    TCase* replay = tcase_create("replay");
    tcase_add_test(replay, what_waited_comes_first_then_the_live_ones);
    tcase_add_test(replay, messages_that_come_during_a_replay_follow_it_once);
    tcase_add_test(replay, a_group_that_comes_during_a_replay_follows_it);
    tcase_add_test(replay, another_session_may_be_faster_to_acknowledge);
    tcase_add_test(replay, acknowledged_between_list_and_doorbell_all_the_same);
    tcase_add_test(replay, a_large_inbox_comes_in_pages_as_nginx_writes);
    tcase_add_test(replay, pages_are_bounded_in_bytes);
    tcase_add_test(replay, a_message_larger_than_a_page_comes_alone);
    tcase_add_test(replay, a_resumed_session_gets_only_what_is_new);
    tcase_add_test(replay, a_resumed_session_whose_mark_redis_has_lost);
    tcase_add_test(replay, an_inbox_that_is_away_is_asked_again);
    tcase_add_test(replay, a_page_that_cannot_be_read_is_read_again);
    tcase_add_test(replay, resync_lists_every_inbox_above_its_mark);
    tcase_add_test(replay, resync_during_a_question_asks_again);
    tcase_add_test(replay, resync_while_a_page_is_written_goes_on_from_there);
    tcase_add_test(replay, questions_at_the_same_time_are_bounded);
    tcase_add_test(replay, what_does_not_fit_in_memory_is_left_to_the_inbox);
    suite_add_tcase(suite, replay);

    TCase* sessions = tcase_create("sessions");
    tcase_add_test(sessions, a_congested_link_gets_nothing_live_and_catches_up);
    tcase_add_test(sessions, a_replay_stops_at_a_congested_link);
    tcase_add_test(sessions, only_the_congested_link_falls_behind);
    tcase_add_test(sessions, sessions_may_go_while_the_inbox_is_asked);
    tcase_add_test(sessions, presence_follows_first_and_last_session);
    tcase_add_test(sessions, held_news_go_with_the_session_that_waited);
    tcase_add_test(sessions, another_user_starts_at_the_beginning);
    tcase_add_test(sessions, the_same_user_again_repeats_nothing);
    tcase_add_test(sessions, sessions_are_bounded);
    suite_add_tcase(suite, sessions);

    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    const int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
