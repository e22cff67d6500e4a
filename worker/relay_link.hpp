// What the chat code sees of the relay: a link to each nginx worker, and the
// calls that a link makes. relay_server.hpp has the implementation on libuv;
// a test may put a string in its place.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "receipts.hpp"
#include "shared/relay_format.hpp"
#include "shared/relay_payload.hpp"
#include "shared/relay_writer.hpp"

namespace chat::relay {

// One relay connection. It exists from RelayHandler::onOpen() until
// onClosed() has returned.
//
// Everything sent leaves in one write at the end of the event loop's turn.
class RelayLink {
  public:
    virtual ~RelayLink() = default;

    // Where frames are appended (relay_writer.hpp, FanoutBuilder); asking for
    // it schedules the write. Do not keep the pointer over a turn.
    virtual std::string* output() = 0;

    // Too much is queued: nginx does not read fast enough. Live delivery to
    // its sessions stops until RelayHandler::onDrained(); answers and CLOSE
    // may still be sent, as no further MESSAGE is read meanwhile.
    virtual bool congested() const = 0;

    // The largest payload that nginx accepts, from its HELLO.
    virtual std::uint32_t maxPayload() const = 0;

    // Different for every link of the life of this process, counted from 1.
    virtual std::uint64_t serial() const = 0;

    // What nginx calls itself, for log lines.
    virtual const std::string& name() const = 0;

    // Ends the relay connection (not the WebSockets: nginx reconnects and
    // attaches them again). onClosed() follows, not from within this call.
    virtual void drop(std::string_view reason) = 0;

    // One message to one session. flags: kBinary, kReportWritten. False: it
    // is longer than nginx accepts, and was not sent.
    bool send(std::uint64_t session, std::string_view message,
              std::uint8_t flags = 0, std::uint64_t mark = 0)
    {
        if (message.size() + (mark == 0 ? 0 : sizeof(mark)) > maxPayload()) {
            return false;
        }
        appendSend(output(), session, message, flags, mark);
        return true;
    }

    // Closes the session's WebSocket. The reason is cut at 123 bytes.
    void close(std::uint64_t session, std::uint16_t code,
               std::string_view reason)
    {
        appendClose(output(), session, code, reason);
    }

    // The session's user is known. number: it is a JSON integer.
    void identify(std::uint64_t session, std::string_view user, bool number)
    {
        appendIdentify(output(), session, user, number);
    }

    // Answers onRequest(). status: as in HTTP.
    void respond(std::uint64_t request, std::uint16_t status,
                 std::string_view contentType, std::string_view body)
    {
        appendResponse(output(), request, status, contentType, body);
    }
};

// All calls come from the event loop's thread. Views are valid during the
// call only. Nothing is called for a link before onOpen() or after onClosed().
class RelayHandler {
  public:
    virtual ~RelayHandler() = default;

    // nginx has connected and said HELLO. Its ATTACH frames follow.
    virtual void onOpen(RelayLink& link) = 0;

    virtual void onAttach(RelayLink& link, std::uint64_t session,
                          const Attach& attach) = 0;

    // A client's message. The session may be unknown (it was closed while the
    // frame travelled): ignore the message, the ticket ends by itself.
    virtual void onMessage(RelayLink& link, std::uint64_t session,
                           std::string_view message, bool binary,
                           MessageTicket ticket) = 0;

    // The session is gone. code: RFC 6455 section 7.1.5.
    virtual void onDetach(RelayLink& link, std::uint64_t session,
                          std::uint16_t code) = 0;

    // All up to a SEND with kReportWritten has left nginx.
    virtual void onWritten(RelayLink& link, std::uint64_t session) = 0;

    // Every request must be answered by RelayLink::respond(), in any order.
    virtual void onRequest(RelayLink& link, std::uint64_t request,
                           const Request& content) = 0;

    // The link is no longer congested.
    virtual void onDrained(RelayLink& link) = 0;

    // The link is gone, and with it all its sessions; without onDetach().
    virtual void onClosed(RelayLink& link) = 0;
};

}  // namespace chat::relay
