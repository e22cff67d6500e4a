// Options and factories of the stores: inboxes in Redis, membership in SQLite
// or PostgreSQL. main fills the options from the configuration; nothing else
// needs to know which library stands behind an interface.

#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "inbox.hpp"
#include "membership.hpp"
#include "membership_cache.hpp"

namespace chat {

struct RedisOptions {
    std::string path;  // Unix socket; host and port count when it is empty
    std::string host = "127.0.0.1";
    std::uint16_t port = 6379;
    std::string user;  // empty: AUTH with the password alone
    std::string password;
    int database = 0;
    std::chrono::milliseconds timeout{2000};  // connect, and each command
};

// "unix:///path/redis.sock[?db=n]", "unix://user:password@/path" or
// "redis://[[user]:password@]host[:port][/db]", %XX allowed in user, password
// and path. Keeps options.timeout. nullopt: error says what is wrong.
std::optional<RedisOptions> parseRedisUrl(std::string_view url,
                                          std::string& error);

struct NodeOptions {
    std::string id;  // unique among all chat-worker processes of one Redis
    std::chrono::milliseconds lease{10000};
};

struct InboxOptions {
    RedisOptions redis;
    NodeOptions node;
    std::string inboxPrefix = "WaitSendNews_";
    std::string keyPrefix = "chat:";
    std::chrono::milliseconds inboxTtl = std::chrono::hours(24 * 90);
    std::chrono::milliseconds dedupeWindow = std::chrono::minutes(15);
    std::uint64_t maxInboxMessages = 100000;  // 0: no limit
    std::uint64_t maxInboxBytes = 0;          // 0: no limit
    std::size_t batch = 1000;                 // recipients per script call
};

// Larger batches are cut to this: Redis serves nobody else meanwhile (some 3 us
// for each recipient).
inline constexpr std::size_t kMaxBatch = 2000;

// Connects in the background and goes on trying for ever. Destroy it before
// the loop ends and let the loop run once more, so that handles are closed;
// callbacks of what was in flight are then not called any more.
std::unique_ptr<Inbox> makeInbox(uv_loop_t* loop, const InboxOptions& options);

struct MembershipOptions {
    std::string url;  // sqlite:/path/chat.db or postgresql://...
    std::string query =
        "SELECT user_id FROM chat_chatlist_users WHERE chat_id = $1";
    std::chrono::milliseconds cacheTtl = std::chrono::seconds(60);
    std::size_t cacheSize = 10000;                  // chats
    std::string notifyChannel = "chat_membership";  // empty: no LISTEN
    std::chrono::milliseconds timeout{2000};        // connect, and each look-up
};

// Empty: the URL is of a kind that makeMembership() knows. Otherwise the
// reason, for `chat-worker -t`. Nothing is opened.
std::string checkMembershipUrl(std::string_view url);

// The back end that the URL names, with the cache in front of it. Throws
// std::invalid_argument when checkMembershipUrl() has something to say. Same
// rules of lifetime as for makeInbox().
std::unique_ptr<MembershipCache> makeMembership(
    uv_loop_t* loop, const MembershipOptions& options);

}  // namespace chat
