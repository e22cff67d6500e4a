#include "t/bench/load/transport.hpp"

#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace bench {

namespace {

constexpr size_t kReadSize = 256 * 1024;

void setOption(int fd, int level, int name, int value)
{
    setsockopt(fd, level, name, &value, sizeof(value));
}

}  // namespace

Traffic Transport::traffic_;

void Transport::connect(const sockaddr_in& server, unsigned source,
                        SSL_CTX* tls)
{
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) {
        throw std::runtime_error(std::string("socket(): ") + strerror(errno));
    }
    setOption(fd_, IPPROTO_TCP, TCP_NODELAY, 1);

    if (source > 0) {
        sockaddr_in local = {};
        local.sin_family = AF_INET;
        local.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
        setOption(fd_, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
        if (bind(fd_, reinterpret_cast<sockaddr*>(&local), sizeof(local)) < 0) {
            throw std::runtime_error(std::string("bind(): ") + strerror(errno));
        }
    }

    if (tls != nullptr) {
        ssl_ = SSL_new(tls);
        SSL_set_fd(ssl_, fd_);
        SSL_set_connect_state(ssl_);
    }

    state_ = State::kConnecting;
    watched_ = EPOLLIN | EPOLLOUT;
    loop_.add(fd_, this, watched_);

    auto address = reinterpret_cast<const sockaddr*>(&server);
    if (::connect(fd_, address, sizeof(server)) < 0 && errno != EINPROGRESS) {
        end(std::string("connect(): ") + strerror(errno));
    }
}

void Transport::abort()
{
    if (fd_ < 0) {
        return;
    }

    linger reset = {1, 0};
    setsockopt(fd_, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    SSL_free(ssl_);
    ssl_ = nullptr;
    close(fd_);
    fd_ = -1;
    rest_.clear();
    unsent_.clear();
}

void Transport::end(const std::string& why)
{
    abort();
    onEnd(why);
}

void Transport::onEvents(uint32_t epollEvents)
{
    if (fd_ >= 0 && state_ == State::kConnecting) {
        finishConnect();
        return;
    }
    if (fd_ >= 0 && state_ == State::kTlsHandshake) {
        continueTls();
        return;
    }
    if (fd_ >= 0 && (epollEvents & EPOLLOUT)) {
        flush();
    }
    if (fd_ >= 0 && (epollEvents & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        readOnce();
    }
}

void Transport::finishConnect()
{
    int error = 0;
    socklen_t length = sizeof(error);

    getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        end(std::string("connect(): ") + strerror(error));
        return;
    }
    if (ssl_ != nullptr) {
        state_ = State::kTlsHandshake;
        continueTls();
        return;
    }

    state_ = State::kOpen;
    watch(EPOLLIN);
    onConnected();
}

void Transport::continueTls()
{
    int result = SSL_do_handshake(ssl_);
    if (result == 1) {
        state_ = State::kOpen;
        watch(EPOLLIN);
        onConnected();
        return;
    }

    switch (SSL_get_error(ssl_, result)) {
    case SSL_ERROR_WANT_READ:
        watch(EPOLLIN);
        break;
    case SSL_ERROR_WANT_WRITE:
        watch(EPOLLOUT);
        break;
    default:
        end("TLS handshake failed");
    }
}

ptrdiff_t Transport::readInto(char* buffer, size_t size)
{
    traffic_.reads++;
    if (ssl_ == nullptr) {
        return recv(fd_, buffer, size, 0);
    }

    int count = SSL_read(ssl_, buffer, static_cast<int>(size));
    if (count > 0) {
        return count;
    }
    int error = SSL_get_error(ssl_, count);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE) {
        errno = EAGAIN;
        return -1;
    }
    return 0;
}

void Transport::readOnce()
{
    static char buffer[kReadSize];

    // TLS may hold decrypted bytes of which epoll knows nothing.
    do {
        ptrdiff_t count = readInto(buffer, sizeof(buffer));
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return;
        }
        if (count <= 0) {
            end(count == 0 ? "closed by the server" : strerror(errno));
            return;
        }
        traffic_.received += static_cast<uint64_t>(count);
        consume(std::string_view(buffer, static_cast<size_t>(count)));
    } while (fd_ >= 0 && ssl_ != nullptr && SSL_pending(ssl_) > 0);
}

void Transport::consume(std::string_view bytes)
{
    std::string joined;

    if (!rest_.empty()) {
        joined.swap(rest_);
        joined.append(bytes);
        bytes = joined;
    }
    while (!bytes.empty() && fd_ >= 0) {
        size_t taken = onBytes(bytes);
        if (taken == 0) {
            break;
        }
        bytes.remove_prefix(taken);
    }
    if (fd_ >= 0 && !bytes.empty()) {
        rest_.assign(bytes);
    }
}

void Transport::write(std::string_view bytes)
{
    if (fd_ < 0) {
        return;
    }
    traffic_.sent += bytes.size();
    bool wasEmpty = unsent_.empty();
    unsent_.append(bytes);
    if (wasEmpty) {
        flush();
    }
}

void Transport::flush()
{
    while (!unsent_.empty()) {
        ptrdiff_t count;
        if (ssl_ != nullptr) {
            count = SSL_write(ssl_, unsent_.data(),
                              static_cast<int>(unsent_.size()));
        } else {
            count = send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
        }
        if (count <= 0) {
            // An error shows itself when the socket is read.
            watch(EPOLLIN | EPOLLOUT);
            return;
        }
        unsent_.erase(0, static_cast<size_t>(count));
    }
    watch(EPOLLIN);
}

void Transport::watch(uint32_t epollEvents)
{
    if (watched_ != epollEvents) {
        watched_ = epollEvents;
        loop_.modify(fd_, this, epollEvents);
    }
}

}  // namespace bench
