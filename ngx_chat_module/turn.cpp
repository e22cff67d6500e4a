#include "ngx_chat_module/turn.hpp"

#include <cstdlib>

#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay.hpp"
#include "ngx_chat_module/release.hpp"
#include "ngx_chat_module/session.hpp"

namespace chat {

namespace {

// Enough that the messages of one read from a chat-worker leave together.
constexpr std::size_t kMany = 4U << 20;

// The ids of dirty sessions: one that is gone by the time that its turn comes
// is not found any more.
std::uint64_t* dirty;
std::uint32_t dirtyCount;
std::uint32_t dirtyCapacity;

RelayLink* dirtyLinks;
std::size_t queued;
ngx_event_t turn;

bool pushDirty(std::uint64_t id)
{
    if (dirtyCount == dirtyCapacity) {
        std::uint32_t capacity = dirtyCapacity == 0 ? 256 : dirtyCapacity * 2;
        void* grown = std::realloc(dirty, capacity * sizeof(dirty[0]));
        if (grown == nullptr) {
            return false;
        }
        dirty = static_cast<std::uint64_t*>(grown);
        dirtyCapacity = capacity;
    }
    dirty[dirtyCount++] = id;
    return true;
}

void settle(Session* session)
{
    if (session->state == State::Opening) {
        adoptSession(session);
        return;
    }

    if (session->ending != nullptr && !awaitsAnswers(session)) {
        endSession(session);
    }

    ngx_connection_t* c = session->connection;

    if (c->error || !flushOutput(session)) {
        dropSession(session, Cause::SocketError);
        return;
    }

    if (session->fin && session->out == nullptr &&
        session->state == State::Closing && !finishOutput(session)) {
        dropSession(session, session->cause);
    }
}

void flushSessions()
{
    queued = 0;

    // Settling one may make others dirty, or itself again.
    for (std::uint32_t i = 0; i < dirtyCount; ++i) {
        if (Session* session = findSession(dirty[i])) {
            session->dirty = false;
            settle(session);
        }
    }
    dirtyCount = 0;
}

void onTurn(ngx_event_t*)
{
    while (dirtyCount != 0 || dirtyLinks != nullptr) {
        flushSessions();

        if (RelayLink* link = dirtyLinks) {
            dirtyLinks = link->nextDirty;
            link->nextDirty = nullptr;
            link->dirty = false;
            link->flush();
        }
    }
}

void post()
{
    if (!turn.posted) {
        turn.handler = onTurn;
        turn.log = ngx_cycle->log;
        ngx_post_event(&turn, &ngx_posted_events);
    }
}

}  // namespace

void markDirty(Session* session)
{
    if (session->dirty) {
        return;
    }

    // Without memory for the list the socket's own events will do.
    session->dirty = pushDirty(session->id);
    post();
}

void markDirty(RelayLink* link)
{
    if (link->dirty) {
        return;
    }
    link->dirty = true;
    link->nextDirty = dirtyLinks;
    dirtyLinks = link;
    post();
}

void queuedBytes(std::size_t bytes)
{
    queued += bytes;
}

void flushIfMany()
{
    if (queued >= kMany) {
        flushSessions();
    }
}

}  // namespace chat
