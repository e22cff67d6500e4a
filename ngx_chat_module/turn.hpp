// The end of a turn of the event loop: one posted event that completes new
// sessions, sends what was queued for clients, then what was queued for
// chat-workers.

#pragma once

#include <cstddef>
#include <cstdint>

namespace chat {

struct Session;
class RelayLink;

// The session has something to send, or its state wants to be looked at.
void markDirty(Session* session);

// The link has something to send.
void markDirty(RelayLink* link);

// What a single turn queues for clients is bounded: whoever queues for many
// calls flushIfMany() in between, which sends everything once that is much.
// No session pointer stays valid over that call.
void queuedBytes(std::size_t bytes);
void flushIfMany();

}  // namespace chat
