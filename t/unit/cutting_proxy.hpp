// Stands between a client and a Unix socket server and breaks the connection
// after a set number of bytes from the server. Runs in a thread of its own.

#pragma once

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace chat::test {

class CuttingProxy {
  public:
    static constexpr long kNever = -1;

    CuttingProxy(const std::string& path, std::string server)
        : server_(std::move(server)), listener_(open(path, true))
    {
        thread_ = std::thread([this] { run(); });
    }

    ~CuttingProxy()
    {
        stop_ = true;
        thread_.join();
        close(listener_);
    }
    CuttingProxy(const CuttingProxy&) = delete;
    CuttingProxy& operator=(const CuttingProxy&) = delete;

    // The connections that are open lose everything after `bytes` more bytes
    // in all, then break; later ones are whole.
    void cutAfter(long bytes) { left_ = bytes; }

  private:
    struct Pair {
        int client;
        int server;
    };

    static int open(const std::string& path, bool listening)
    {
        const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::strncpy(address.sun_path, path.c_str(),
                     sizeof(address.sun_path) - 1);
        const auto* at = reinterpret_cast<const sockaddr*>(&address);

        const bool good = listening ? bind(fd, at, sizeof(address)) == 0 &&
                                          listen(fd, 16) == 0
                                    : connect(fd, at, sizeof(address)) == 0;

        if (!good) {
            throw std::runtime_error(path);
        }

        return fd;
    }

    void run()
    {
        while (!stop_) {
            std::vector<pollfd> polls = {{listener_, POLLIN, 0}};

            for (const auto& pair : pairs_) {
                polls.push_back({pair.client, POLLIN, 0});
                polls.push_back({pair.server, POLLIN, 0});
            }

            poll(polls.data(), polls.size(), 5);

            for (std::size_t i = pairs_.size(); i-- > 0;) {
                const bool alive =
                    (polls[1 + 2 * i].revents == 0 || fromClient(pairs_[i])) &&
                    (polls[2 + 2 * i].revents == 0 || fromServer(pairs_[i]));

                if (!alive) {
                    drop(i);
                }
            }

            if (cutting_) {
                while (!pairs_.empty()) {
                    drop(pairs_.size() - 1);
                }

                cutting_ = false;
                left_ = kNever;
            }

            if (polls[0].revents != 0) {
                pairs_.push_back({accept(listener_, nullptr, nullptr),
                                  open(server_, false)});
            }
        }

        while (!pairs_.empty()) {
            drop(pairs_.size() - 1);
        }
    }

    bool fromClient(const Pair& pair)
    {
        const auto size = read(pair.client, buffer_.data(), buffer_.size());
        return size > 0 && sendAll(pair.server, static_cast<std::size_t>(size));
    }

    bool fromServer(const Pair& pair)
    {
        const auto got = read(pair.server, buffer_.data(), buffer_.size());

        if (got <= 0) {
            return false;
        }

        auto size = static_cast<long>(got);

        if (const long left = left_; left != kNever) {
            cutting_ = size >= left;
            size = std::min(size, left);
            long expected = left;
            left_.compare_exchange_strong(expected, left - size);
        }

        return sendAll(pair.client, static_cast<std::size_t>(size));
    }

    bool sendAll(int fd, std::size_t size) const
    {
        std::size_t sent = 0;

        while (sent < size) {
            const auto now =
                send(fd, buffer_.data() + sent, size - sent, MSG_NOSIGNAL);

            if (now < 0) {
                return false;
            }

            sent += static_cast<std::size_t>(now);
        }

        return true;
    }

    void drop(std::size_t index)
    {
        close(pairs_[index].client);
        close(pairs_[index].server);
        pairs_.erase(pairs_.begin() + static_cast<std::ptrdiff_t>(index));
    }

    std::string server_;
    int listener_;
    std::vector<Pair> pairs_;
    std::array<char, 65536> buffer_{};
    std::atomic<long> left_{kNever};
    std::atomic<bool> stop_{false};
    bool cutting_ = false;
    std::thread thread_;
};

}  // namespace chat::test
