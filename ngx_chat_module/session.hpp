// One WebSocket. The record lives from the 101 until the socket is closed and
// is all that an idle connection needs: the request and, without TLS, the
// connection's pool have been given back by then.
//
//   Opening ──▶ Open ──▶ Closing ──▶ Lingering ──▶ (gone)
//   101 not     frames   our close   nothing more to send, the write
//   written              frame is    side is shut; what still comes
//                        queued      is thrown away

#pragma once

#include <cstdint>
#include <string_view>

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/metrics.hpp"
#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/ws/assembler.hpp"
#include "ngx_chat_module/ws/deflate.hpp"

namespace chat {

class RelayLink;
struct Ending;
struct OutBuffer;
struct Stash;

enum class State : std::uint8_t { Opening, Open, Closing, Lingering };

struct Session {
    Session(const ws::ReceiveOptions* receive, const ws::DeflateParams& deflate)
        : assembler(receive, deflate)
    {
        compressor.start(deflate);
    }

    std::uint64_t id = 0;  // slot and generation, shared/relay_format.hpp
    ngx_connection_t* connection = nullptr;
    LocConf* conf = nullptr;
    RelayLink* link = nullptr;              // null: waits for a chat-worker
    ngx_http_request_t* request = nullptr;  // null: released
    OutBuffer* out = nullptr;               // null: nothing to send
    Stash* stash = nullptr;                 // null: nothing held back
    Ending* ending = nullptr;               // null: no close waits for answers

    ngx_queue_t beat = {};
    ngx_msec_t received = 0;
    ngx_msec_t opened = 0;

    ws::Assembler assembler;
    ws::Compressor compressor;

    std::uint64_t mark = 0;  // highest inbox sequence that went to the client
    std::uint64_t bytesIn = 0;
    std::uint64_t bytesOut = 0;
    std::uint32_t messagesIn = 0;
    std::uint32_t messagesOut = 0;

    std::uint32_t unconfirmed = 0;  // MESSAGE frames without a receipt
    std::uint32_t unreported = 0;   // SEND frames that want a WRITTEN
    std::uint32_t framesSeen = 0;   // by the assembler, before these bytes
    std::uint32_t rateSecond = 0;
    std::uint32_t rateFrames = 0;  // seen when that second began

    char* names = nullptr;  // the user and the address, one allocation
    std::uint16_t userSize = 0;
    std::uint16_t addressSize = 0;

    std::uint16_t closeCode = 0;
    Cause cause = Cause::Gone;
    State state = State::Opening;
    bool attached = false;  // was attached to a relay connection before
    bool claimed = false;   // the user came by IDENTIFY
    bool number = false;    // the user is a JSON integer
    bool dirty = false;     // waits for the end of this turn
    bool pinged = false;    // stands in Heartbeat::pinged, else in fresh
    bool watched = false;   // stands in one of the two
    bool draining = false;  // its 1012 is scheduled
    bool fin = false;       // to be shut down once everything is sent
    bool counted = false;   // in the table of connections per user

    ngx_log_t log = {};

    std::string_view user() const { return {names, userSize}; }
    std::string_view address() const { return {names + userSize, addressSize}; }
};

// A record for the request's connection, in state Opening. Null: no memory.
Session* createSession(ngx_http_request_t* r, LocConf* conf,
                       std::string_view user, const ws::DeflateParams& deflate);

// Forgets a session whose 101 was not sent.
void destroySession(Session* session);

// chat-worker owes answers to what the client has sent.
inline bool awaitsAnswers(const Session* session)
{
    return session->unconfirmed != 0 || session->stash != nullptr;
}

// O(1); null when there is no such session any more.
Session* findSession(std::uint64_t id);

// The identity changes. False: no memory, it stays as it was.
bool setUser(Session* session, std::string_view user, bool number);

// Begins the close handshake: queues a close frame behind what is queued and
// tells chat-worker. The session stays valid. One that is closing already
// stays as it is. A close that comes from the client (its close frame, or bytes
// that are no WebSocket) first gives chat-worker a moment to answer the
// messages before it: they are as good as any, and their answers are due.
void closeSession(Session* session, std::uint16_t code, Cause cause,
                  std::string_view reason);

// The close that waits for answers goes ahead.
void endSession(Session* session);

// The client's close frame has come in answer to ours.
void onPeerClose(Session* session);

// Everything queued has been sent and `fin` is set. False: the socket may be
// closed at once, by dropSession().
bool finishOutput(Session* session);

// Closes the socket now and frees the record. Only event handlers call this,
// with nothing of the session in use above them.
void dropSession(Session* session, Cause cause);

// The same for a session in state Opening whose socket the core closes.
void abandonSession(Session* session);

// Every session, for the rare walks (a chat-worker has died).
Session* sessionAt(std::uint32_t slot);
std::uint32_t sessionSlots();

template <typename Visit>
void forEachSession(Visit&& visit)
{
    for (std::uint32_t slot = 0; slot < sessionSlots(); ++slot) {
        if (Session* session = sessionAt(slot)) {
            visit(session);
        }
    }
}

}  // namespace chat
