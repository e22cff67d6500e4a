// chat-worker.toml: every setting with its default and bounds. The file is
// read strictly: an unknown key, a wrong type or a value out of bounds is an
// error that names file and line. docs/worker-settings.md lists the same.

#pragma once

#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "log.hpp"

namespace chat {

struct RelaySettings {
    std::vector<std::string> listen;  // "unix:/path", "host:port"
    std::uint32_t socketMode = 0660;
    std::uint64_t maxQueue = 64U << 20;    // bytes, toward one nginx worker
    std::uint64_t maxMessage = 16U << 20;  // bytes, of one frame from nginx
    std::uint32_t maxSessions = 1'000'000;
};

struct RedisSettings {
    std::string url = "redis://127.0.0.1:6379/0";
    std::chrono::milliseconds timeout{2000};
    std::string inboxPrefix = "WaitSendNews_";
    std::string keyPrefix = "chat:";
    std::chrono::milliseconds inboxTtl = std::chrono::hours(24 * 90);
    std::chrono::milliseconds dedupeWindow = std::chrono::minutes(15);
    std::uint32_t maxInboxMessages = 100'000;  // per user; 0 = no limit
    std::uint64_t maxInboxBytes = 0;           // per user; 0 = no limit
    std::uint32_t batch = 1000;                // recipients per script call
};

struct MembershipSettings {
    std::string url;  // "sqlite:/path", "postgresql://..."
    std::string query =
        "SELECT user_id FROM chat_chatlist_users WHERE chat_id = $1";
    std::chrono::milliseconds timeout{2000};
    std::chrono::milliseconds cacheTtl{60000};
    std::uint32_t cacheSize = 10'000;  // chats
    std::string notifyChannel = "chat_membership";
};

struct NodeSettings {
    std::string id;  // empty in the file: made from host name and chance
    std::chrono::milliseconds lease{10000};
};

struct ChatSettings {
    std::chrono::milliseconds initInterval{2000};
    std::uint32_t maxPending = 1024;        // sends in flight per session
    std::uint32_t replayMessages = 100;     // per page
    std::uint64_t replayBytes = 64U << 10;  // per page
    std::uint32_t replayConcurrency = 64;   // inbox reads at the same time
    std::chrono::milliseconds gapWait{100};
    std::uint32_t maxHeldMessages = 256;     // per user
    std::uint64_t maxHeldBytes = 64U << 20;  // per process
};

struct LogSettings {
    log::Level level = log::Level::Info;
};

struct Config {
    RelaySettings relay;
    RedisSettings redis;
    MembershipSettings membership;
    NodeSettings node;
    ChatSettings chat;
    LogSettings log;
};

// what(): "chat-worker.toml:12: unknown setting \"redis.urll\""
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

// Both throw ConfigError. `name` stands for the text in error messages.
[[nodiscard]] Config loadConfig(const std::string& path);
[[nodiscard]] Config parseConfig(const std::string& text,
                                 const std::string& name);

// Takes over from `fresh` what may change while the process runs (log, chat,
// membership cache) and returns the names of changed settings that need a
// restart, which stay as they were.
[[nodiscard]] std::vector<std::string> reloadConfig(Config& current,
                                                    const Config& fresh);

}  // namespace chat
