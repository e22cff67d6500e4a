// The sessions of this process: who is connected through which relay link.
// Only the records and their relations; what happens to them is decided in
// hub.cpp, live.cpp and catch_up.cpp.
//
//   Link 1---n Session n---0..1 User
//
// A session gets each message of its user's inbox at most once, in the order
// of the sequence numbers. Its mark is the highest number that is dealt with:
// 0 before the inbox was listed, kFirstMark when that found no number at all.
// A session that is catching up has a Replay and takes no live messages.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "held.hpp"
#include "metrics.hpp"
#include "name_hash.hpp"
#include "protocol.hpp"
#include "relay_link.hpp"
#include "replay.hpp"

namespace chat {

struct Link;
struct User;

// Below every sequence number.
inline constexpr std::uint64_t kFirstMark = 1;

// There is one of these for every open WebSocket: keep it small.
struct Session {
    Link* link = nullptr;
    std::uint64_t id = 0;
    std::uint64_t mark = 0;
    User* user = nullptr;           // null: not known yet
    Session* nextOfUser = nullptr;  // the user's sessions are a list
    Session* beforeOfUser = nullptr;
    std::unique_ptr<Replay> replay;  // null: live
    std::uint32_t heartbeatMs = 0;
    std::uint16_t pendingSends = 0;
    bool mayInit : 1 = false;     // may name its user by 230
    bool named : 1 = false;       // nginx named the user: it stays
    bool numberForm : 1 = false;  // the user is a JSON integer to the client

    [[nodiscard]] bool live() const { return user != nullptr && !replay; }
};

// Survives the session: what a callback keeps instead of a pointer.
struct SessionRef {
    std::uint64_t link = 0;  // serial
    std::uint64_t id = 0;
};

struct User {
    const std::string* key = nullptr;  // of this entry in the table
    Session* first = nullptr;
    std::unique_ptr<Held> held;  // news that some session cannot take yet
    std::uint64_t highest = 0;   // sequence of the newest doorbell
    bool gapWatched = false;     // the hub waits for a missing doorbell

    [[nodiscard]] const std::string& name() const { return *key; }
};

struct Link {
    relay::RelayLink* relay = nullptr;
    std::unordered_map<std::uint64_t, Session> sessions;
};

class SessionTable {
  public:
    explicit SessionTable(HeldBudget& budget) : budget_(budget) {}
    SessionTable(const SessionTable&) = delete;
    SessionTable& operator=(const SessionTable&) = delete;

    Link& open(relay::RelayLink& relay);
    void close(Link& link);  // its sessions must be gone

    [[nodiscard]] Link* find(std::uint64_t serial);
    [[nodiscard]] Session* find(SessionRef ref);
    [[nodiscard]] User* findUser(std::string_view name);

    // An id that exists already gives that session.
    Session& attach(Link& link, std::uint64_t id);
    void detach(Session& session);  // destroys it

    // True: this is the user's first session here.
    bool join(Session& session, std::string_view user);
    // True: that was the user's last session here; the user is gone.
    bool part(Session& session);

    void eachLink(const std::function<void(Link&)>& visit);
    [[nodiscard]] std::size_t sessions() const { return sessions_; }
    [[nodiscard]] std::size_t users() const { return users_.size(); }

  private:
    HeldBudget& budget_;
    std::unordered_map<std::uint64_t, Link> links_;
    std::unordered_map<std::string, User, NameHash, std::equal_to<>> users_;
    std::size_t sessions_ = 0;
};

[[nodiscard]] SessionRef refOf(const Session& session);

// A message is longer than the session's nginx accepts from the relay. It
// stays in the inbox. Said once, then only counted.
void countUndeliverable(Counters& counters);

}  // namespace chat
