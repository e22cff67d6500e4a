// Puts chat-worker together on one libuv loop: relay server -> chat -> hub ->
// inbox and membership; and takes it apart again in the opposite order.

#pragma once

#include <uv.h>

#include <memory>
#include <string>
#include <vector>

#include "chat.hpp"
#include "config.hpp"
#include "hub.hpp"
#include "metrics.hpp"
#include "relay_server.hpp"
#include "stores.hpp"
#include "uv_timers.hpp"

namespace chat {

// What -t checks beyond parseConfig(): values that only the code behind them
// can judge. Throws ConfigError.
void checkConfig(const Config& config, const std::string& path);

class App {
  public:
    // The loop is run by run() only. path is read again at SIGHUP.
    App(uv_loop_t* loop, Config config, std::string path);
    ~App();
    App(const App&) = delete;
    App& operator=(const App&) = delete;

    // Serves until SIGTERM, SIGINT or SIGQUIT, and returns when what was in
    // flight is answered. Throws ConfigError if it cannot listen.
    void run();

  private:
    struct Signal {
        uv_signal_t handle;
        App* app;
    };

    void watch(int number);
    void onSignal(int number);
    void reload();
    void stop();
    void finish();
    [[nodiscard]] Metrics metrics() const;

    uv_loop_t* loop_;
    Config config_;
    std::string path_;
    UvTimers timers_;
    Counters counters_;
    std::unique_ptr<Inbox> inbox_;
    std::unique_ptr<MembershipCache> membership_;
    std::unique_ptr<Hub> hub_;
    std::unique_ptr<Chat> chat_;
    std::unique_ptr<relay::RelayServer> server_;
    std::vector<std::unique_ptr<Signal>> signals_;
    std::unique_ptr<Timer> finish_;
    bool stopping_ = false;
};

}  // namespace chat
