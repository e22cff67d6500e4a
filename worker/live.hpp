// Live delivery: one doorbell becomes one FANOUT frame per relay link, for
// all sessions that are exactly one behind. Sessions that miss an earlier
// message wait for it; what they wait for is held.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
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
    struct Gap {
        std::string user;
        std::uint64_t deadline;
    };

    void deliver(User& user, const Member& member, const Doorbell& doorbell,
                 std::uint64_t sequence);
    void send(Session& first, const Member& member, std::uint64_t sequence);
    relay::FanoutBuilder* fanoutFor(relay::RelayLink& relay,
                                    std::size_t sessions,
                                    const std::string_view* texts);
    void finishFanouts();
    void hold(User& user, const Member& member, const Doorbell& doorbell,
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
};

}  // namespace chat
