// Brings sessions up to date with their inbox: after they were attached, after
// doorbells were missed, after their nginx did not read. Lists the inbox above
// the session's mark, reads and sends it in pages, takes what came meanwhile
// from Held, and then lets the session live.
//
//            begin()
//               |                 +------------ written() <----+
//               v                 v                            |
//   Waiting -> Asking (list) -> Waiting -> Asking (page) -> Writing -> live
//               |                            |
//               +---> Failed (tried again) <-+      Blocked: link congested
//
// Fair: every question to the inbox waits for its turn, at most
// replay_concurrency are asked at the same time, and the next page of a
// session is not read before nginx has written the one before.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "config.hpp"
#include "inbox.hpp"
#include "metrics.hpp"
#include "sessions.hpp"
#include "timer.hpp"

namespace chat {

class CatchUp {
  public:
    // onLive: the session has become live just now.
    CatchUp(SessionTable& table, Inbox& inbox, Timers& timers,
            const ChatSettings& settings, Counters& counters,
            std::function<void(Session&)> onLive);

    // From the session's mark. Of a session that is at it already: again,
    // because more may be in the inbox than was listed.
    void begin(Session& session);

    // The session's link is congested: nothing until unblock().
    void block(Session& session);
    void unblock(Link& link);

    // nginx has written the page.
    void written(Session& session);

    // A message has been stored that the session may have to get although
    // it is not in the inbox any more, since another session of the user was
    // faster to acknowledge it. It is held.
    void expect(Session& session, std::uint64_t sequence, const News& news);

    // Sends what is held and next for the session, in pages.
    void sendHeld(Session& session);

  private:
    struct Turn {
        SessionRef session;
        std::uint64_t number;
    };

    void wait(Session& session);
    [[nodiscard]] bool waitsFor(const Turn& turn);
    void dropOldTurns();
    void pump();
    void ask(Session& session);
    void askList(Session& session);
    void askPage(Session& session);
    Session* current(SessionRef ref, std::uint64_t turn);
    void onListed(Session& session, const Snapshot& snapshot);
    void onRead(Session& session, const ReadResult& result);
    void sendPage(Session& session, protocol::NewsFrame& page, bool more);
    void advance(Session& session);
    void fail(Session& session, const std::string& reason);
    void retryFailed();

    SessionTable& table_;
    Inbox& inbox_;
    const ChatSettings& settings_;
    Counters& counters_;
    std::function<void(Session&)> onLive_;
    std::deque<Turn> queue_;
    std::vector<SessionRef> failed_;
    std::unique_ptr<Timer> retry_;
    std::uint64_t turns_ = 0;
    std::uint32_t asking_ = 0;
    bool pumping_ = false;
};

}  // namespace chat
