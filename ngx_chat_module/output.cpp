#include "ngx_chat_module/output.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "ngx_chat_module/deflate.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/ws/close_code.hpp"

namespace chat {

struct OutBuffer {
    OutBuffer* next;  // in the free list
    std::size_t capacity;
    std::size_t size;
    std::size_t sent;
    unsigned char bytes[1];

    std::size_t queued() const { return size - sent; }
};

namespace {

// Most queues hold a few frames for the length of one turn.
constexpr std::size_t kSmall = 1024 - offsetof(OutBuffer, bytes);
constexpr std::size_t kMaxFree = 4096;

OutBuffer* freeBuffers;
std::size_t freeCount;

OutBuffer* newBuffer(std::size_t capacity)
{
    OutBuffer* buffer = freeBuffers;

    if (capacity <= kSmall && buffer != nullptr) {
        freeBuffers = buffer->next;
        --freeCount;

    } else {
        capacity = std::max(capacity, kSmall);
        buffer = static_cast<OutBuffer*>(
            std::malloc(offsetof(OutBuffer, bytes) + capacity));
        if (buffer == nullptr) {
            return nullptr;
        }
        buffer->capacity = capacity;
    }

    buffer->size = 0;
    buffer->sent = 0;
    return buffer;
}

void giveBuffer(OutBuffer* buffer)
{
    if (buffer->capacity != kSmall || freeCount == kMaxFree) {
        std::free(buffer);
        return;
    }
    buffer->next = freeBuffers;
    freeBuffers = buffer;
    ++freeCount;
}

// Makes room for `more` bytes; what was sent is left behind. A queue that never
// becomes empty grows with what waits in it, not with what has passed through.
bool growBuffer(Session* session, std::size_t more)
{
    OutBuffer* old = session->out;
    std::size_t kept = old == nullptr ? 0 : old->queued();

    if (old != nullptr && kept + more <= old->capacity) {
        std::memmove(old->bytes, old->bytes + old->sent, kept);
        old->size = kept;
        old->sent = 0;
        return true;
    }

    std::size_t capacity = std::max(
        kept + more, std::min(2 * kept, session->conf->sendBuffer + more));
    OutBuffer* grown = newBuffer(capacity);
    if (grown == nullptr) {
        return false;
    }

    if (old != nullptr) {
        std::memcpy(grown->bytes, old->bytes + old->sent, kept);
        grown->size = kept;
        giveBuffer(old);
    }
    session->out = grown;
    return true;
}

unsigned char* makeRoom(Session* session, std::size_t size)
{
    OutBuffer* out = session->out;
    if ((out == nullptr || out->capacity - out->size < size) &&
        !growBuffer(session, size)) {
        return nullptr;
    }
    return session->out->bytes + session->out->size;
}

// A client that takes nothing while others get their messages: over the
// budget what the socket takes goes out first, only then it counts as slow.
bool withinBudget(Session* session, std::size_t size)
{
    auto fits = [&] {
        return session->out == nullptr || session->out->queued() == 0 ||
               session->out->queued() + size <= session->conf->sendBuffer;
    };

    if (fits()) {
        return true;
    }
    return session->connection->write->ready && flushOutput(session) && fits();
}

void reportWritten(Session* session)
{
    for (; session->unreported != 0; --session->unreported) {
        written(session);
    }
}

}  // namespace

unsigned char* reserve(Session* session, std::size_t size)
{
    if (session->state != State::Open) {
        return nullptr;
    }

    if (!withinBudget(session, size)) {
        if (session->connection->error) {
            markDirty(session);
            return nullptr;
        }
        closeSession(session, ws::kCloseTryAgainLater, Cause::SlowConsumer,
                     "client does not read fast enough");
        return nullptr;
    }

    unsigned char* room = makeRoom(session, size);
    if (room == nullptr) {
        closeSession(session, ws::kCloseInternalError, Cause::Internal,
                     "no memory");
    }
    return room;
}

void commit(Session* session, std::size_t size)
{
    session->out->size += size;
    markDirty(session);
    queuedBytes(size);
}

void sendControl(Session* session, ws::Opcode opcode, std::string_view payload)
{
    std::size_t header = ws::headerSize(payload.size());
    unsigned char* to = reserve(session, header + payload.size());
    if (to == nullptr) {
        return;
    }

    ws::encodeHeader(to, opcode, payload.size());
    payload.copy(reinterpret_cast<char*>(to + header), payload.size());
    commit(session, header + payload.size());
}

void sendMessage(Session* session, std::string_view message, bool binary)
{
    bool deflated = false;
    if (session->compressor.params().enabled) {
        message = deflateMessage(session, message, &deflated);
    }

    std::size_t header = ws::headerSize(message.size());
    unsigned char* to = reserve(session, header + message.size());
    if (to == nullptr) {
        return;
    }

    ws::encodeHeader(to, binary ? ws::Opcode::Binary : ws::Opcode::Text,
                     message.size(), deflated);
    message.copy(reinterpret_cast<char*>(to + header), message.size());
    commit(session, header + message.size());

    ++session->messagesOut;
    ++counters().messagesOut;
}

void sendClose(Session* session, std::uint16_t code, std::string_view reason)
{
    unsigned char* to = makeRoom(session, ws::kMaxControlPayload + 2);
    if (to != nullptr) {
        session->out->size += ws::encodeClose(to, code, reason);
    }
    markDirty(session);
}

bool flushOutput(Session* session)
{
    ngx_connection_t* c = session->connection;
    OutBuffer* out = session->out;

    while (out != nullptr && out->queued() != 0 && c->write->ready) {
        ssize_t n = c->send(c, out->bytes + out->sent, out->queued());

        if (n == NGX_AGAIN) {
            break;
        }
        if (n <= 0) {
            c->error = 1;
            return false;
        }

        out->sent += static_cast<std::size_t>(n);
        session->bytesOut += static_cast<std::uint64_t>(n);
        counters().bytesOut += static_cast<std::uint64_t>(n);
        ++counters().sends;
    }

    if (out != nullptr && out->queued() == 0) {
        discardOutput(session);
        reportWritten(session);
    }
    return ngx_handle_write_event(c->write, 0) == NGX_OK;
}

void discardOutput(Session* session)
{
    if (session->out != nullptr) {
        giveBuffer(session->out);
        session->out = nullptr;
    }
}

void onWritable(ngx_event_t* event)
{
    auto* c = static_cast<ngx_connection_t*>(event->data);
    markDirty(static_cast<Session*>(c->data));
}

}  // namespace chat
