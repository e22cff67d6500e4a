// Inboxes in Redis (6.2 or later). docs/redis-keys.md describes every key.
//
// Storing is one script call per batch of recipients: all-or-nothing for the
// batch, and remembered together with what it wrote, so that a send that is
// repeated after a failure continues where the first attempt ended. Which
// recipient belongs to which batch follows from a hash of its name.
//
// A sender has one request on its way at a time; the next one is sent before
// the answer of the one before is handed on, so Redis does not wait for us.
//
// A request may wait for a lost Redis until its time-out, and one that was on
// its way when the connection broke is made again: a restart or a failover
// that is quicker than that is not seen by anybody. Everything else fails at
// once while Redis is away.

#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_node.hpp"
#include "redis_presence.hpp"
#include "redis_script.hpp"
#include "sorted_keys.hpp"
#include "stores.hpp"

namespace chat {

class InboxRedis : public Inbox {
  public:
    InboxRedis(uv_loop_t* loop, const InboxOptions& options);
    ~InboxRedis() override;
    InboxRedis(const InboxRedis&) = delete;
    InboxRedis& operator=(const InboxRedis&) = delete;

    void store(StoreRequest request, StoreCallback callback) override;
    void acknowledge(std::string_view user, std::vector<std::string> keys,
                     AckCallback callback) override;
    void list(std::string_view user, std::uint64_t after,
              SnapshotCallback callback) override;
    void read(std::string_view user, std::vector<std::string> keys,
              ReadCallback callback) override;
    void arrive(std::string_view user) override { presence_.arrive(user); }
    void leave(std::string_view user) override { presence_.leave(user); }
    void onDoorbell(DoorbellHandler handler) override;
    void onResync(ResyncHandler handler) override;
    [[nodiscard]] bool available() const override
    {
        return connection_.ready();
    }

    [[nodiscard]] InboxStats stats() const override;

  private:
    // Recipients of one script call, as indexes; JSON numbers come first.
    struct Batch {
        std::vector<std::uint32_t> recipients;
        std::size_t numbers = 0;
    };

    struct Job {
        StoreRequest request;
        StoreCallback callback;
        std::vector<Batch> batches;
        std::vector<std::uint64_t> sequences;  // per recipient, 0: not stored
        std::size_t unanswered = 0;
        std::size_t storedBefore = 0;  // batches
        std::size_t split = 0;  // of an earlier attempt, 0: follow that one
        unsigned attempts = 0;
        std::uint64_t deadline = 0;  // ms: until then it is made again
        bool disconnected = false;
        StoreResult result{StoreStatus::Stored, {}};
    };
    using JobPointer = std::shared_ptr<Job>;

    struct Listing;

    void begin(const JobPointer& job);
    void split(Job& job, std::size_t batches) const;
    void sendBatch(const JobPointer& job, std::size_t index);
    void fillBatch(RedisCommand& command, const Job& job,
                   std::size_t index) const;
    void onBatch(const JobPointer& job, std::size_t index,
                 const redisReply* reply, const std::string& error);
    void finish(const JobPointer& job);
    void nextOf(const std::string& sender);
    void expire();
    void ring(Job& job);

    void onListed(const std::shared_ptr<Listing>& listing,
                  const redisReply* reply, const std::string& error);
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
    RedisScript store_;
    RedisScript list_;
    RedisScript scan_;
    RedisCommand command_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // while requests wait for Redis
    std::unordered_map<std::string, std::deque<JobPointer>> senders_;
    std::size_t requests_ = 0;  // in senders_
};

// What a client may read in a 300 about this error.
std::string plainReason(const std::string& error);

}  // namespace chat
