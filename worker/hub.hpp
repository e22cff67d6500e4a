// Who is here and what they are owed: sessions come, get a user, catch up
// with the inbox, live, go. The hub keeps presence true, and it hears the
// doorbells of the inbox. It knows nothing of what clients say (chat.cpp).

#pragma once

#include <cstddef>
#include <cstdint>

#include "catch_up.hpp"
#include "config.hpp"
#include "held.hpp"
#include "inbox.hpp"
#include "live.hpp"
#include "metrics.hpp"
#include "sessions.hpp"
#include "timer.hpp"

namespace chat {

class Hub {
  public:
    // Takes the inbox's doorbell and resync handlers. All references must
    // outlive the hub; settings may change while it runs (applySettings()).
    Hub(Inbox& inbox, Timers& timers, const ChatSettings& settings,
        std::size_t maxSessions, Counters& counters);
    Hub(const Hub&) = delete;
    Hub& operator=(const Hub&) = delete;

    void applySettings();

    void openLink(relay::RelayLink& relay);
    void closeLink(relay::RelayLink& relay);
    void drainedLink(relay::RelayLink& relay);

    // Null: there are maxSessions already. An id that is attached already is
    // detached first.
    Session* attach(relay::RelayLink& relay, std::uint64_t id,
                    std::uint64_t mark);
    void detach(SessionRef ref);
    [[nodiscard]] Session* find(SessionRef ref) { return table_.find(ref); }

    // The session is this user's from now on. It gets what is in the inbox
    // above its mark, and then what comes. A session that was another user's
    // starts from the beginning of the new user's inbox.
    void identify(Session& session, const Identity& identity);

    // nginx has written what was to be reported.
    void written(SessionRef ref);

    [[nodiscard]] std::size_t sessions() const { return table_.sessions(); }
    [[nodiscard]] std::size_t users() const { return table_.users(); }
    [[nodiscard]] std::size_t heldBytes() const { return budget_.bytes; }

  private:
    void leave(Session& session);
    void resync();

    Inbox& inbox_;
    const ChatSettings& settings_;
    std::size_t maxSessions_;
    Counters& counters_;
    HeldBudget budget_;
    SessionTable table_;
    CatchUp catchUp_;
    Live live_;
};

}  // namespace chat
