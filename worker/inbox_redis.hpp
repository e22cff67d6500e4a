// Inboxes in Redis (6.2 or later). docs/redis-keys.md describes every key.
// Storing is in redis_store, presence in redis_presence, other nodes in
// redis_node; here they are put together, and inboxes are read.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_node.hpp"
#include "redis_presence.hpp"
#include "redis_script.hpp"
#include "redis_store.hpp"
#include "stores.hpp"
#include "uv_timers.hpp"

namespace chat {

class InboxRedis : public Inbox {
  public:
    InboxRedis(uv_loop_t* loop, const InboxOptions& options);
    ~InboxRedis() override;
    InboxRedis(const InboxRedis&) = delete;
    InboxRedis& operator=(const InboxRedis&) = delete;

    void store(StoreRequest request, StoreCallback callback) override;
    void acknowledge(std::string_view user,
                     const std::vector<std::string>& keys,
                     AckCallback callback) override;
    void list(std::string_view user, std::uint64_t after,
              SnapshotCallback callback) override;
    void read(std::string_view user, std::vector<std::string> keys,
              ReadCallback callback) override;
    void arrive(std::string_view user) override;
    void leave(std::string_view user) override;
    void onDoorbell(DoorbellHandler handler) override;
    void onResync(ResyncHandler handler) override;
    [[nodiscard]] bool available() const override
    {
        return connection_.ready();
    }

    [[nodiscard]] InboxStats stats() const override;

  private:
    struct Listing;
    using Listings = std::vector<std::shared_ptr<Listing>>;

    void endTurnSoon();
    void endTurn();
    void listTogether(Listings part);
    void onListed(const Listings& listings, const redisReply* reply,
                  const std::string& error);
    void onListed(const std::shared_ptr<Listing>& listing,
                  const redisReply* reply);
    void scan(const std::shared_ptr<Listing>& listing,
              const std::string& cursor);

    void onReady();
    void onLost();

    InboxOptions options_;
    DoorbellHandler doorbell_;
    ResyncHandler resync_;
    RedisConnection connection_;
    RedisPresence presence_;
    RedisNode node_;
    RedisStore store_;
    RedisScript list_;
    RedisScript scan_;
    RedisCommand command_;
    Listings listings_;            // asked for since the last endTurn()
    std::uint64_t turnEnded_ = 0;  // ms
    UvTimers timers_;
    std::unique_ptr<Timer> turnEnd_;
};

}  // namespace chat
