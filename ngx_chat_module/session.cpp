#include "ngx_chat_module/session.hpp"

#include <cstdlib>
#include <new>

#include "ngx_chat_module/input.hpp"
#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/release.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/users.hpp"
#include "ngx_chat_module/ws/close_code.hpp"

namespace chat {

struct Ending {
    std::uint16_t code;
    Cause cause;
    std::uint8_t size;
    char reason[ws::kMaxControlPayload];
};

namespace {

// How long a client may take to answer our close frame, and to close its side
// after we have closed ours.
constexpr ngx_msec_t kCloseTimeout = 5000;
constexpr ngx_msec_t kLingerTimeout = 2000;

// How long chat-worker may take to answer what came before a close.
constexpr ngx_msec_t kAnswerTimeout = 1000;

// In ngx_connection_t::buffered. TLS says no goodbye behind half a record.
constexpr unsigned kUnsent = NGX_LOWLEVEL_BUFFERED;

constexpr std::uint32_t kNoSlot = 0xffffffff;

struct Slot {
    Session* session;
    std::uint32_t generation;
    std::uint32_t nextFree;
};

Slot* slots;
std::uint32_t slotCount;
std::uint32_t firstFree = kNoSlot;

bool growSlots()
{
    std::uint32_t count = slotCount == 0 ? 64 : slotCount * 2;
    auto* grown = static_cast<Slot*>(std::realloc(slots, count * sizeof(Slot)));
    if (grown == nullptr) {
        return false;
    }

    for (std::uint32_t i = count; i-- > slotCount;) {
        grown[i] = {nullptr, 0, firstFree};
        firstFree = i;
    }
    slots = grown;
    slotCount = count;
    return true;
}

bool takeSlot(Session* session)
{
    if (firstFree == kNoSlot && !growSlots()) {
        return false;
    }

    std::uint32_t index = firstFree;
    Slot& slot = slots[index];
    firstFree = slot.nextFree;
    slot.session = session;
    ++slot.generation;
    session->id = std::uint64_t{slot.generation} << 32 | index;
    return true;
}

void giveSlot(const Session* session)
{
    std::uint32_t index = relay::slotOf(session->id);
    slots[index].session = nullptr;
    slots[index].nextFree = firstFree;
    firstFree = index;
}

bool setNames(Session* session, std::string_view user, std::string_view address)
{
    auto* names = static_cast<char*>(std::malloc(user.size() + address.size()));
    if (names == nullptr && user.size() + address.size() != 0) {
        return false;
    }

    user.copy(names, user.size());
    address.copy(names + user.size(), address.size());

    std::free(session->names);
    session->names = names;
    session->userSize = static_cast<std::uint16_t>(user.size());
    session->addressSize = static_cast<std::uint16_t>(address.size());
    return true;
}

// What clients and chat-workers say goes to the log without control
// characters, so that nobody writes lines of their own.
class Printable {
  public:
    explicit Printable(std::string_view text)
    {
        for (char c : text.substr(0, sizeof(bytes_))) {
            bool control = static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
            bytes_[size_++] = control ? '.' : c;
        }
    }

    ngx_str_t str() const { return toStr({bytes_, size_}); }

  private:
    char bytes_[128];
    std::size_t size_ = 0;
};

u_char* logSession(ngx_log_t* log, u_char* buf, size_t len)
{
    auto* session = static_cast<Session*>(log->data);
    u_char* p = buf;

    if (log->action != nullptr) {
        p = ngx_snprintf(p, len, " while %s", log->action);
        len -= static_cast<size_t>(p - buf);
    }

    Printable printable(session->user());
    ngx_str_t user = printable.str();
    ngx_str_t address = toStr(session->address());
    p = ngx_snprintf(p, len,
                     ", client: %V, chat session: %uD.%uD, user: \"%V\"",
                     &address, relay::slotOf(session->id),
                     static_cast<uint32_t>(session->id >> 32), &user);
    return p;
}

void startLog(Session* session)
{
    session->log = *session->connection->log;
    session->log.handler = logSession;
    session->log.data = session;
    session->log.action = nullptr;
}

}  // namespace

Session* createSession(ngx_http_request_t* r, LocConf* conf,
                       std::string_view user, const ws::DeflateParams& deflate)
{
    ngx_connection_t* c = r->connection;
    auto* session = new (std::nothrow) Session(&conf->receive, deflate);
    if (session == nullptr) {
        return nullptr;
    }

    if (!setNames(session, user, toView(c->addr_text)) || !takeSlot(session)) {
        std::free(session->names);
        delete session;
        return nullptr;
    }

    session->connection = c;
    session->conf = conf;
    session->request = r;
    session->opened = ngx_current_msec;
    session->received = ngx_current_msec;
    startLog(session);
    ++counters().connections;
    return session;
}

void destroySession(Session* session)
{
    --counters().connections;
    giveSlot(session);
    std::free(session->names);
    delete session;
}

Session* sessionAt(std::uint32_t slot)
{
    return slots[slot].session;
}

std::uint32_t sessionSlots()
{
    return slotCount;
}

Session* findSession(std::uint64_t id)
{
    std::uint32_t index = relay::slotOf(id);
    if (index >= slotCount) {
        return nullptr;
    }

    Session* session = slots[index].session;
    return session != nullptr && session->id == id ? session : nullptr;
}

bool setUser(Session* session, std::string_view user, bool number)
{
    // The address stands in the block that is about to be given back.
    if (!setNames(session, user, session->address())) {
        return false;
    }
    session->number = number;
    return true;
}

namespace {

// The session has no more to do with messages: chat-worker, the heartbeat and
// the tables forget it.
void leaveOpen(Session* session, std::uint16_t code, Cause cause)
{
    bool attached = session->state == State::Open;
    session->state = State::Closing;
    session->closeCode = code;
    session->cause = cause;

    Counters& count = counters();
    ++count.closes[static_cast<std::size_t>(cause)][closeSlot(code)];
    ++count.connectionsClosing;

    delete session->ending;
    session->ending = nullptr;
    dropStash(session);
    unwatch(session);
    forgetUser(session);
    if (attached) {
        detachSession(session);
    }
}

void logClose(Session* session, std::string_view reason)
{
    ngx_uint_t level = NGX_LOG_INFO;
    if (isLimit(session->cause)) {
        level = session->conf->limitLogLevel;
    }

    if (session->connection->log->log_level < level) {
        return;
    }

    Printable printable(reason);
    ngx_str_t text = printable.str();
    ngx_log_error(level, session->connection->log, 0,
                  "chat session closed with %uD by %s (%s): %V",
                  uint32_t{session->closeCode}, closedBy(session->cause),
                  causeName(session->cause), &text);
}

void setTimer(Session* session, ngx_msec_t timeout)
{
    ngx_add_timer(session->connection->read, timeout);
}

// After these the client either has said goodbye itself or cannot be
// understood any more.
bool comesFromClient(Cause cause)
{
    return cause == Cause::Client || cause == Cause::Protocol ||
           cause == Cause::TooBig || cause == Cause::Fragments;
}

// False: nothing to wait for.
bool awaitAnswers(Session* session, std::uint16_t code, Cause cause,
                  std::string_view reason)
{
    if (!awaitsAnswers(session) || session->link == nullptr ||
        session->ending != nullptr || !comesFromClient(cause)) {
        return false;
    }

    auto* ending = new (std::nothrow) Ending;
    if (ending == nullptr) {
        return false;
    }

    ending->code = code;
    ending->cause = cause;
    ending->size = static_cast<std::uint8_t>(
        reason.copy(ending->reason, sizeof(ending->reason)));
    session->ending = ending;
    unwatch(session);
    setTimer(session, kAnswerTimeout);
    return true;
}

}  // namespace

void closeSession(Session* session, std::uint16_t code, Cause cause,
                  std::string_view reason)
{
    if (session->state != State::Open ||
        awaitAnswers(session, code, cause, reason)) {
        return;
    }

    // Nothing is waited for then but the end of the stream.
    session->fin = session->ending != nullptr || comesFromClient(cause);

    leaveOpen(session, code, cause);
    logClose(session, reason);
    setTimer(session, kCloseTimeout);
    sendClose(session, code, reason);
}

void endSession(Session* session)
{
    Ending ending = *session->ending;
    closeSession(session, ending.code, ending.cause,
                 {ending.reason, ending.size});
}

namespace {

// The socket ends before our close frame has been sent. Why the session ends is
// known already if that close only waited for answers.
void leaveLost(Session* session, Cause cause)
{
    if (session->ending == nullptr) {
        leaveOpen(session, ws::kCloseAbnormal, cause);
        logClose(session, "connection lost");
        return;
    }

    Ending ending = *session->ending;
    leaveOpen(session, ending.code, ending.cause);
    logClose(session, {ending.reason, ending.size});
}

}  // namespace

void abandonSession(Session* session)
{
    leaveLost(session, Cause::Shutdown);
    --counters().connectionsClosing;
    discardOutput(session);
    destroySession(session);
}

void onPeerClose(Session* session)
{
    session->fin = true;
    markDirty(session);
}

namespace {

// Our side of the stream ends here. False: it cannot be ended apart from the
// other side.
bool shutWrite(ngx_connection_t* c)
{
#if (NGX_SSL)
    if (c->ssl != nullptr) {
        // Says goodbye in TLS and frees it: what still comes is thrown away
        // without being decrypted.
        if (ngx_ssl_shutdown(c) != NGX_OK) {
            return false;
        }
        c->send = ngx_send;
    }
#endif
    return ngx_shutdown_socket(c->fd, NGX_WRITE_SHUTDOWN) != -1;
}

}  // namespace

bool finishOutput(Session* session)
{
    ngx_connection_t* c = session->connection;
    session->state = State::Lingering;

    // With nothing unread left behind, the kernel does not send a reset that
    // could overtake our close frame.
    if (session->cause == Cause::Client && !c->read->ready) {
        return false;
    }

    if (!shutWrite(c)) {
        return false;
    }
    setTimer(session, kLingerTimeout);
    return true;
}

void dropSession(Session* session, Cause cause)
{
    if (session->state == State::Opening || session->state == State::Open) {
        leaveLost(session, cause);
    }
    --counters().connectionsClosing;

    if (session->out != nullptr) {
        session->connection->buffered |= kUnsent;
    }
    discardOutput(session);
    closeConnection(session);
    destroySession(session);
}

}  // namespace chat
