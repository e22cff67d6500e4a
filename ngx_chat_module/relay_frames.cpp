// The frames of a relay connection: what comes is carried out, what goes is
// made here.

#include <algorithm>
#include <cstring>
#include <new>
#include <string>

#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/status.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/users.hpp"
#include "ngx_chat_module/ws/close_code.hpp"
#include "shared/relay_bytes.hpp"
#include "shared/relay_writer.hpp"

namespace chat {

namespace {

std::uint64_t instance()
{
    static const std::uint64_t value =
        static_cast<std::uint64_t>(ngx_random()) << 32 ^
        static_cast<std::uint64_t>(ngx_pid) << 16 ^ ngx_current_msec;
    return value;
}

}  // namespace

void RelayLink::greet()
{
    char name[64];
    u_char* end = ngx_snprintf(reinterpret_cast<u_char*>(name), sizeof(name),
                               "nginx worker %P", ngx_pid);

    char hello[relay::kHelloFixed + sizeof(name)];
    relay::store(hello, relay::kMagic);
    relay::store(hello + 4, kAccept);
    std::size_t size =
        static_cast<std::size_t>(reinterpret_cast<char*>(end) - name);
    std::memcpy(hello + relay::kHelloFixed, name, size);

    send(relay::Kind::Hello, 0, relay::kVersion, instance(),
         {hello, relay::kHelloFixed + size});
}

void RelayLink::send(relay::Kind kind, std::uint8_t flags, std::uint16_t code,
                     std::uint64_t id, std::string_view payload)
{
    if (!journal_.append(kind, flags, code, id, payload)) {
        giveUp_ = true;
    }
    markDirty(this);
}

void RelayLink::attach(Session* session)
{
    relay::Attach attach;
    attach.mark = session->mark;
    attach.heartbeatTimeoutMs =
        static_cast<std::uint32_t>(session->conf->heartbeatTimeout);
    attach.trustInit = session->conf->trustInit != 0;
    attach.resumed = session->attached;
    attach.claimed = session->claimed;
    attach.number = session->number;
    attach.user = session->user();
    attach.address = session->address();

    try {
        static std::string frame;
        frame.clear();
        relay::appendAttach(&frame, session->id, attach);
        giveUp_ = giveUp_ || !journal_.append(frame);

    } catch (const std::bad_alloc&) {
        giveUp_ = true;
    }
    markDirty(this);
}

bool RelayLink::handleAll(std::string_view bytes)
{
    relay::Frame frame;
    reader_.feed(bytes);

    for (;;) {
        switch (reader_.next(&frame)) {
        case relay::Reader::Status::More:
            return true;
        case relay::Reader::Status::Failed:
            return false;
        case relay::Reader::Status::Frame:
            if (!handle(frame)) {
                reader_.reject(relay::Error::Malformed);
                return false;
            }
            flushIfMany();
        }
    }
}

bool RelayLink::handle(const relay::Frame& frame)
{
    switch (frame.kind) {
    case relay::Kind::Hello:
        group_->linkReady();
        return true;
    case relay::Kind::Send:
        return handleSend(frame);
    case relay::Kind::Fanout:
        return applyFanout(this, frame);
    case relay::Kind::Close:
        handleClose(frame);
        return true;
    case relay::Kind::Identify:
        return handleIdentify(frame);
    case relay::Kind::Receipt:
        return handleReceipt(frame);
    case relay::Kind::Response:
        return onResponse(this, frame);
    case relay::Kind::Ping:
        send(relay::Kind::Pong, 0, 0, frame.id);
        return true;
    default:
        return true;
    }
}

bool RelayLink::handleSend(const relay::Frame& frame)
{
    relay::Send message;
    if (!decode(frame, &message)) {
        return false;
    }

    Session* session = findSession(frame.id);
    if (session == nullptr || session->link != this) {
        return true;
    }

    session->mark = std::max(session->mark, message.mark);
    sendMessage(session, message.message, frame.has(relay::kBinary));
    if (frame.has(relay::kReportWritten) &&
        session->state == chat::State::Open) {
        ++session->unreported;
    }
    return true;
}

void RelayLink::handleClose(const relay::Frame& frame)
{
    Session* session = findSession(frame.id);
    if (session != nullptr && session->link == this) {
        closeSession(session, frame.code, Cause::Worker, frame.payload);
    }
}

bool RelayLink::handleIdentify(const relay::Frame& frame)
{
    if (frame.payload.size() > relay::kMaxUser) {
        return false;
    }

    Session* session = findSession(frame.id);
    if (session == nullptr || session->link != this) {
        return true;
    }

    if (!identifyUser(session, frame.payload, frame.has(relay::kNumber))) {
        closeSession(session, ws::kClosePolicyViolation, Cause::UserLimit,
                     "too many connections of this user");
    }
    return true;
}

bool RelayLink::handleReceipt(const relay::Frame& frame)
{
    proved();
    return journal_.confirm(frame.id, [](std::uint64_t id) {
        Session* session = findSession(id);
        if (session != nullptr && session->unconfirmed != 0) {
            --session->unconfirmed;
            if (session->unconfirmed == 0 && session->ending != nullptr) {
                markDirty(session);
            }
        }
    });
}

}  // namespace chat
