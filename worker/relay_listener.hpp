// Listening sockets of the relay: addresses, and the rules for a Unix socket
// that is already there.

#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chat::relay {

// "unix:/path", "host:port", "[IPv6 address]:port" or "port".
struct Address {
    std::string path;  // of a Unix socket; empty: TCP
    std::string host;
    std::string port;
};

// Returns the error's text, empty on success.
std::string parseAddress(std::string_view text, Address* out);

// A listening uv_pipe_t or uv_tcp_t. Closing a Unix one removes its file.
struct StreamCloser {
    void operator()(uv_stream_t* stream) const;
};
using ListenStream = std::unique_ptr<uv_stream_t, StreamCloser>;

// Listens on every address that the text stands for (a host name may have
// several) and appends the streams to *out, their `data` set. Returns the
// error's text, empty on success.
std::string listenOn(uv_loop_t* loop, std::string_view address,
                     unsigned socketMode, uv_connection_cb onConnection,
                     void* data, std::vector<ListenStream>* out);

}  // namespace chat::relay
