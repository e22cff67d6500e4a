// The messages that a user has not acknowledged, and the doorbell that tells
// every node about new ones. Back ends: inbox_redis, inbox_memory (unit tests).
//
// Sequence numbers are per user, dense (each stored message is exactly one
// more than the one before) and start from a value that is larger than any
// handed out before, so that a lost counter never repeats a number. A key is
// "<sequence>-<message id>": opaque to clients, sorted by us.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "membership.hpp"

namespace chat {

// One message, written once and filled in per recipient:
// news = before + <receive_user_id as JSON> + after.
struct News {
    std::string messageId;  // the second half of the key
    std::string before;
    std::string after;

    [[nodiscard]] std::size_t size() const
    {
        return messageId.size() + before.size() + after.size();
    }
};

struct StoreRequest {
    std::string chat;    // text form
    std::string sender;  // text form
    std::string sendId;  // JSON text of send_id: 1 and "1" differ
    std::shared_ptr<const News> news;
    std::shared_ptr<const Members> recipients;
};

enum class StoreStatus {
    Stored,     // confirmed for every recipient
    Duplicate,  // this sender's send_id was stored before, nothing was written
    Full,  // a recipient's inbox is at its limit; nothing may be assumed stored
    Failed,  // reason says why; nothing may be assumed stored
};

struct StoreResult {
    StoreStatus status = StoreStatus::Failed;
    std::string reason;  // for people: goes into the 300
};

// Messages that were stored for users of this node, by whichever node, as one
// group: news[k] has the number sequences[i] + k for recipients[i]. A sequence
// of 0: nothing was stored for this one.
struct Doorbell {
    std::vector<std::shared_ptr<const News>> news;
    std::vector<Member> recipients;
    std::vector<std::uint64_t> sequences;
};

struct Snapshot {
    bool ok = false;
    std::string reason;
    std::uint64_t last = 0;         // the counter when the keys were read
    std::vector<std::string> keys;  // ascending by sequence
};

struct Entry {
    std::string key;
    std::string news;  // empty: acknowledged meanwhile
};

struct ReadResult {
    bool ok = false;
    std::string reason;
    std::vector<Entry> entries;  // in the order of the keys asked for
};

// The number that a key starts with; 0 if it is none of ours.
[[nodiscard]] std::uint64_t sequenceOf(std::string_view key);

// What a back end tells of itself; all zero where there is nothing to tell.
struct InboxStats {
    std::uint64_t waiting = 0;    // store() calls without an answer
    std::uint64_t inFlight = 0;   // commands without an answer
    std::uint64_t groups = 0;     // of messages stored together, sent
    std::uint64_t calls = 0;      // that stored them
    std::uint64_t rests = 0;      // of busy chats, between two groups
    std::uint64_t losses = 0;     // times that a connection was lost
    std::uint64_t doorbells = 0;  // rung by other nodes
    std::uint64_t gaps = 0;       // times that some of those were missed
    std::uint64_t lapses = 0;     // times that this node's lease had run out
};

class Inbox {
  public:
    using StoreCallback = std::function<void(const StoreResult&)>;
    using SnapshotCallback = std::function<void(Snapshot)>;
    using ReadCallback = std::function<void(ReadResult)>;
    using AckCallback = std::function<void(bool ok, const std::string& reason)>;
    using DoorbellHandler = std::function<void(const Doorbell&)>;
    using ResyncHandler = std::function<void()>;

    virtual ~Inbox() = default;

    // Requests of one chat are carried out in the order of the calls, those
    // that come while one is on its way together, as a group. A callback comes
    // before the doorbell of the same message, so that a sender sees 235
    // before its own 236.
    virtual void store(StoreRequest request, StoreCallback callback) = 0;

    // Deletes keys from the user's own inbox; unknown keys are no error.
    virtual void acknowledge(std::string_view user,
                             const std::vector<std::string>& keys,
                             AckCallback callback) = 0;

    // The keys with a sequence number above `after`.
    virtual void list(std::string_view user, std::uint64_t after,
                      SnapshotCallback callback) = 0;
    virtual void read(std::string_view user, std::vector<std::string> keys,
                      ReadCallback callback) = 0;

    // Presence: this node holds at least one session of the user / none any
    // more. Idempotent; kept true over lost connections by the back end. A
    // list() after arrive() sees every message that rings no doorbell here.
    virtual void arrive(std::string_view user) = 0;
    virtual void leave(std::string_view user) = 0;

    // Set once, before the loop runs. onResync: doorbells may have been
    // missed, every user of this node must be listed again.
    virtual void onDoorbell(DoorbellHandler handler) = 0;
    virtual void onResync(ResyncHandler handler) = 0;

    [[nodiscard]] virtual bool available() const = 0;
    [[nodiscard]] virtual InboxStats stats() const { return {}; }
};

}  // namespace chat
