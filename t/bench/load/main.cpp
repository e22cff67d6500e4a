// The load client of `make bench`; by hand: load --by-hand --help.
#include <arpa/inet.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <sstream>

#include "t/bench/load/scenario.hpp"

namespace bench {

namespace {

Phase parsePhase(const std::string& text)
{
    std::istringstream in(text);
    std::string kind, value, seconds;
    Phase phase;

    std::getline(in, phase.name, ':');
    std::getline(in, kind, ':');
    std::getline(in, value, ':');
    std::getline(in, seconds, ':');
    if (kind == "rate") {
        phase.rate = std::stod(value);
    } else if (kind == "window") {
        phase.window = static_cast<uint32_t>(std::stoul(value));
    } else {
        throw CLI::ValidationError("--phase", "NAME:rate|window:VALUE:SECONDS");
    }
    phase.seconds = std::stod(seconds);
    return phase;
}

void addOptions(CLI::App* app, Options* o, std::vector<std::string>* phases)
{
    app->add_option("--protocol", o->protocol,
                    "chat, plain, socketio, nchan or mqtt");
    app->add_option("--scenario", o->scenario,
                    "traffic, idle, heartbeat, handshake or replay");
    app->add_option("--host", o->host, "IPv4 address of the server");
    app->add_option("--port", o->port);
    app->add_option("--path", o->path, "path, to which a group may be added");
    app->add_flag("--tls", o->tls);
    app->add_flag("--deflate", o->deflate, "offer permessage-deflate");
    app->add_option("--members", o->members, "connections");
    app->add_option("--group", o->group, "members of one chat");
    app->add_option("--senders", o->senders, "of each chat");
    app->add_option("--offline-every", o->offlineEvery,
                    "each n-th member stays away");
    app->add_option("--idle", o->idle, "further connections");
    app->add_option("--first-chat", o->firstChat);
    app->add_option("--first-user", o->firstUser);
    app->add_option("--size", o->size, "bytes of content");
    app->add_option("--ack-window", o->ackWindow, "ms");
    app->add_option("--total", o->total, "handshakes");
    app->add_option("--pending", o->pending, "messages before a replay");
    app->add_option("--concurrency", o->concurrency,
                    "connections being opened at a time");
    app->add_option("--patience", o->patience, "s to wait for what is missing");
    app->add_option("--phase", *phases, "NAME:rate|window:VALUE:SECONDS");
    app->add_flag("--by-hand", o->byHand, "do not wait for a runner");
}

void raiseDescriptorLimit(const Options& options)
{
    rlimit limit = {};
    rlim_t wanted = options.members + options.idle + 1000;

    getrlimit(RLIMIT_NOFILE, &limit);
    rlimit raised = {std::max(limit.rlim_cur, wanted),
                     std::max(limit.rlim_max, wanted)};
    if (limit.rlim_cur >= wanted || setrlimit(RLIMIT_NOFILE, &raised) == 0) {
        return;
    }
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted) {
        throw std::runtime_error(
            "needs " + std::to_string(wanted) + " file descriptors, may have " +
            std::to_string(limit.rlim_cur) + " (ulimit -Hn)");
    }
}

Target makeTarget(const Options& options)
{
    Target target;

    target.address.sin_family = AF_INET;
    target.address.sin_port = htons(options.port);
    if (inet_pton(AF_INET, options.host.c_str(), &target.address.sin_addr) !=
        1) {
        throw std::runtime_error("not an IPv4 address: " + options.host);
    }
    target.host = options.host + ":" + std::to_string(options.port);
    target.path = options.path;
    target.deflate = options.deflate;
    target.run =
        std::to_string(getpid()) + std::to_string(now() / kMillisecond);
    if (options.tls) {
        target.tls = SSL_CTX_new(TLS_client_method());
        SSL_CTX_set_session_cache_mode(target.tls, SSL_SESS_CACHE_OFF);
        SSL_CTX_set_mode(target.tls, SSL_MODE_ENABLE_PARTIAL_WRITE |
                                         SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    }
    return target;
}

int run(int argc, char** argv)
{
    CLI::App app("Load client for chat servers");
    Options options;
    std::vector<std::string> phases;

    addOptions(&app, &options, &phases);
    try {
        app.parse(argc, argv);
        for (const std::string& phase : phases) {
            options.phases.push_back(parsePhase(phase));
        }
    } catch (const CLI::ParseError& e) {
        return app.exit(e);
    }

    raiseDescriptorLimit(options);
    prctl(PR_SET_TIMERSLACK, 1000);
    Target target = makeTarget(options);
    auto scenario = makeScenario(options, target);
    if (scenario == nullptr || options.group == 0) {
        throw std::runtime_error("no such scenario");
    }
    scenario->run();
    return scenario->clean() ? 0 : 1;
}

}  // namespace

}  // namespace bench

int main(int argc, char** argv)
{
    try {
        return bench::run(argc, argv);
    } catch (const std::exception& e) {
        fprintf(stderr, "load: %s\n", e.what());
        return 2;
    }
}
