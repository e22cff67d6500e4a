// chat-worker: keeps and routes the messages of the WebSockets in nginx.

#include <uv.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string>

#include "app.hpp"
#include "config.hpp"
#include "log.hpp"

#ifndef CHAT_VERSION
#define CHAT_VERSION "0.1.0"
#endif

namespace {

struct Options {
    std::string config;
    bool test = false;
};

int check(const Options& options)
{
    const auto config = chat::loadConfig(options.config);
    chat::checkConfig(config, options.config);
    std::cerr << "chat-worker: " << options.config << ": all is well\n";
    return EXIT_SUCCESS;
}

int serve(const Options& options)
{
    (void)std::signal(SIGPIPE, SIG_IGN);
    uv_loop_t loop;
    if (uv_loop_init(&loop) != 0) {
        std::cerr << "chat-worker: no event loop can be made\n";
        return EXIT_FAILURE;
    }
    {
        chat::App app(&loop, chat::loadConfig(options.config), options.config);
        app.run();
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    return EXIT_SUCCESS;
}

int run(int argc, char** argv)
{
    CLI::App cli("Keeps and routes the messages of the WebSockets in nginx.",
                 "chat-worker");
    Options options;
    cli.add_option("-c,--config", options.config, "configuration file (TOML)")
        ->required();
    cli.add_flag("-t,--test", options.test,
                 "check the configuration file and exit");
    cli.set_version_flag("--version", "chat-worker " CHAT_VERSION);
    CLI11_PARSE(cli, argc, argv);
    return options.test ? check(options) : serve(options);
}

}  // namespace

int main(int argc, char** argv)
{
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "chat-worker: %s\n", error.what());
        return EXIT_FAILURE;
    }
}
