// What is stored together: some messages of one chat, for all recipients in
// batches. redis_store makes the groups, redis_store_calls carries them out.

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "inbox.hpp"

namespace chat {

struct StoreJob {
    StoreRequest request;
    Inbox::StoreCallback callback;
    std::string marker;           // its key in Redis
    std::uint64_t deadline;       // ms: until then it is made again
    std::size_t split = 0;        // batches of an earlier attempt, 0: unknown
    bool told = false;            // its marker says so
    bool alone = false;           // goes in a group of its own
    std::vector<Doorbell> bells;  // of what a shared attempt has stored
};
using StoreJobPointer = std::unique_ptr<StoreJob>;

// Recipients that are stored as a whole or not at all, as indexes; JSON
// numbers come first.
struct StoreBatch {
    std::vector<std::uint32_t> recipients;
    std::size_t numbers = 0;
    std::uint64_t stored = 0;  // bit k: message k was stored by this attempt
};

struct StoreGroup {
    static constexpr std::size_t kMaxJobs = 64;  // bits of StoreBatch::stored

    std::string chat;
    std::vector<StoreJobPointer> jobs;
    std::vector<StoreBatch> batches;
    // By recipient: the number of the first message that was stored.
    std::vector<std::uint64_t> sequences;
    std::uint64_t started = 0;  // ms
    std::size_t sent = 0;       // batches
    std::uint64_t call = 0;     // that the last of them is in
    std::size_t unanswered = 0;
    bool disconnected = false;
    std::size_t splitJob = 0;  // has been split before, into
    std::size_t split = 0;     // so many; 0: none has
    StoreResult result{StoreStatus::Stored, {}};

    [[nodiscard]] const std::vector<Member>& recipients() const
    {
        return jobs.front()->request.recipients->list;
    }

    // Bytes of the news for one recipient, about.
    [[nodiscard]] std::size_t bytes() const
    {
        std::size_t sum = 0;

        for (const auto& job : jobs) {
            sum += job->request.news->size();
        }

        return sum;
    }

    [[nodiscard]] bool stopped() const
    {
        return split != 0 || result.status != StoreStatus::Stored;
    }
};
using StoreGroupPointer = std::shared_ptr<StoreGroup>;

}  // namespace chat
