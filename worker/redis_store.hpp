// Storing messages in Redis: in the order of each chat, a group at a time.
//
// A chat has one group on its way; what comes meanwhile waits and goes as the
// next group, with one script call per batch of recipients. A message to an
// idle chat goes at once. A group has one list of recipients, and never the
// same send twice.
//
// A batch is stored as a whole or not at all, and remembered for each message
// together with what was written, so that a send that is repeated after a
// failure continues where the first attempt ended. Which recipient belongs to
// which batch follows from a hash of its name and the number of batches.
//
// A request may wait for a lost Redis until its time-out, and one that was on
// its way when the connection broke is made again.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_script.hpp"
#include "stores.hpp"

namespace chat {

class RedisStore {
  public:
    struct Events {
        std::function<bool()> listening;  // is a doorbell of any use
        std::function<void(const Doorbell&)> doorbell;
    };

    // options and connection must outlive this.
    RedisStore(uv_loop_t* loop, RedisConnection& connection,
               const InboxOptions& options, Events events);

    void store(StoreRequest request, Inbox::StoreCallback callback);

    // To be called for each new connection: sends what has waited for it.
    void connectionReady();

    // Requests without an answer.
    [[nodiscard]] std::size_t waiting() const { return requests_; }

  private:
    struct Job {
        StoreRequest request;
        Inbox::StoreCallback callback;
        std::string marker;
        std::uint64_t deadline;  // ms: until then it is made again
        std::size_t split = 0;   // batches of an earlier attempt, 0: unknown
        bool told = false;       // its marker says so
        bool alone = false;      // goes in a group of its own
        std::vector<Doorbell> bells;  // of what a shared attempt has stored
    };
    using JobPointer = std::unique_ptr<Job>;

    // Recipients of one script call, as indexes; JSON numbers come first.
    struct Batch {
        std::vector<std::uint32_t> recipients;
        std::size_t numbers = 0;
        std::uint64_t stored = 0;  // bit k: message k was stored by this call
    };

    struct Group {
        std::string chat;
        std::vector<JobPointer> jobs;
        std::vector<Batch> batches;
        // By recipient: the number of the first message that was stored.
        std::vector<std::uint64_t> sequences;
        std::size_t sent = 0;  // batches
        std::size_t unanswered = 0;
        bool sending = false;
        bool disconnected = false;
        std::size_t splitJob = 0;  // has been split before, into
        std::size_t split = 0;     // so many; 0: none has
        StoreResult result{StoreStatus::Stored, {}};

        [[nodiscard]] const std::vector<Member>& recipients() const
        {
            return jobs.front()->request.recipients->list;
        }
        [[nodiscard]] bool stopped() const
        {
            return split != 0 || result.status != StoreStatus::Stored;
        }
    };
    using GroupPointer = std::shared_ptr<Group>;

    struct Queue {
        std::deque<JobPointer> waiting;
        bool busy = false;    // a group is on its way
        bool parked = false;  // in parked_
    };

    void start(const std::string& chat);
    std::vector<JobPointer> takeGroup(Queue& queue);
    void split(Group& group) const;
    void send(const GroupPointer& group);
    void sendBatch(const GroupPointer& group, std::size_t index);
    void fillBatch(RedisCommand& command, const Group& group,
                   std::size_t index) const;
    void onBatch(Group& group, std::size_t index, const redisReply* reply,
                 const std::string& error);
    void complain(const std::string& error);
    void finish(Group& group);
    void putBack(Group& group, Queue& queue) const;
    static void keepBell(Group& group, std::size_t k);
    void answer(Group& group);
    void ring(const Group& group);
    void expire();

    RedisConnection& connection_;
    const InboxOptions& options_;
    std::size_t batch_;  // most recipients of one call
    Events events_;
    RedisScript script_;
    UvTimers timers_;
    std::unique_ptr<Timer> timer_;  // while requests wait for Redis
    std::unordered_map<std::string, Queue> chats_;
    // What is on its way. The same send to another chat waits for it: whether
    // it is stored already must not change under way.
    std::unordered_set<std::string_view> markers_;
    std::vector<std::string> parked_;  // chats whose next one waits for that
    std::uint64_t quietUntil_ = 0;     // ms: the next line in the log
    std::size_t requests_ = 0;         // in chats_ and their groups
};

}  // namespace chat
