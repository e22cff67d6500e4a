// What the tests of worker/relay_server.hpp share: a handler that writes down
// what it is called with, a peer that plays nginx over a real socket, and the
// event loop, which the test turns by hand, all in one thread.

#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "shared/relay_reader.hpp"
#include "t/unit/temp_dir.hpp"
#include "worker/relay_server.hpp"

// Last: it defines a macro `fail` that the standard library's headers cannot
// live with.
#include <check.h>

namespace relaytest {

using namespace chat::relay;

// Writes down what it is called with; keeps the tickets.
class Recorder final : public RelayHandler {
  public:
    void onOpen(RelayLink& link) override
    {
        links.push_back(&link);
        log.push_back("open " + link.name());
    }
    void onAttach(RelayLink&, std::uint64_t session,
                  const Attach& attach) override
    {
        log.push_back("attach " + std::to_string(session) + " " +
                      std::string(attach.user));
    }
    void onMessage(RelayLink& link, std::uint64_t session,
                   std::string_view message, bool binary,
                   MessageTicket ticket) override
    {
        log.push_back((binary ? "binary " : "text ") + std::to_string(session) +
                      " " + std::string(message));
        if (message == "throw") {
            throw std::runtime_error("thrown by the test");
        }
        if (message == "drop") {
            link.drop("dropped by the test");
        }
        tickets.push_back(std::move(ticket));
    }
    void onDetach(RelayLink&, std::uint64_t session,
                  std::uint16_t code) override
    {
        log.push_back("detach " + std::to_string(session) + " " +
                      std::to_string(code));
    }
    void onWritten(RelayLink&, std::uint64_t session) override
    {
        log.push_back("written " + std::to_string(session));
    }
    void onRequest(RelayLink& link, std::uint64_t request,
                   const Request& content) override
    {
        log.push_back("request " + std::string(content.path));
        link.respond(request, 200, "text/plain", content.body);
    }
    void onDrained(RelayLink&) override { log.emplace_back("drained"); }
    void onClosed(RelayLink& link) override
    {
        log.push_back("closed " + link.name());
        link.send(1, "nobody gets this");
        std::erase(links, &link);
    }

    bool has(const std::string& line) const
    {
        return std::find(log.begin(), log.end(), line) != log.end();
    }

    std::vector<std::string> log;
    std::vector<RelayLink*> links;
    std::deque<MessageTicket> tickets;
};

inline uv_loop_t loop;
inline Recorder* recorder;
inline RelayServer* server;
inline std::unique_ptr<chat::test::TempDir> directory;

inline void turn(int times = 1)
{
    for (int i = 0; i < times; ++i) {
        uv_run(&loop, UV_RUN_NOWAIT);
    }
}

// Turns the loop until the condition holds; fails the test after 5 seconds.
inline void turnUntil(const char* what, const std::function<bool()>& condition)
{
    std::uint64_t end = uv_hrtime() + 5000000000;

    while (!condition()) {
        ck_assert_msg(uv_hrtime() < end, "timed out: %s", what);
        turn();
        usleep(500);
    }
}

// The nginx side of a relay connection.
class Peer {
  public:
    explicit Peer(const std::string& path)
    {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::snprintf(address.sun_path, sizeof(address.sun_path), "%s",
                      path.c_str());
        fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
        connectTo(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    explicit Peer(int port)
    {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_port = htons(static_cast<std::uint16_t>(port));
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        fd_ = socket(AF_INET, SOCK_STREAM, 0);
        connectTo(reinterpret_cast<sockaddr*>(&address), sizeof(address));
    }
    ~Peer() { hangUp(); }
    Peer(const Peer&) = delete;
    Peer& operator=(const Peer&) = delete;

    void write(const std::string& bytes)
    {
        std::size_t done = 0;
        turnUntil("write", [&] {
            ssize_t sent = ::send(fd_, bytes.data() + done, bytes.size() - done,
                                  MSG_NOSIGNAL);
            done += sent > 0 ? static_cast<std::size_t>(sent) : 0;
            return done == bytes.size() || (sent < 0 && errno == EPIPE);
        });
    }
    void hello(std::uint32_t maxPayload = 1U << 20)
    {
        std::string out;
        appendHello(&out, {1, maxPayload, "nginx 1"});
        write(out);
    }

    // Reads what is there; false at the end of the stream.
    bool read()
    {
        char buffer[65536];
        for (;;) {
            ssize_t size = ::recv(fd_, buffer, sizeof(buffer), 0);
            if (size <= 0) {
                return size < 0 && errno == EAGAIN;
            }
            total += static_cast<std::size_t>(size);
            reader_.feed({buffer, static_cast<std::size_t>(size)});
            Frame frame;
            while (reader_.next(&frame) == Reader::Status::Frame) {
                lines.push_back(describe(frame));
            }
            ck_assert_str_eq(errorText(reader_.error()), "no error");
        }
    }
    void readUntil(const std::string& line)
    {
        turnUntil(line.c_str(), [&] {
            read();
            return std::find(lines.begin(), lines.end(), line) != lines.end();
        });
    }
    void readToEnd()
    {
        turnUntil("end of the stream", [&] { return !read(); });
    }
    void hangUp()
    {
        if (fd_ != -1) {
            close(fd_);
        }
        fd_ = -1;
    }

    std::vector<std::string> lines;
    std::size_t total = 0;

  private:
    static std::string describe(const Frame& frame)
    {
        std::string id = " " + std::to_string(frame.id);
        switch (frame.kind) {
        case Kind::Hello:
            return "hello";
        case Kind::Send:
            return "send" + id + " " + std::string(frame.payload.substr(0, 20));
        case Kind::Receipt:
            return "receipt" + id;
        case Kind::Close:
            return "close" + id + " " + std::to_string(frame.code);
        default:
            return std::to_string(static_cast<int>(frame.kind)) + id;
        }
    }

    void connectTo(const sockaddr* address, socklen_t size)
    {
        ck_assert_int_eq(connect(fd_, address, size), 0);
        fcntl(fd_, F_SETFL, O_NONBLOCK);
    }

    int fd_ = -1;
    Reader reader_{Side::Nginx, 1U << 20};
};

inline std::string socketPath()
{
    return *directory / "relay.sock";
}

inline ServerSettings defaults()
{
    ServerSettings settings;
    settings.listen = {"unix:" + socketPath()};
    return settings;
}

inline void start(const ServerSettings& settings)
{
    server = new RelayServer(&loop, recorder, settings);
    auto error = server->listen();
    ck_assert_msg(!error, "%s", error ? error->c_str() : "");
}

inline void setUp()
{
    directory = std::make_unique<chat::test::TempDir>();
    spdlog::set_level(spdlog::level::off);
    uv_loop_init(&loop);
    recorder = new Recorder;
    server = nullptr;
}

inline void tearDown()
{
    delete server;
    turn(3);
    ck_assert_int_eq(uv_loop_close(&loop), 0);
    delete recorder;
    directory.reset();
}

inline std::string messageFrame(const std::string& text)
{
    std::string out;
    appendMessage(&out, 1, text, false);
    return out;
}

}  // namespace relaytest
