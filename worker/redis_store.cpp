#include "redis_store.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "log.hpp"
#include "redis_reply.hpp"

namespace chat {

namespace {

// While Redis is away, how often is looked for requests whose time is over.
constexpr std::uint64_t kExpireTick = 50;  // ms

// Requests that wait for Redis or for the one before: more are refused.
constexpr std::size_t kMaxRequests = 100'000;

constexpr char kStore[] =
#include "worker/scripts/store.lua.inc"
    ;
// FNV-1a: the same in every process and version, unlike std::hash.
std::uint32_t hashOf(std::string_view text)
{
    std::uint32_t hash = 2166136261U;

    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
    }

    return hash;
}

}  // namespace

RedisStore::RedisStore(uv_loop_t* loop, RedisConnection& connection,
                       const InboxOptions& options,
                       std::function<void(Doorbell)> ring)
    : connection_(connection),
      options_(options),
      batch_(std::clamp<std::size_t>(options.batch, 1, kMaxBatch)),
      ring_(std::move(ring)),
      script_(kStore),
      timers_(loop),
      timer_(timers_.create([this] { expire(); }))
{
}

void RedisStore::connectionReady()
{
    script_.load(connection_);

    std::vector<JobPointer> waiting;

    for (const auto& [sender, queue] : senders_) {
        waiting.push_back(queue.front());
    }

    for (const auto& job : waiting) {
        begin(job);
    }
}

void RedisStore::store(StoreRequest request, Inbox::StoreCallback callback)
{
    if (requests_ >= kMaxRequests) {
        callback({StoreStatus::Failed, plainReason("BUSY")});
        return;
    }

    auto job = std::make_shared<Job>();
    job->request = std::move(request);
    job->callback = std::move(callback);
    job->deadline = timers_.now() +
                    static_cast<std::uint64_t>(options_.redis.timeout.count());

    ++requests_;
    auto& queue = senders_[job->request.sender];
    queue.push_back(job);

    if (queue.size() == 1) {
        begin(job);
    }
}

void RedisStore::begin(const JobPointer& job)
{
    if (!connection_.ready()) {
        if (!timer_->running()) {
            timer_->start(kExpireTick);
        }

        return;  // until onReady() or expire()
    }

    const auto recipients = job->request.recipients->list.size();
    const auto needed = (recipients + batch_ - 1) / batch_;

    split(*job,
          job->split != 0 ? job->split : std::max<std::size_t>(needed, 1));
    job->sequences.assign(recipients, 0);
    job->result = {StoreStatus::Stored, {}};
    job->storedBefore = 0;
    job->split = 0;
    job->disconnected = false;
    ++job->attempts;
    job->unanswered = job->batches.size();

    // The last answer may end the job within the loop.
    const auto batches = job->batches.size();

    for (std::size_t i = 0; i < batches; ++i) {
        sendBatch(job, i);
    }
}

void RedisStore::split(Job& job, std::size_t batches) const
{
    const auto& list = job.request.recipients->list;
    job.batches.assign(batches, {});

    const auto add = [&](bool numbers) {
        for (std::uint32_t i = 0; i < list.size(); ++i) {
            if (list[i].isNumber == numbers) {
                const auto index =
                    batches == 1 ? 0 : hashOf(list[i].user) % batches;
                auto& batch = job.batches[index];
                batch.recipients.push_back(i);
                batch.numbers += numbers ? 1 : 0;
            }
        }
    };

    add(true);
    add(false);
}

void RedisStore::sendBatch(const JobPointer& job, std::size_t index)
{
    script_.run(
        connection_, 16 + job->batches[index].recipients.size(),
        [this, job, index](RedisCommand& command) {
            fillBatch(command, *job, index);
        },
        [this, job, index](const redisReply* reply, const std::string& error) {
            onBatch(job, index, reply, error);
        });
}

void RedisStore::fillBatch(RedisCommand& command, const Job& job,
                           std::size_t index) const
{
    const auto& request = job.request;
    const auto& batch = job.batches[index];
    std::string marker = options_.keyPrefix + "sent:";
    marker += request.sender;
    marker += ':';
    marker += request.sendId;

    command.add(2)
        .add(marker)
        .add(options_.keyPrefix, "nodes")
        .add(options_.inboxPrefix)
        .add(options_.keyPrefix)
        .add(options_.node.id)
        .add(options_.dedupeWindow.count())
        .add(options_.inboxTtl.count())
        .add(options_.maxInboxMessages)
        .add(options_.maxInboxBytes)
        .add(index + 1)
        .add(job.batches.size())
        .add(request.news->messageId)
        .add(request.news->before)
        .add(request.news->after)
        .add(batch.numbers);

    for (const auto recipient : batch.recipients) {
        command.add(request.recipients->list[recipient].user);
    }
}

void RedisStore::onBatch(const JobPointer& job, std::size_t index,
                         const redisReply* reply, const std::string& error)
{
    const auto text = reply == nullptr ? std::string_view() : textOf(reply);

    if (reply == nullptr) {
        job->disconnected = error.starts_with("CONNECTION");

        if (!job->disconnected) {
            log::warn("redis: a message was not stored: {}", error);
        }

        job->result = {StoreStatus::Failed, plainReason(error)};

    } else if (text.starts_with('D')) {
        ++job->storedBefore;

    } else if (text.starts_with('P')) {
        std::from_chars(text.data() + 1, text.data() + text.size(), job->split);

    } else if (text.starts_with('F')) {
        if (job->result.status != StoreStatus::Failed) {
            job->result = {
                StoreStatus::Full,
                "the inbox of " + std::string(text.substr(1)) + " is full"};
        }

    } else {
        const char* next = text.data();
        const char* end = next + text.size();

        for (const auto recipient : job->batches[index].recipients) {
            next = std::from_chars(next, end, job->sequences[recipient]).ptr;
            next += next != end ? 1 : 0;
        }
    }

    if (--job->unanswered == 0) {
        finish(job);
    }
}

void RedisStore::finish(const JobPointer& job)
{
    // What became of it is not known, and need not be: what is stored already
    // is not stored again.
    if (job->disconnected && timers_.now() < job->deadline) {
        job->attempts = 0;
        begin(job);
        return;
    }

    if (job->split != 0 && job->result.status == StoreStatus::Stored) {
        if (job->attempts < 2) {
            begin(job);
            return;
        }

        job->result = {StoreStatus::Failed, "the message store refused"};
    }

    if (job->result.status == StoreStatus::Stored &&
        job->storedBefore == job->batches.size()) {
        job->result.status = StoreStatus::Duplicate;
    }

    nextOf(job->request.sender);  // on its way before this answer is used
    job->callback(job->result);
    ring(*job);
}

// Redis has been away for as long as a request may wait.
void RedisStore::expire()
{
    if (connection_.ready()) {
        return;
    }

    std::vector<JobPointer> expired;

    for (auto entry = senders_.begin(); entry != senders_.end();) {
        auto& queue = entry->second;

        while (!queue.empty() && queue.front()->deadline <= timers_.now()) {
            expired.push_back(std::move(queue.front()));
            queue.pop_front();
        }

        entry = queue.empty() ? senders_.erase(entry) : std::next(entry);
    }

    if (!senders_.empty()) {
        timer_->start(kExpireTick);
    }

    requests_ -= expired.size();

    for (const auto& job : expired) {
        job->callback({StoreStatus::Failed, plainReason(connection_.reason())});
    }
}

void RedisStore::nextOf(const std::string& sender)
{
    const auto found = senders_.find(sender);
    found->second.pop_front();
    --requests_;

    if (found->second.empty()) {
        senders_.erase(found);
    } else {
        begin(JobPointer(found->second.front()));
    }
}

void RedisStore::ring(Job& job)
{
    const auto stored =
        std::any_of(job.sequences.begin(), job.sequences.end(),
                    [](std::uint64_t sequence) { return sequence != 0; });

    if (stored) {
        ring_({job.request.news, job.request.recipients->list,
               std::move(job.sequences)});
    }
}

}  // namespace chat
