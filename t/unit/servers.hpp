// Real servers for unit tests: each in a folder of its own under /tmp, on Unix
// sockets, gone with the object, and with the test program if that dies. They
// belong to the process that made them: Check forks for each test.

#pragma once

#include <fcntl.h>
#include <hiredis/hiredis.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "temp_dir.hpp"

namespace chat::test {

class Process {
  public:
    Process() = default;
    ~Process() { stop(SIGKILL); }
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    void start(const std::vector<std::string>& command, const std::string& log)
    {
        pid_ = fork();

        if (pid_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            const int out =
                open(log.c_str(), O_CREAT | O_WRONLY | O_APPEND, 0600);
            dup2(out, 1);
            dup2(out, 2);
            std::vector<char*> arguments;
            arguments.reserve(command.size() + 1);

            for (const auto& argument : command) {
                arguments.push_back(const_cast<char*>(argument.c_str()));
            }

            arguments.push_back(nullptr);
            execvp(arguments[0], arguments.data());
            _exit(127);
        }
    }

    // The exit status.
    int wait()
    {
        int status = -1;
        waitpid(std::exchange(pid_, 0), &status, 0);
        return status;
    }

    void signal(int number) const { kill(pid_, number); }

    // Waits for the end.
    void stop(int number)
    {
        if (pid_ > 0 && owner_ == getpid()) {
            kill(pid_, number);
            kill(pid_, SIGCONT);
            waitpid(pid_, nullptr, 0);
            pid_ = 0;
        }
    }

  private:
    pid_t pid_ = 0;
    pid_t owner_ = getpid();
};

// Tries until it holds, for ten seconds.
template <typename Condition>
bool eventually(Condition&& condition)
{
    for (int i = 0; i < 1000; ++i) {
        if (condition()) {
            return true;
        }

        std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }

    return false;
}

class RedisServer {
  public:
    RedisServer() { start(); }

    void start()
    {
        process_.start({"redis-server", "--port", "0", "--unixsocket", socket(),
                        "--dir", dir_.path(), "--save", "", "--appendonly",
                        "yes", "--appendfsync", "no"},
                       dir_ / "log");

        if (!eventually([this] { return connect(); })) {
            throw std::runtime_error("redis-server does not start");
        }
    }

    void stop(int signal)
    {
        client_.reset();
        process_.stop(signal);
        std::filesystem::remove(socket());
    }

    void pause() const { process_.signal(SIGSTOP); }
    void resume() const { process_.signal(SIGCONT); }

    [[nodiscard]] std::string socket() const { return dir_ / "redis.sock"; }

    // The reply as text; elements of an array one after another.
    std::string ask(const std::vector<std::string>& command)
    {
        std::vector<const char*> values;
        std::vector<std::size_t> sizes;

        for (const auto& argument : command) {
            values.push_back(argument.data());
            sizes.push_back(argument.size());
        }

        std::unique_ptr<redisReply, void (*)(void*)> reply(
            static_cast<redisReply*>(
                redisCommandArgv(client_.get(), static_cast<int>(values.size()),
                                 values.data(), sizes.data())),
            freeReplyObject);

        return reply ? textOf(*reply) : "no reply";
    }

    long long number(const std::vector<std::string>& command)
    {
        return std::atoll(ask(command).c_str());
    }

  private:
    bool connect()
    {
        client_.reset(redisConnectUnix(socket().c_str()));
        return client_ && client_->err == 0 && ask({"PING"}) == "PONG";
    }

    static std::string textOf(const redisReply& reply)
    {
        std::string text;

        switch (reply.type) {
        case REDIS_REPLY_INTEGER:
            return std::to_string(reply.integer);

        case REDIS_REPLY_ARRAY:
            for (std::size_t i = 0; i < reply.elements; ++i) {
                text += (i == 0 ? "" : " ") + textOf(*reply.element[i]);
            }

            return text;

        case REDIS_REPLY_NIL:
            return "nil";

        default:
            return {reply.str, static_cast<std::size_t>(reply.len)};
        }
    }

    struct Free {
        void operator()(redisContext* context) const { redisFree(context); }
    };

    TempDir dir_;
    Process process_;
    std::unique_ptr<redisContext, Free> client_;
};

}  // namespace chat::test
