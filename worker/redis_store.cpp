#include "redis_store.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <utility>

#include "log.hpp"
#include "redis_reply.hpp"

namespace chat {

namespace {

// While Redis is away, how often is looked for requests whose time is over.
constexpr std::uint64_t kExpireTick = 50;  // ms
constexpr std::uint64_t kQuiet = 1000;     // ms between lines about one thing

// Requests that wait for Redis or for those before: more are refused.
constexpr std::size_t kMaxRequests = 100'000;

// One bit of Batch::stored each, and the script has to unpack them.
constexpr std::size_t kMaxGroup = 64;
constexpr std::size_t kMaxGroupBytes = 256U << 10;

// What one call writes: more keeps others waiting for too long, and costs
// Redis more per byte than several calls.
constexpr std::size_t kCallBytes = 1U << 20;
constexpr std::size_t kMinRecipients = 16;

// Calls of one group on their way, so that a large message to many recipients
// does not fill the connection.
constexpr std::size_t kCallsOnTheWay = 4;

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

std::size_t sizeOf(const News& news)
{
    return news.messageId.size() + news.before.size() + news.after.size();
}

template <typename Number>
void takeNumber(std::string_view& text, Number& number)
{
    const auto end =
        std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix(text.empty() ? 0 : 1);
}

}  // namespace

RedisStore::RedisStore(uv_loop_t* loop, RedisConnection& connection,
                       const InboxOptions& options, Events events)
    : connection_(connection),
      options_(options),
      batch_(std::clamp<std::size_t>(options.batch, 1, kMaxBatch)),
      events_(std::move(events)),
      script_(kStore),
      timers_(loop),
      timer_(timers_.create([this] { expire(); }))
{
}

void RedisStore::connectionReady()
{
    script_.load(connection_);
    std::vector<std::string> chats;
    chats.reserve(chats_.size());

    for (const auto& [chat, queue] : chats_) {
        chats.push_back(chat);
    }

    for (const auto& chat : chats) {
        start(chat);
    }
}

void RedisStore::store(StoreRequest request, Inbox::StoreCallback callback)
{
    if (requests_ >= kMaxRequests) {
        callback({StoreStatus::Failed, plainReason("BUSY")});
        return;
    }

    auto job = std::make_unique<Job>();
    // The length keeps apart a sender "a:1" and its 2 from "a" and its 1:2.
    job->marker.append(options_.keyPrefix)
        .append("sent:")
        .append(std::to_string(request.sender.size()))
        .append(":")
        .append(request.sender)
        .append(":")
        .append(request.sendId);
    job->request = std::move(request);
    job->callback = std::move(callback);
    job->deadline = timers_.now() +
                    static_cast<std::uint64_t>(options_.redis.timeout.count());

    ++requests_;
    const std::string chat = job->request.chat;
    chats_[chat].waiting.push_back(std::move(job));
    start(chat);
}

// Sends the next group of a chat, unless there is a reason to wait.
void RedisStore::start(const std::string& chat)
{
    const auto found = chats_.find(chat);

    if (found == chats_.end() || found->second.busy) {
        return;
    }

    Queue& queue = found->second;

    if (queue.waiting.empty()) {
        chats_.erase(found);
        return;
    }

    if (!connection_.ready()) {
        if (!timer_->running()) {
            timer_->start(kExpireTick);
        }

        return;  // until connectionReady() or expire()
    }

    auto jobs = takeGroup(queue);

    if (jobs.empty()) {
        if (!std::exchange(queue.parked, true)) {
            parked_.push_back(chat);
        }

        return;
    }

    auto group = std::make_shared<Group>();
    group->chat = chat;
    group->jobs = std::move(jobs);
    group->sequences.assign(group->recipients().size(), 0);
    queue.busy = true;
    split(*group);
    send(group);
}

// The longest beginning of the queue that can go together; none when the
// first one's send is on its way to another chat.
std::vector<RedisStore::JobPointer> RedisStore::takeGroup(Queue& queue)
{
    std::vector<JobPointer> jobs;
    std::size_t bytes = 0;

    while (!queue.waiting.empty() && jobs.size() < kMaxGroup) {
        Job& next = *queue.waiting.front();
        bytes += sizeOf(*next.request.news);

        const bool fits =
            jobs.empty() ||
            (!next.alone && !jobs.back()->alone && bytes <= kMaxGroupBytes &&
             next.split == jobs.back()->split &&
             next.request.recipients == jobs.back()->request.recipients);

        if (!fits || !markers_.insert(next.marker).second) {
            break;
        }

        jobs.push_back(std::move(queue.waiting.front()));
        queue.waiting.pop_front();
    }

    return jobs;
}

void RedisStore::split(Group& group) const
{
    const auto& list = group.recipients();
    std::size_t batches = group.jobs.front()->split;

    if (batches == 0) {
        std::size_t bytes = 1;

        for (const auto& job : group.jobs) {
            bytes += sizeOf(*job->request.news);
        }

        const auto most =
            std::min(std::max(kCallBytes / bytes, kMinRecipients), batch_);
        batches = std::max<std::size_t>((list.size() + most - 1) / most, 1);
    }

    group.batches.assign(batches, {});

    const auto add = [&](bool numbers) {
        for (std::uint32_t i = 0; i < list.size(); ++i) {
            if (list[i].isNumber == numbers) {
                const auto index =
                    batches == 1 ? 0 : hashOf(list[i].user) % batches;
                auto& batch = group.batches[index];
                batch.recipients.push_back(i);
                batch.numbers += numbers ? 1 : 0;
            }
        }
    };

    add(true);
    add(false);
}

// Keeps calls on their way until all are or one has failed.
void RedisStore::send(const GroupPointer& group)
{
    group->sending = true;  // a call may be answered within the loop

    while (!group->stopped() && group->sent < group->batches.size() &&
           group->unanswered < kCallsOnTheWay) {
        ++group->unanswered;
        sendBatch(group, group->sent++);
    }

    group->sending = false;

    if (group->unanswered == 0) {
        finish(*group);
    }
}

void RedisStore::sendBatch(const GroupPointer& group, std::size_t index)
{
    script_.run(
        connection_,
        12 + 4 * group->jobs.size() + group->batches[index].recipients.size(),
        [this, group, index](RedisCommand& command) {
            fillBatch(command, *group, index);
        },
        [this, group, index](const redisReply* reply,
                             const std::string& error) {
            --group->unanswered;
            onBatch(*group, index, reply, error);

            if (!group->sending) {
                send(group);
            }
        });
}

void RedisStore::fillBatch(RedisCommand& command, const Group& group,
                           std::size_t index) const
{
    const auto& batch = group.batches[index];
    command.add(1 + group.jobs.size()).add(options_.keyPrefix, "nodes");

    for (const auto& job : group.jobs) {
        command.add(job->marker);
    }

    command.add(options_.inboxPrefix)
        .add(options_.keyPrefix)
        .add(options_.node.id)
        .add(options_.dedupeWindow.count())
        .add(options_.inboxTtl.count())
        .add(options_.maxInboxMessages)
        .add(options_.maxInboxBytes)
        .add(index + 1)
        .add(group.batches.size())
        .add(batch.numbers);

    for (const auto& job : group.jobs) {
        const News& news = *job->request.news;
        command.add(news.messageId).add(news.before).add(news.after);
    }

    const auto& list = group.recipients();

    for (const auto recipient : batch.recipients) {
        command.add(list[recipient].user);
    }
}

// Now and then, however many messages are refused: metrics count them.
void RedisStore::complain(const std::string& error)
{
    const std::uint64_t now = timers_.now();

    if (now >= quietUntil_) {
        quietUntil_ = now + kQuiet;
        log::warn("redis: messages were not stored: {}", error);
    }
}

void RedisStore::onBatch(Group& group, std::size_t index,
                         const redisReply* reply, const std::string& error)
{
    auto text = reply == nullptr ? std::string_view() : textOf(reply);

    if (reply == nullptr) {
        group.disconnected |= error.starts_with("CONNECTION");

        if (!group.disconnected) {
            complain(error);
        }

        group.result = {StoreStatus::Failed, plainReason(error)};

    } else if (text.starts_with('P')) {
        text.remove_prefix(1);
        takeNumber(text, group.splitJob);
        takeNumber(text, group.split);

    } else if (text.starts_with('F')) {
        if (group.result.status != StoreStatus::Failed) {
            group.result = {
                StoreStatus::Full,
                "the inbox of " + std::string(text.substr(1)) + " is full"};
        }

    } else {
        Batch& batch = group.batches[index];
        const auto stored = text.substr(0, group.jobs.size());
        text.remove_prefix(std::min(text.size(), stored.size() + 1));

        for (std::size_t k = 0; k < stored.size(); ++k) {
            batch.stored |= stored[k] == '1' ? std::uint64_t{1} << k : 0;
        }

        for (const auto recipient : batch.recipients) {
            takeNumber(text, group.sequences[recipient]);
        }
    }
}

void RedisStore::finish(Group& group)
{
    for (const auto& job : group.jobs) {
        markers_.erase(job->marker);
    }

    Queue& queue = chats_.at(group.chat);
    queue.busy = false;

    if (group.split != 0 && group.result.status == StoreStatus::Stored) {
        Job& job = *group.jobs.at(group.splitJob - 1);

        if (std::exchange(job.told, true)) {
            group.result = {StoreStatus::Failed, plainReason({})};
        } else {
            job.split = group.split;
            job.alone = true;
            putBack(group, queue);
        }

    } else if (group.disconnected) {
        for (const auto& job : group.jobs) {
            job->split = group.batches.size();
        }

        putBack(group, queue);

    } else if (group.result.status == StoreStatus::Full &&
               group.jobs.size() > 1) {
        // There may be room for some of them.
        for (const auto& job : group.jobs) {
            job->alone = true;
        }

        putBack(group, queue);
    }

    requests_ -= group.jobs.size();

    // The next ones are on their way before these answers are used.
    start(group.chat);

    for (const auto& chat : std::exchange(parked_, {})) {
        if (const auto found = chats_.find(chat); found != chats_.end()) {
            found->second.parked = false;
            start(chat);
        }
    }

    answer(group);
}

// To be made again, before all that wait. What became of them is not known
// after a lost connection, and need not be: what is stored already is not
// stored again, and the resync finds it.
void RedisStore::putBack(Group& group, Queue& queue) const
{
    const auto lasting = [&](const JobPointer& job) {
        return !group.disconnected || timers_.now() < job->deadline;
    };

    for (std::size_t k = 0; k < group.jobs.size() && !group.disconnected; ++k) {
        keepBell(group, k);
    }

    // Deadlines ascend: those whose time is over are in front.
    const auto first =
        std::find_if(group.jobs.begin(), group.jobs.end(), lasting);
    queue.waiting.insert(queue.waiting.begin(), std::move_iterator(first),
                         std::move_iterator(group.jobs.end()));
    group.jobs.erase(first, group.jobs.end());
}

// What a job has got while the group as a whole has to be made again: it
// rings when the job is answered.
void RedisStore::keepBell(Group& group, std::size_t k)
{
    Job& job = *group.jobs[k];
    const auto bit = std::uint64_t{1} << k;
    Doorbell bell{{job.request.news}, {}, {}};

    for (const auto& batch : group.batches) {
        const auto before = std::popcount(batch.stored & (bit - 1));

        for (const auto recipient : batch.recipients) {
            if ((batch.stored & bit) != 0) {
                bell.recipients.push_back(group.recipients()[recipient]);
                bell.sequences.push_back(group.sequences[recipient] +
                                         static_cast<std::uint64_t>(before));
            }
        }
    }

    if (!bell.recipients.empty()) {
        job.bells.push_back(std::move(bell));
    }
}

void RedisStore::answer(Group& group)
{
    for (std::size_t k = 0; k < group.jobs.size(); ++k) {
        const Job& job = *group.jobs[k];
        const auto bit = std::uint64_t{1} << k;
        const bool here = std::any_of(
            group.batches.begin(), group.batches.end(),
            [bit](const Batch& batch) { return (batch.stored & bit) != 0; });
        const bool duplicate = group.result.status == StoreStatus::Stored &&
                               !here && job.bells.empty();
        job.callback(duplicate ? StoreResult{StoreStatus::Duplicate, {}}
                               : group.result);
    }

    if (!events_.listening()) {
        return;
    }

    for (const auto& job : group.jobs) {
        for (const auto& bell : job->bells) {
            events_.doorbell(bell);
        }
    }

    if (!group.jobs.empty() && !group.disconnected) {
        ring(group);
    }
}

// One doorbell for all recipients that have got the same messages: for all of
// them, unless a part was stored by an earlier attempt.
void RedisStore::ring(const Group& group)
{
    std::vector<std::uint64_t> rung = {0};

    for (const auto& [recipients, numbers, stored] : group.batches) {
        if (std::find(rung.begin(), rung.end(), stored) != rung.end()) {
            continue;
        }

        rung.push_back(stored);
        Doorbell bell{{}, group.recipients(), {}};
        bell.sequences.assign(group.sequences.size(), 0);

        for (std::size_t k = 0; k < group.jobs.size(); ++k) {
            if ((stored >> k & 1) != 0) {
                bell.news.push_back(group.jobs[k]->request.news);
            }
        }

        for (const auto& batch : group.batches) {
            for (const auto recipient : batch.recipients) {
                if (batch.stored == stored) {
                    bell.sequences[recipient] = group.sequences[recipient];
                }
            }
        }

        events_.doorbell(bell);
    }
}

// Redis has been away for as long as a request may wait.
void RedisStore::expire()
{
    if (connection_.ready()) {
        return;
    }

    std::vector<JobPointer> expired;

    for (auto entry = chats_.begin(); entry != chats_.end();) {
        auto& [waiting, busy, parked] = entry->second;

        while (!waiting.empty() && waiting.front()->deadline <= timers_.now()) {
            expired.push_back(std::move(waiting.front()));
            waiting.pop_front();
        }

        entry =
            waiting.empty() && !busy ? chats_.erase(entry) : std::next(entry);
    }

    if (!chats_.empty()) {
        timer_->start(kExpireTick);
    }

    requests_ -= expired.size();

    for (const auto& job : expired) {
        job->callback({StoreStatus::Failed, plainReason(connection_.reason())});
    }
}

}  // namespace chat
