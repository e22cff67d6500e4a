// Stores messages in inboxes, with scripts/store.lua.
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
// that is quicker than that is not seen by anybody.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_script.hpp"
#include "stores.hpp"

namespace chat {

class RedisStore {
  public:
    // ring: a message is stored for these recipients; sequence 0: not for
    // this one. Comes after the callback of the request.
    RedisStore(uv_loop_t* loop, RedisConnection& connection,
               const InboxOptions& options, std::function<void(Doorbell)> ring);

    void store(StoreRequest request, Inbox::StoreCallback callback);

    // Sends what has waited for the connection.
    void connectionReady();

    // Requests without an answer.
    [[nodiscard]] std::size_t waiting() const { return requests_; }

  private:
    // Recipients of one script call, as indexes; JSON numbers come first.
    struct Batch {
        std::vector<std::uint32_t> recipients;
        std::size_t numbers = 0;
    };

    struct Job {
        StoreRequest request;
        Inbox::StoreCallback callback;
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

    RedisConnection& connection_;
    const InboxOptions& options_;
    std::size_t batch_;
    std::function<void(Doorbell)> ring_;
    RedisScript script_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // while requests wait for Redis
    std::unordered_map<std::string, std::deque<JobPointer>> senders_;
    std::size_t requests_ = 0;  // in senders_
};

}  // namespace chat
