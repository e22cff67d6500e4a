#include "worker/relay_listener.hpp"

#include <netdb.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace chat::relay {

namespace {

constexpr int kBacklog = 511;
constexpr std::string_view kUnix = "unix:";

template <typename Handle>
void closeAndDelete(uv_stream_t* stream)
{
    uv_close(reinterpret_cast<uv_handle_t*>(stream), [](uv_handle_t* handle) {
        delete reinterpret_cast<Handle*>(handle);
    });
}

template <typename Handle>
ListenStream asStream(Handle* handle, void* data)
{
    handle->data = data;
    return ListenStream(reinterpret_cast<uv_stream_t*>(handle));
}

bool isLive(const sockaddr_un& address, std::string* error)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd == -1) {
        *error = std::strerror(errno);
        return true;
    }

    int result = connect(fd, reinterpret_cast<const sockaddr*>(&address),
                         sizeof(address));
    int code = result == 0 ? 0 : errno;
    close(fd);

    if (code == ECONNREFUSED || code == ENOENT) {
        return false;
    }
    *error = code == 0 || code == EAGAIN ? "another process listens there"
                                         : std::strerror(code);
    return true;
}

// Removes the socket that a killed process has left behind, and nothing else.
std::string removeStale(const std::string& path)
{
    struct stat info {};

    if (lstat(path.c_str(), &info) == -1) {
        return errno == ENOENT ? "" : std::strerror(errno);
    }
    if (!S_ISSOCK(info.st_mode)) {
        return "the file exists and is not a socket";
    }

    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());

    std::string error;

    if (isLive(address, &error)) {
        return error;
    }
    if (unlink(path.c_str()) == -1 && errno != ENOENT) {
        return std::strerror(errno);
    }
    return "";
}

std::string listenUnix(uv_loop_t* loop, const std::string& path, unsigned mode,
                       uv_connection_cb onConnection, void* data,
                       std::vector<ListenStream>* out)
{
    if (path.size() >= sizeof(sockaddr_un::sun_path)) {
        return "the path is too long for a Unix socket";
    }

    std::string error = removeStale(path);

    if (!error.empty()) {
        return error;
    }

    auto* pipe = new uv_pipe_t;
    uv_pipe_init(loop, pipe, 0);
    ListenStream stream = asStream(pipe, data);

    // The umask makes bind() create the file with the right mode, so that
    // there is no moment at which others may connect.
    mode_t old = umask(static_cast<mode_t>(~mode & 0777U));
    int code = uv_pipe_bind(pipe, path.c_str());
    umask(old);

    if (code == 0) {
        code = uv_listen(stream.get(), kBacklog, onConnection);
    }
    if (code != 0) {
        return uv_strerror(code);
    }
    out->push_back(std::move(stream));
    return "";
}

int listenTcp(uv_loop_t* loop, const sockaddr* address,
              uv_connection_cb onConnection, void* data,
              std::vector<ListenStream>* out)
{
    auto* tcp = new uv_tcp_t;
    uv_tcp_init(loop, tcp);
    ListenStream stream = asStream(tcp, data);

    int code = uv_tcp_bind(
        tcp, address, address->sa_family == AF_INET6 ? UV_TCP_IPV6ONLY : 0);

    if (code == 0) {
        code = uv_listen(stream.get(), kBacklog, onConnection);
    }
    if (code == 0) {
        out->push_back(std::move(stream));
    }
    return code;
}

}  // namespace

void StreamCloser::operator()(uv_stream_t* stream) const
{
    if (stream->type == UV_TCP) {
        closeAndDelete<uv_tcp_t>(stream);
    } else {
        closeAndDelete<uv_pipe_t>(stream);
    }
}

std::string parseAddress(std::string_view text, Address* out)
{
    *out = Address();

    if (text.substr(0, kUnix.size()) == kUnix) {
        out->path = text.substr(kUnix.size());
        return out->path.empty() ? "the path is empty" : "";
    }

    std::size_t colon = text.rfind(':');

    if (colon == std::string_view::npos) {
        out->host = "127.0.0.1";
        out->port = text;

    } else {
        out->host = text.substr(0, colon);
        out->port = text.substr(colon + 1);
    }

    std::string& host = out->host;

    if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
        host = host.substr(1, host.size() - 2);

    } else if (host.find(':') != std::string::npos) {
        return "an IPv6 address needs brackets";
    }
    if (host.empty()) {
        return "the host is missing";
    }

    bool digits =
        !out->port.empty() && out->port.size() <= 5 &&
        out->port.find_first_not_of("0123456789") == std::string::npos;

    return digits && std::stoul(out->port) <= 65535 ? "" : "invalid port";
}

std::string listenOn(uv_loop_t* loop, std::string_view text,
                     unsigned socketMode, uv_connection_cb onConnection,
                     void* data, std::vector<ListenStream>* out)
{
    Address address;
    std::string error = parseAddress(text, &address);

    if (!error.empty()) {
        return error;
    }

    if (!address.path.empty()) {
        return listenUnix(loop, address.path, socketMode, onConnection, data,
                          out);
    }

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_NUMERICSERV;
    addrinfo* found = nullptr;

    int code =
        getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found);

    if (code != 0) {
        return gai_strerror(code);
    }

    for (addrinfo* each = found; each != nullptr && error.empty();
         each = each->ai_next) {
        code = listenTcp(loop, each->ai_addr, onConnection, data, out);

        if (code != 0) {
            error = uv_strerror(code);
        }
    }
    freeaddrinfo(found);
    return error;
}

}  // namespace chat::relay
