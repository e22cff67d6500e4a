// Everything around the chat code, without sockets, clock and servers: relay
// links whose frames are taken apart, timers that are turned by hand, inbox
// and membership in memory.

#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "shared/relay_fanout.hpp"
#include "shared/relay_payload.hpp"
#include "worker/chat.hpp"
#include "worker/hub.hpp"
#include "worker/inbox_memory.hpp"
#include "worker/membership_memory.hpp"
#include "worker/metrics.hpp"
#include "worker/timer.hpp"

namespace chat::test {

class HandTimers : public Timers {
  public:
    [[nodiscard]] std::unique_ptr<Timer> create(
        std::function<void()> fire) override
    {
        return std::make_unique<HandTimer>(*this, std::move(fire));
    }

    [[nodiscard]] std::uint64_t now() const override { return now_; }

    // Time goes on; timers fire at their time, in order.
    void advance(std::uint64_t ms)
    {
        const std::uint64_t end = now_ + ms;
        while (HandTimer* next = nextDue(end)) {
            now_ = next->at;
            next->at = kNever;
            next->fire();
        }
        now_ = end;
    }

  private:
    static constexpr std::uint64_t kNever = UINT64_MAX;

    struct HandTimer : Timer {
        HandTimer(HandTimers& timers, std::function<void()> callback)
            : owner(timers), fire(std::move(callback))
        {
            owner.all_.push_back(this);
        }
        ~HandTimer() override { std::erase(owner.all_, this); }
        HandTimer(const HandTimer&) = delete;
        HandTimer& operator=(const HandTimer&) = delete;

        void start(std::uint64_t delay) override { at = owner.now_ + delay; }
        void stop() override { at = kNever; }
        [[nodiscard]] bool running() const override { return at != kNever; }

        HandTimers& owner;
        std::function<void()> fire;
        std::uint64_t at = kNever;
    };

    HandTimer* nextDue(std::uint64_t end)
    {
        HandTimer* next = nullptr;
        for (HandTimer* timer : all_) {
            if (timer->at <= end && (next == nullptr || timer->at < next->at)) {
                next = timer;
            }
        }
        return next;
    }

    std::vector<HandTimer*> all_;
    std::uint64_t now_ = 1000;
};

// What nginx would have got.
struct Got {
    relay::Kind kind{};
    std::uint64_t session = 0;
    std::uint8_t flags = 0;
    std::uint16_t code = 0;
    std::uint64_t mark = 0;
    std::string text;  // the message, user or reason
    bool fanned = false;
};

class FakeLink : public relay::RelayLink {
  public:
    explicit FakeLink(std::uint64_t serial) : serial_(serial) {}

    std::string* output() override { return &output_; }
    [[nodiscard]] bool congested() const override { return isCongested; }
    [[nodiscard]] std::uint32_t maxPayload() const override
    {
        return payloadBound;
    }
    [[nodiscard]] std::uint64_t serial() const override { return serial_; }
    [[nodiscard]] const std::string& name() const override { return name_; }
    void drop(std::string_view) override { dropped = true; }

    // Takes what was sent since the last call.
    std::vector<Got> take()
    {
        std::vector<Got> all;
        std::string_view rest = output_;
        fanouts = 0;
        while (!rest.empty()) {
            relay::Frame frame = next(rest);
            if (frame.kind == relay::Kind::Fanout) {
                ++fanouts;
                expand(frame, all);
            } else {
                all.push_back(plain(frame));
            }
        }
        output_.clear();
        return all;
    }

    // The texts that went to one session; the others' are dropped.
    std::vector<std::string> texts(std::uint64_t session)
    {
        std::vector<std::string> all;
        for (const Got& got : take()) {
            if (got.session == session) {
                all.push_back(got.text);
            }
        }
        return all;
    }

    bool isCongested = false;
    bool dropped = false;
    std::uint32_t payloadBound = 1U << 20;
    int fanouts = 0;  // FANOUT frames in the last take()

  private:
    static relay::Frame next(std::string_view& rest)
    {
        relay::Frame frame;
        const auto length = relay::load<std::uint32_t>(rest.data());
        frame.kind = static_cast<relay::Kind>(rest[4]);
        frame.flags = static_cast<std::uint8_t>(rest[5]);
        frame.code = relay::load<std::uint16_t>(rest.data() + 6);
        frame.id = relay::load<std::uint64_t>(rest.data() + 8);
        frame.payload = rest.substr(relay::kHeaderSize, length);
        rest.remove_prefix(relay::kHeaderSize + length);
        return frame;
    }

    static Got plain(const relay::Frame& frame)
    {
        Got got{frame.kind, frame.id, frame.flags, frame.code, 0, {}, false};
        relay::Send send;
        if (frame.kind == relay::Kind::Send && relay::decode(frame, &send)) {
            got.mark = send.mark;
            got.text = send.message;
        } else {
            got.text = frame.payload;
        }
        return got;
    }

    static void expand(const relay::Frame& frame, std::vector<Got>& all)
    {
        relay::FanoutView fanout;
        if (!fanout.parse(frame.payload)) {
            all.push_back({frame.kind, 0, 0, 0, 0, "malformed", true});
            return;
        }
        for (auto to = fanout.first(); !to.atEnd(); to.next()) {
            std::string text(to.messageSize(), '\0');
            to.compose(text.data());
            for (std::size_t i = 0; i < to.sessions(); ++i) {
                all.push_back({frame.kind, to.session(i), frame.flags, 0,
                               to.mark(), text, true});
            }
        }
    }

    std::uint64_t serial_;
    std::string name_ = "test";
    std::string output_;
};

// One chat-worker with one link, chat 21 with users 1, 2 and "u3".
struct World {
    explicit World(std::shared_ptr<InboxMemory::Store> store = {})
        : inbox(std::move(store))
    {
        membership.set("21", {{"1", true}, {"2", true}, {"u3", false}});
        membership.set("22", {{"1", true}});
        chat.onOpen(link);
    }

    // Trusts 230 if no user is given.
    void attach(std::uint64_t id, std::string_view user = {},
                std::uint64_t mark = 0, relay::RelayLink* through = nullptr)
    {
        relay::Attach attach;
        attach.mark = mark;
        attach.resumed = mark != 0;
        attach.heartbeatTimeoutMs = 20000;
        attach.trustInit = user.empty();
        attach.user = user;
        chat.onAttach(through != nullptr ? *through : link, id, attach);
    }

    void say(std::uint64_t id, const std::string& text,
             relay::RelayLink* through = nullptr)
    {
        chat.onMessage(through != nullptr ? *through : link, id, text, false,
                       relay::MessageTicket(receipts, text.size()));
    }

    static std::string message(const std::string& sendId,
                               const std::string& chatId = "21",
                               const std::string& content = "x")
    {
        return "{\"code\":234,\"data\":{\"chat_id\":" + chatId +
               ",\"send_id\":\"" + sendId +
               "\",\"send_timestamp\":1,\"new_type\":\"text\",\"content\":\"" +
               content + "\",\"resource_url\":null}}";
    }

    static bool has(const std::string& text, const std::string& part)
    {
        return text.find(part) != std::string::npos;
    }

    ChatSettings settings;
    Counters counters;
    HandTimers timers;
    InboxMemory inbox;
    MembershipMemory membership;
    FakeLink link{1};
    std::shared_ptr<relay::Receipts> receipts =
        std::make_shared<relay::Receipts>();
    Hub hub{inbox, timers, settings, 1000, counters};
    Chat chat{hub, inbox, membership, timers, settings, counters, [this] {
                  Metrics all;
                  all.add(counters);
                  return all;
              }};
};

}  // namespace chat::test
