// Storing messages in Redis: in the order of each chat, a group at a time.
//
// A chat has one group on its way; what comes meanwhile waits and goes as the
// next group. A message to an idle chat goes at once. A large chat that is not
// idle rests between two groups, for as long as the last one took at most, or
// until as many wait as were there: whoever was answered may have the next
// message ready, and a message in company costs less than half of one alone.
// A group has one list of recipients, and never the same send twice.
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
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "inbox.hpp"
#include "redis_connection.hpp"
#include "redis_store_calls.hpp"
#include "store_group.hpp"
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

    // So far.
    [[nodiscard]] std::uint64_t groups() const { return groups_; }
    [[nodiscard]] std::uint64_t calls() const { return calls_.calls(); }
    [[nodiscard]] std::uint64_t rests() const { return rests_; }

  private:
    struct Queue {
        std::deque<StoreJobPointer> waiting;
        bool busy = false;             // a group is on its way
        bool parked = false;           // in parked_
        std::uint64_t restsUntil = 0;  // ms, or until so many wait:
        std::size_t expected = 0;
    };

    void start(const std::string& chat);
    bool rests(const Queue& queue) const;
    std::vector<StoreJobPointer> takeGroup(Queue& queue);
    void split(StoreGroup& group) const;
    void send(const StoreGroupPointer& group);
    void finish(StoreGroup& group);
    void rest(const StoreGroup& group, Queue& queue);
    void endRests();
    void putBack(StoreGroup& group, Queue& queue) const;
    static void keepBell(StoreGroup& group, std::size_t k);
    void answer(StoreGroup& group);
    void ring(const StoreGroup& group);
    void expire();

    RedisConnection& connection_;
    const InboxOptions& options_;
    std::size_t batch_;  // most recipients of one call
    Events events_;
    UvTimers timers_;
    RedisStoreCalls calls_;
    std::unique_ptr<Timer> timer_;  // while requests wait for Redis
    std::unordered_map<std::string, Queue> chats_;
    // What is on its way. The same send to another chat waits for it: whether
    // it is stored already must not change under way.
    std::unordered_set<std::string_view> markers_;
    std::vector<std::string> parked_;  // chats whose next one waits for that
    std::multimap<std::uint64_t, std::string> resting_;  // chats, by the end
    std::unique_ptr<Timer> restTimer_;
    std::uint64_t groups_ = 0;
    std::uint64_t rests_ = 0;
    std::size_t requests_ = 0;  // in chats_ and their groups
};

}  // namespace chat
