// The floor of the benchmark: the least that a server in one process can do
// for a WebSocket, one read() and one send() each. Text goes to every
// connection with the same path by a bare loop of send(); "ping" is answered
// "pong". No masks are checked, no limits kept, nothing is stored: it is what
// the kernel costs, not a server to use.
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace {

struct Connection {
    int fd;
    std::string path;
    std::string rest;    // received, not yet complete
    std::string unsent;  // what a full socket did not take
};

using Group = std::vector<Connection*>;

int epoll;
std::unordered_map<std::string, Group> groups;

void watch(Connection* connection, uint32_t events, int operation)
{
    epoll_event event = {};
    event.events = events;
    event.data.ptr = connection;
    epoll_ctl(epoll, operation, connection->fd, &event);
}

void sendTo(Connection* connection, std::string_view bytes)
{
    if (connection->unsent.empty()) {
        ssize_t count =
            send(connection->fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (count == static_cast<ssize_t>(bytes.size())) {
            return;
        }
        bytes.remove_prefix(count > 0 ? static_cast<size_t>(count) : 0);
        watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
    }
    connection->unsent.append(bytes);
}

void flush(Connection* connection)
{
    std::string unsent;
    unsent.swap(connection->unsent);
    watch(connection, EPOLLIN, EPOLL_CTL_MOD);
    if (!unsent.empty()) {
        sendTo(connection, unsent);
    }
}

std::string makeText(std::string_view payload)
{
    std::string frame = "\x81";

    if (payload.size() < 126) {
        frame += static_cast<char>(payload.size());
    } else if (payload.size() < 65536) {
        frame += static_cast<char>(126);
        frame += static_cast<char>(payload.size() >> 8);
        frame += static_cast<char>(payload.size());
    } else {
        frame += static_cast<char>(127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            frame += static_cast<char>(payload.size() >> shift);
        }
    }
    frame.append(payload);
    return frame;
}

// Returns how much of `bytes` the handshake took, 0 while it is incomplete.
size_t shakeHands(Connection* connection, std::string_view bytes)
{
    static constexpr std::string_view kKey = "Sec-WebSocket-Key: ";
    size_t end = bytes.find("\r\n\r\n");
    size_t at = bytes.find(kKey);
    if (end == std::string_view::npos || at == std::string_view::npos) {
        return 0;
    }

    std::string key(bytes.substr(at + kKey.size(), 24));
    key += "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[20];
    unsigned char accept[32];
    EVP_Digest(key.data(), key.size(), digest, nullptr, EVP_sha1(), nullptr);
    EVP_EncodeBlock(accept, digest, sizeof(digest));
    sendTo(connection,
           "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Accept: " +
               std::string(reinterpret_cast<char*>(accept)) + "\r\n\r\n");

    size_t path = bytes.find(' ') + 1;
    connection->path = bytes.substr(path, bytes.find(' ', path) - path);
    groups[connection->path].push_back(connection);
    return end + 4;
}

void onText(Connection* connection, std::string_view text)
{
    if (text == "ping") {
        sendTo(connection, makeText("pong"));
        return;
    }

    std::string frame = makeText(text);
    for (Connection* member : groups[connection->path]) {
        sendTo(member, frame);
    }
}

size_t readFrame(Connection* connection, std::string_view bytes)
{
    auto byte = [&](size_t i) {
        return static_cast<uint8_t>(bytes[i]);
    };
    if (bytes.size() < 2) {
        return 0;
    }

    uint64_t length = byte(1) & 0x7f;
    size_t header = length < 126 ? 2 : length == 126 ? 4 : 10;
    if (bytes.size() < header + 4) {
        return 0;
    }
    if (length >= 126) {
        length = 0;
        for (size_t i = 2; i < header; i++) {
            length = length << 8 | byte(i);
        }
    }
    if (bytes.size() - header - 4 < length) {
        return 0;
    }

    std::string text(bytes.substr(header + 4, length));
    for (size_t i = 0; i < length; i++) {
        text[i] = static_cast<char>(text[i] ^ bytes[header + (i & 3)]);
    }
    if ((byte(0) & 0xf) == 1) {
        onText(connection, text);
    }
    return header + 4 + length;
}

void drop(Connection* connection)
{
    Group& group = groups[connection->path];
    for (size_t i = 0; i < group.size(); i++) {
        if (group[i] == connection) {
            group[i] = group.back();
            group.pop_back();
            break;
        }
    }
    close(connection->fd);
    delete connection;
}

// False when the connection has ended.
bool readFrom(Connection* connection)
{
    static char buffer[64 * 1024];
    ssize_t count = recv(connection->fd, buffer, sizeof(buffer), 0);
    if (count <= 0) {
        return count < 0 && errno == EAGAIN;
    }

    std::string joined;
    std::string_view bytes(buffer, static_cast<size_t>(count));
    if (!connection->rest.empty()) {
        joined = connection->rest + std::string(bytes);
        bytes = joined;
    }
    while (!bytes.empty()) {
        size_t taken = connection->path.empty() ? shakeHands(connection, bytes)
                                                : readFrame(connection, bytes);
        if (taken == 0) {
            break;
        }
        bytes.remove_prefix(taken);
    }
    connection->rest.assign(bytes);
    return true;
}

void acceptAll(int listener)
{
    for (;;) {
        int fd = accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        if (fd < 0) {
            return;
        }
        int on = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
        watch(new Connection{fd, {}, {}, {}}, EPOLLIN, EPOLL_CTL_ADD);
    }
}

int listenOn(const char* port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    int on = 1;
    sockaddr_in address = {};

    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(atoi(port)));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) < 0 ||
        listen(fd, 4096) < 0) {
        perror("floor: cannot listen");
        exit(1);
    }
    return fd;
}

}  // namespace

int main(int argc, char** argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: floor PORT\n");
        return 2;
    }

    rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    int listener = listenOn(argv[1]);
    epoll = epoll_create1(0);
    epoll_event event = {};
    event.events = EPOLLIN;
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event);

    for (;;) {
        epoll_event events[512];
        int count = epoll_wait(epoll, events, 512, -1);
        for (int i = 0; i < count; i++) {
            auto* connection = static_cast<Connection*>(events[i].data.ptr);
            if (connection == nullptr) {
                acceptAll(listener);
                continue;
            }
            if (events[i].events & EPOLLOUT) {
                flush(connection);
            }
            if (!readFrom(connection)) {
                drop(connection);
            }
        }
    }
}
