// A worker behind chat_pass that sends every message back to its session, so
// that the nginx module can be tested and measured alone:
//
//     echo_worker unix:/tmp/echo.sock
//     echo_worker --broadcast 127.0.0.1:9000
//
// With --broadcast a message goes to every session of every nginx worker, as
// one FANOUT frame for each nginx worker. SIGTERM and SIGINT end it.

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <uv.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "shared/relay_fanout.hpp"
#include "worker/relay_server.hpp"

namespace {

using namespace chat::relay;

constexpr std::chrono::seconds kShutdownTimeout{2};

// The sessions of a recipient are counted with 16 bits.
constexpr std::size_t kMaxSessions = 65535;

class EchoHandler : public RelayHandler {
  public:
    void onOpen(RelayLink&) override {}
    void onAttach(RelayLink&, std::uint64_t, const Attach&) override {}

    // The ticket ends with this call.
    void onMessage(RelayLink& link, std::uint64_t session,
                   std::string_view message, bool binary,
                   MessageTicket) override
    {
        if (!link.send(session, message, binary ? kBinary : 0)) {
            link.close(session, 1009, "too long for the relay");
        }
    }

    void onDetach(RelayLink&, std::uint64_t, std::uint16_t) override {}
    void onWritten(RelayLink&, std::uint64_t) override {}

    void onRequest(RelayLink& link, std::uint64_t request,
                   const Request&) override
    {
        link.respond(request, 200, "text/plain", "");
    }

    void onDrained(RelayLink&) override {}
    void onClosed(RelayLink&) override {}
};

class BroadcastHandler final : public EchoHandler {
  public:
    void onAttach(RelayLink& link, std::uint64_t session,
                  const Attach&) override
    {
        std::vector<std::uint64_t>& sessions = sessions_[&link];
        places_[{link.serial(), session}] = sessions.size();
        sessions.push_back(session);
    }

    void onMessage(RelayLink&, std::uint64_t, std::string_view message,
                   bool binary, MessageTicket) override
    {
        for (auto& [link, sessions] : sessions_) {
            if (!link->congested() &&
                message.size() + kFanoutRoom + 8 * sessions.size() <=
                    link->maxPayload()) {
                fanOut(link, sessions, message, binary);
            }
        }
    }

    void onDetach(RelayLink& link, std::uint64_t session,
                  std::uint16_t) override
    {
        auto found = places_.find({link.serial(), session});

        if (found == places_.end()) {
            return;
        }

        // The last one takes its place.
        std::vector<std::uint64_t>& sessions = sessions_[&link];
        std::size_t place = found->second;
        places_.erase(found);

        if (place + 1 != sessions.size()) {
            sessions[place] = sessions.back();
            places_[{link.serial(), sessions[place]}] = place;
        }
        sessions.pop_back();
    }

    void onClosed(RelayLink& link) override
    {
        for (std::uint64_t session : sessions_[&link]) {
            places_.erase({link.serial(), session});
        }
        sessions_.erase(&link);
    }

  private:
    // More than the fixed parts of a FANOUT for any number of sessions here.
    static constexpr std::size_t kFanoutRoom = 4096;

    struct Key {
        std::uint64_t link;
        std::uint64_t session;
        bool operator==(const Key&) const = default;
    };
    struct KeyHash {
        std::size_t operator()(const Key& key) const
        {
            return std::hash<std::uint64_t>()(key.link * 0x9e3779b97f4a7c15 ^
                                              key.session);
        }
    };

    static void fanOut(RelayLink* link,
                       const std::vector<std::uint64_t>& sessions,
                       std::string_view message, bool binary)
    {
        FanoutBuilder fanout(link->output(), message, nullptr, 0,
                             binary ? kBinary : 0);

        for (std::size_t at = 0; at < sessions.size(); at += kMaxSessions) {
            fanout.add(0, sessions.data() + at,
                       std::min(kMaxSessions, sessions.size() - at), nullptr);
        }
        fanout.finish();
    }

    std::unordered_map<RelayLink*, std::vector<std::uint64_t>> sessions_;
    std::unordered_map<Key, std::size_t, KeyHash> places_;
};

struct Options {
    bool broadcast = false;
    bool verbose = false;
    ServerSettings server;
};

// Ends the server on a signal; a second signal is not waited for.
class SignalWatch {
  public:
    SignalWatch(uv_loop_t* loop, RelayServer* server) : server_(server)
    {
        for (std::size_t i = 0; i < 2; ++i) {
            uv_signal_init(loop, &handles_[i]);
            handles_[i].data = this;
            uv_signal_start(
                &handles_[i],
                [](uv_signal_t* handle, int) {
                    static_cast<SignalWatch*>(handle->data)->stop();
                },
                i == 0 ? SIGTERM : SIGINT);
        }
    }

  private:
    void stop()
    {
        for (uv_signal_t& handle : handles_) {
            uv_close(reinterpret_cast<uv_handle_t*>(&handle), nullptr);
        }
        server_->shutdown(kShutdownTimeout, [] {});
    }

    RelayServer* server_;
    uv_signal_t handles_[2]{};
};

int run(const Options& options)
{
    uv_loop_t* loop = uv_default_loop();
    EchoHandler echo;
    BroadcastHandler broadcast;
    RelayHandler* handler = &echo;

    if (options.broadcast) {
        handler = &broadcast;
    }

    RelayServer server(loop, handler, options.server);

    if (auto error = server.listen()) {
        spdlog::error("{}", *error);
        return EXIT_FAILURE;
    }

    SignalWatch signals(loop, &server);
    uv_run(loop, UV_RUN_DEFAULT);
    return EXIT_SUCCESS;
}

// Returns the exit status.
int serve(int argc, char** argv)
{
    Options options;
    CLI::App app("Sends every WebSocket message back to where it came from.");
    app.add_option("address", options.server.listen,
                   "unix:/path or host:port to listen on")
        ->required();
    app.add_flag("--broadcast", options.broadcast,
                 "send every message to all sessions");
    app.add_flag("--verbose", options.verbose, "log connections");
    CLI11_PARSE(app, argc, argv);

    spdlog::set_default_logger(spdlog::stderr_logger_st("echo"));
    spdlog::set_level(options.verbose ? spdlog::level::debug
                                      : spdlog::level::warn);

    // libuv writes to sockets whose other end may be gone.
    std::signal(SIGPIPE, SIG_IGN);

    std::random_device random;
    options.server.name = "echo_worker";
    options.server.instance =
        (static_cast<std::uint64_t>(random()) << 32) | random();
    options.server.maxPayload = kMaxPayload;
    return run(options);
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        return serve(argc, argv);

    } catch (const std::exception& error) {
        std::fprintf(stderr, "echo_worker: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
