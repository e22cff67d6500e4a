// Live delivery: one doorbell becomes one FANOUT frame per relay link, with one
// 236 of all its messages, for all sessions that have come exactly so far.
// Sessions that miss an earlier message, or have a part of these, wait; what
// they wait for is held. A doorbell with more than fits in a page (as replays
// have them) goes as several frames.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "catch_up.hpp"
#include "config.hpp"
#include "held.hpp"
#include "inbox.hpp"
#include "metrics.hpp"
#include "sessions.hpp"
#include "shared/relay_fanout.hpp"
#include "timer.hpp"

namespace chat {

class Live {
  public:
    Live(SessionTable& table, CatchUp& catchUp, HeldBudget& budget,
         Timers& timers, const ChatSettings& settings, Counters& counters);

    void ring(const Doorbell& doorbell);

    // After a session of the user has changed its place: sends what has
    // become next in turn, watches gaps, drops what nobody waits for.
    void settle(User& user);

  private:
    struct OpenFanout {
        relay::RelayLink* relay;
        relay::FanoutBuilder builder;
    };
    // As much of a doorbell as goes into one 236.
    struct Part {
        const Doorbell* doorbell;
        std::size_t from = 0;  // of its news
        std::size_t count = 0;

        [[nodiscard]] const std::shared_ptr<const News>& news(
            std::size_t k) const
        {
            return doorbell->news[from + k];
        }
    };
    struct Gap {
        std::string user;
        std::uint64_t deadline;
    };

    void take(Part& part);
    // sequence: of the part's first message.
    void deliver(User& user, const Member& member, const Part& part,
                 std::uint64_t sequence);
    void send(Session& first, const Member& member, const Part& part,
              std::uint64_t sequence);
    void sendSingly(const Member& member, const Part& part,
                    std::uint64_t sequence, relay::RelayLink& relay);
    void fillHoles(const Member& member, std::size_t count,
                   std::uint64_t sequence);
    relay::FanoutBuilder* fanoutFor(relay::RelayLink& relay);
    void finishFanouts();
    void hold(User& user, const Member& member, const Part& part,
              std::uint64_t sequence);
    void watchGap(User& user);
    void onGapTimer();
    void closeGap(User& user);

    SessionTable& table_;
    CatchUp& catchUp_;
    HeldBudget& budget_;
    Timers& timers_;
    const ChatSettings& settings_;
    Counters& counters_;
    std::unique_ptr<Timer> gapTimer_;
    std::deque<Gap> gaps_;  // by deadline

    // Used again for every doorbell.
    protocol::NewsBody body_;
    std::vector<OpenFanout> open_;
    std::vector<std::uint64_t> ids_;
    std::vector<User*> unsettled_;
    std::string receiver_;
    std::string digits_;
    std::vector<std::string_view> texts_;  // for the holes
};

}  // namespace chat
