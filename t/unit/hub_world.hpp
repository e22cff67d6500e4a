// A hub whose inbox is a script: the test says what is in it and when it
// answers.

#pragma once

#include <cstdlib>
#include <deque>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "t/unit/chat_world.hpp"
#include "worker/hub.hpp"

#include "t/unit/run_tests.hpp"

#include <check.h>  // last: it defines a macro named fail

namespace chat::test {

inline constexpr std::uint64_t kFirst =
    1000;  // number of each user's first message

inline std::string keyOf(std::uint64_t sequence)
{
    const auto text = std::to_string(sequence);
    return text + "-m" + text;
}

class ScriptedInbox : public Inbox {
  public:
    void store(StoreRequest, StoreCallback) override {}
    void acknowledge(std::string_view, const std::vector<std::string>&,
                     AckCallback) override
    {
    }

    void list(std::string_view user, std::uint64_t after,
              SnapshotCallback callback) override
    {
        listed.emplace_back(user, after);
        answer([this, name = std::string(user), after, callback] {
            Snapshot snapshot{works, "away", lasts[name], {}};
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
            ReadResult result{works, "away", {}};
            for (const auto& key : keys) {
                const auto& box = boxes[name];
                const auto at = box.find(sequenceOf(key));
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
        Doorbell doorbell;
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
        Session* session = hub.attach(at, id, mark);
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
                reports = (got.flags & relay::kReportWritten) != 0;
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

    ChatSettings settings;
    Counters counters;
    HandTimers timers;
    ScriptedInbox inbox;
    FakeLink link{1};
    Hub hub{inbox, timers, settings, 4, counters};
    std::uint64_t lastMark = 0;
    bool reports = false;
};

using Numbers = std::vector<std::uint64_t>;

inline Numbers range(std::uint64_t first, std::uint64_t last)
{
    Numbers all;
    for (std::uint64_t n = first; n <= last; ++n) {
        all.push_back(n);
    }
    return all;
}

inline void expectNumbers(const Numbers& got, const Numbers& wanted)
{
    std::string text;
    for (const auto n : got) {
        text += std::to_string(n) + " ";
    }
    ck_assert_msg(got == wanted, "got %s", text.c_str());
}

}  // namespace chat::test
