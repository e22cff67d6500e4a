#include "ngx_chat_module/input.hpp"

#include <new>
#include <utility>

#include "ngx_chat_module/drain.hpp"
#include "ngx_chat_module/heartbeat.hpp"
#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/ws/close_code.hpp"

namespace chat {

// A session whose message the relay could not take. One more message is read,
// so that pings behind the first are answered; then reading stops.
struct Stash {
    static constexpr std::size_t kMost = 2;

    struct Message {
        ws::Buffer bytes;
        bool binary = false;
    };

    Message messages[kMost];
    std::size_t next = 0;  // the first that was not submitted
    std::size_t count = 0;
    ws::Buffer rest;  // received behind the last

    bool full() const { return count == kMost; }
    bool add(std::string_view message, bool binary)
    {
        messages[count].binary = binary;
        return messages[count++].bytes.append(message.data(), message.size());
    }
};

namespace {

constexpr std::size_t kReceive = 64U << 10;

// What one session may have read before others get their turn.
constexpr std::size_t kShare = 1U << 20;

unsigned char receiveBuffer[kReceive];

void closeForMemory(Session* session)
{
    closeSession(session, ws::kCloseInternalError, Cause::Internal,
                 "no memory");
}

void park(Session* session, std::string_view message, bool binary)
{
    if (session->stash == nullptr) {
        session->stash = new (std::nothrow) Stash;
        if (session->stash == nullptr) {
            closeForMemory(session);
            return;
        }
        ++counters().parked;
        ++counters().connectionsParked;
        if (!waitForRelay(session)) {
            closeForMemory(session);
            return;
        }
    }

    if (!session->stash->add(message, binary)) {
        closeForMemory(session);
        return;
    }

    if (session->stash->full()) {
        // Silence that we cause ourselves does not count.
        unwatch(session);
    }
}

// False: the relay has no room. One that cannot be taken at all closes.
bool handOver(Session* session, std::string_view message, bool binary)
{
    switch (submit(session, message, binary)) {
    case Submit::Done:
        break;
    case Submit::Full:
        return false;
    case Submit::TooBig:
        closeSession(session, ws::kCloseTooBig, Cause::TooBig,
                     "message too big");
        break;
    case Submit::NoMemory:
        closeForMemory(session);
        break;
    }
    return true;
}

void deliver(Session* session, std::string_view message, bool binary)
{
    if (session->stash != nullptr) {
        park(session, message, binary);
        return;
    }

    if (!handOver(session, message, binary)) {
        park(session, message, binary);
    }
}

void onMessage(Session* session, const ws::Event& event)
{
    if (session->state != State::Open || session->ending != nullptr) {
        return;
    }

    ++session->messagesIn;
    ++counters().messagesIn;

    if (event.compressed) {
        counters().inflateIn += event.wire;
        counters().inflateOut += event.data.size();
    }

    if (event.type == ws::Event::Type::Text && event.data == "ping") {
        ++counters().textPings;
        sendMessage(session, "pong", false);
        return;
    }
    deliver(session, event.data, event.type == ws::Event::Type::Binary);
}

void onFault(Session* session, const ws::Event& event)
{
    Cause cause = Cause::Protocol;

    switch (event.fault) {
    case ws::Fault::MessageTooBig:
        cause = Cause::TooBig;
        break;
    case ws::Fault::TooManyFragments:
        cause = Cause::Fragments;
        break;
    case ws::Fault::NoMemory:
        cause = Cause::Internal;
        break;
    default:
        break;
    }

    if (session->state == State::Closing) {
        onPeerClose(session);
        return;
    }
    closeSession(session, event.code, cause, ws::describe(event.fault));
}

void onClose(Session* session, const ws::Event& event)
{
    if (session->state == State::Closing) {
        onPeerClose(session);
        return;
    }
    closeSession(session, event.code, Cause::Client, event.data);
}

void onEvent(Session* session, const ws::Event& event)
{
    switch (event.type) {
    case ws::Event::Type::None:
        break;
    case ws::Event::Type::Text:
    case ws::Event::Type::Binary:
        onMessage(session, event);
        break;
    case ws::Event::Type::Ping:
        ++counters().pingsIn;
        sendControl(session, ws::Opcode::Pong, event.data);
        break;
    case ws::Event::Type::Pong:
        ++counters().pongsIn;
        break;
    case ws::Event::Type::Close:
        onClose(session, event);
        break;
    case ws::Event::Type::Fault:
        onFault(session, event);
        break;
    }
}

// Frames of all kinds, in whole seconds.
void checkRate(Session* session)
{
    ngx_uint_t rate = session->conf->maxFrameRate;
    if (rate == 0 || session->state != State::Open) {
        return;
    }

    auto now = static_cast<std::uint32_t>(ngx_time());
    if (session->rateSecond != now) {
        session->rateSecond = now;
        session->rateFrames = session->framesSeen;
    }

    if (session->assembler.frames() - session->rateFrames > rate) {
        closeSession(session, ws::kClosePolicyViolation, Cause::FrameRate,
                     "too many frames per second");
    }
}

// Where events come for as long as there is something to read.
bool stopReading(ngx_connection_t* c)
{
    return (ngx_event_flags & NGX_USE_LEVEL_EVENT) == 0 || !c->read->active ||
           ngx_del_event(c->read, NGX_READ_EVENT, 0) == NGX_OK;
}

bool blocked(const Session* session)
{
    return session->stash != nullptr && session->stash->full();
}

// The client says nothing more, but may still listen: the close frame that it
// waits for goes out before the socket is closed.
void sayLast(Session* session)
{
    if (session->ending != nullptr) {
        endSession(session);
    }
    if (session->state == State::Closing) {
        (void)flushOutput(session);
    }
}

// True: the session may read on.
bool receive(Session* session)
{
    ngx_connection_t* c = session->connection;
    ssize_t n = c->recv(c, receiveBuffer, kReceive);

    if (n == NGX_AGAIN) {
        return false;
    }

    if (n == NGX_ERROR || n == 0) {
        if (n == 0) {
            sayLast(session);
        }
        dropSession(session, n == 0 ? Cause::Gone : Cause::SocketError);
        return false;
    }

    session->bytesIn += static_cast<std::uint64_t>(n);
    counters().bytesIn += static_cast<std::uint64_t>(n);

    if (session->state == State::Lingering) {
        return true;
    }

    touch(session);
    consume(session, receiveBuffer, static_cast<std::size_t>(n));
    return !blocked(session);
}

void readSession(Session* session)
{
    ngx_connection_t* c = session->connection;
    std::uint64_t id = session->id;
    std::uint64_t from = session->bytesIn;

    if (blocked(session)) {
        // Nobody is left to answer; the messages without answer come again
        // with the client.
        if (c->read->pending_eof || c->read->error) {
            dropSession(session, Cause::Gone);

        } else if (!stopReading(c)) {
            dropSession(session, Cause::SocketError);
        }
        return;
    }

    do {
        if (!receive(session)) {
            session = findSession(id);
            break;
        }

        if (session->bytesIn - from >= kShare && c->read->ready) {
            ngx_post_event(c->read, &ngx_posted_next_events);
            return;
        }
    } while (c->read->ready);

    if (session == nullptr) {
        return;
    }

    if (blocked(session) ? !stopReading(c)
                         : ngx_handle_read_event(c->read, 0) != NGX_OK) {
        dropSession(session, Cause::SocketError);
    }
}

void onTimer(Session* session)
{
    if (session->ending != nullptr) {
        endSession(session);
        return;
    }
    if (session->state == State::Open && session->draining) {
        drainSession(session);
        return;
    }
    // The other side had its time to answer, or to take what was sent.
    dropSession(session, session->cause);
}

}  // namespace

void consume(Session* session, unsigned char* bytes, std::size_t size)
{
    unsigned char* end = bytes + size;
    session->framesSeen = session->assembler.frames();

    for (;;) {
        ws::Event event = session->assembler.next(bytes, end);
        checkRate(session);

        if (event.type == ws::Event::Type::None) {
            break;
        }
        onEvent(session, event);

        if (blocked(session)) {
            std::size_t left = static_cast<std::size_t>(end - bytes);
            if (!session->stash->rest.append(bytes, left)) {
                closeForMemory(session);
            }
            break;
        }
    }

    counters().framesIn += session->assembler.frames() - session->framesSeen;
}

namespace {

void resumeReading(Session* session)
{
    ngx_event_t* read = session->connection->read;

    if (read->ready) {
        ngx_post_event(read, &ngx_posted_events);
    }
    if (!blocked(session) && ngx_handle_read_event(read, 0) != NGX_OK) {
        session->connection->error = 1;
        markDirty(session);
    }
}

}  // namespace

bool resumeInput(Session* session)
{
    Stash* stash = session->stash;

    for (; stash->next < stash->count; ++stash->next) {
        Stash::Message& message = stash->messages[stash->next];

        if (!handOver(session, message.bytes.view(), message.binary)) {
            return false;
        }
        if (session->stash == nullptr) {
            return true;
        }
        message.bytes.release();
    }

    bool wasBlocked = stash->full();
    ws::Buffer rest = std::move(stash->rest);
    dropStash(session);

    if (session->ending != nullptr) {
        markDirty(session);

    } else if (wasBlocked) {
        watch(session);
    }

    if (wasBlocked) {
        consume(session, rest.data(), rest.size());

        resumeReading(session);
    }
    return true;
}

void dropStash(Session* session)
{
    if (session->stash != nullptr) {
        --counters().connectionsParked;
        delete session->stash;
        session->stash = nullptr;
    }
}

void onReadable(ngx_event_t* event)
{
    auto* c = static_cast<ngx_connection_t*>(event->data);
    auto* session = static_cast<Session*>(c->data);

    if (c->close) {
        c->close = 0;
        onNginxClose(session);
        return;
    }

    if (event->timedout) {
        event->timedout = 0;
        onTimer(session);
        return;
    }
    readSession(session);
}

}  // namespace chat
