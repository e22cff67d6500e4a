// Accepts relay connections from nginx workers on Unix and TCP sockets and
// turns their frames into calls of a RelayHandler (relay_link.hpp).
//
// Per link it answers PING, counts tickets and sends RECEIPT, at most once in
// a turn of the loop, and collects all output of a turn into one write.
//
// Bounds, per link:
//   input   A link is not read while maxTickets messages or maxTicketBytes
//           of them are unfinished, or while it is congested. What one read
//           brought (64 KiB) is always dealt with whole.
//   output  congested() from maxQueue bytes on, until half of them have
//           left. Over twice maxQueue, or without any progress for
//           writeTimeout, the link is dropped.
//   silence A link that is being read and brings nothing for idleTimeout is
//           dropped; nginx sends a PING every 5 seconds.

#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "relay_link.hpp"

namespace chat::relay {

struct ServerSettings {
    std::vector<std::string> listen;  // "unix:/path" or "host:port"
    unsigned socketMode = 0660;       // of Unix sockets
    std::string name = "chat-worker";
    std::uint64_t instance = 0;
    std::uint32_t maxPayload = 16U << 20;  // that nginx may send
    std::size_t maxLinks = 1024;           // further ones are refused
    std::size_t maxQueue = 64U << 20;
    std::size_t maxTickets = 16384;
    std::size_t maxTicketBytes = 16U << 20;
    std::chrono::milliseconds idleTimeout{30000};
    std::chrono::milliseconds writeTimeout{30000};
};

struct ServerStats {
    std::uint64_t links = 0;  // open now
    std::uint64_t accepted = 0;
    std::uint64_t refused = 0;    // over maxLinks
    std::uint64_t failed = 0;     // dropped for a fault of the peer's
    std::uint64_t congested = 0;  // times that a link became congested
    std::uint64_t framesIn = 0;
    std::uint64_t bytesIn = 0;
    std::uint64_t bytesOut = 0;
    std::uint64_t messages = 0;
    std::uint64_t tickets = 0;  // unfinished now
    std::uint64_t queued = 0;   // bytes of output that wait now
};

class RelayServer {
  public:
    // loop and handler must outlive the server. The server may be destroyed
    // when `done` of shutdown() has been called, or when the loop is not run
    // any more.
    RelayServer(uv_loop_t* loop, RelayHandler* handler,
                ServerSettings settings);
    ~RelayServer();
    RelayServer(const RelayServer&) = delete;
    RelayServer& operator=(const RelayServer&) = delete;

    // Listens on all addresses of the settings. A Unix socket that nobody
    // listens on any more is replaced; one that is in use, or a file of
    // another kind in its place, is an error. Returns the error's text; then
    // nothing is listened on.
    std::optional<std::string> listen();

    // Takes over the limits (not the addresses) of new settings.
    void configure(const ServerSettings& settings);

    // The end: no new links, no further input; waits until all tickets are
    // finished and all output has left, at most for `timeout`, closes every
    // link (onClosed() is called for each) and calls `done`.
    void shutdown(std::chrono::milliseconds timeout,
                  std::function<void()> done);

    ServerStats stats() const;

    // The port of the first TCP address, for tests that listen on port 0.
    int port() const;

  private:
    class Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace chat::relay
