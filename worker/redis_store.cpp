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

// Requests that wait for Redis or for those before: more are refused.
constexpr std::size_t kMaxRequests = 100'000;

constexpr std::size_t kMaxGroupBytes = 256U << 10;

// Recipients of one call at least, however large the messages.
constexpr std::size_t kMinRecipients = 16;

// A smaller chat gains nothing by resting: its groups share calls with others.
constexpr std::size_t kRestRecipients = 100;
constexpr std::uint64_t kLongestRest = 20;  // ms

// Calls of one group on their way, so that a large message to many recipients
// does not fill the connection.
constexpr std::size_t kCallsOnTheWay = 4;

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
                       const InboxOptions& options, Events events)
    : connection_(connection),
      options_(options),
      batch_(std::clamp<std::size_t>(options.batch, 1, kMaxBatch)),
      events_(std::move(events)),
      timers_(loop),
      calls_(timers_, connection, options,
             [this](const StoreGroupPointer& group) {
                 --group->unanswered;
                 send(group);
             }),
      timer_(timers_.create([this] { expire(); })),
      restTimer_(timers_.create([this] { endRests(); }))
{
}

void RedisStore::connectionReady()
{
    calls_.connectionReady();
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

    auto job = std::make_unique<StoreJob>();
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

    if (found == chats_.end() || found->second.busy || rests(found->second)) {
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

    auto group = std::make_shared<StoreGroup>();
    group->chat = chat;
    group->started = timers_.now();
    group->jobs = std::move(jobs);
    group->sequences.assign(group->recipients().size(), 0);
    queue.busy = true;
    ++groups_;
    split(*group);
    send(group);
}

bool RedisStore::rests(const Queue& queue) const
{
    return timers_.now() < queue.restsUntil &&
           queue.waiting.size() < queue.expected;
}

// The longest beginning of the queue that can go together; none when the
// first one's send is on its way to another chat.
std::vector<StoreJobPointer> RedisStore::takeGroup(Queue& queue)
{
    std::vector<StoreJobPointer> jobs;
    std::size_t bytes = 0;

    while (!queue.waiting.empty() && jobs.size() < StoreGroup::kMaxJobs) {
        StoreJob& next = *queue.waiting.front();
        bytes += next.request.news->size();

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

void RedisStore::split(StoreGroup& group) const
{
    const auto& list = group.recipients();
    std::size_t batches = group.jobs.front()->split;

    if (batches == 0) {
        const auto most = std::min(
            std::max(kStoreCallBytes / (1 + group.bytes()), kMinRecipients),
            batch_);
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
void RedisStore::send(const StoreGroupPointer& group)
{
    while (!group->stopped() && group->sent < group->batches.size() &&
           group->unanswered < kCallsOnTheWay) {
        ++group->unanswered;
        calls_.submit(group, group->sent++);
    }

    if (group->unanswered == 0) {
        finish(*group);
    }
}

void RedisStore::finish(StoreGroup& group)
{
    for (const auto& job : group.jobs) {
        markers_.erase(job->marker);
    }

    Queue& queue = chats_.at(group.chat);
    queue.busy = false;
    rest(group, queue);

    if (group.split != 0 && group.result.status == StoreStatus::Stored) {
        StoreJob& job = *group.jobs.at(group.splitJob - 1);

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

void RedisStore::rest(const StoreGroup& group, Queue& queue)
{
    const auto now = timers_.now();
    const auto most = std::min(now - group.started, kLongestRest);
    queue.expected = group.jobs.size() + queue.waiting.size();

    if (most == 0 || queue.expected == 1 ||
        group.recipients().size() < kRestRecipients) {
        return;
    }

    ++rests_;
    queue.restsUntil = now + most;
    resting_.emplace(queue.restsUntil, group.chat);

    if (!restTimer_->running()) {
        restTimer_->start(most);
    }
}

void RedisStore::endRests()
{
    while (!resting_.empty() && resting_.begin()->first <= timers_.now()) {
        const auto ended = resting_.extract(resting_.begin());
        start(ended.mapped());
    }

    if (!resting_.empty()) {
        restTimer_->start(resting_.begin()->first - timers_.now());
    }
}

// To be made again, before all that wait. What became of them is not known
// after a lost connection, and need not be: what is stored already is not
// stored again, and the resync finds it.
void RedisStore::putBack(StoreGroup& group, Queue& queue) const
{
    const auto lasting = [&](const StoreJobPointer& job) {
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
void RedisStore::keepBell(StoreGroup& group, std::size_t k)
{
    StoreJob& job = *group.jobs[k];
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

void RedisStore::answer(StoreGroup& group)
{
    for (std::size_t k = 0; k < group.jobs.size(); ++k) {
        const StoreJob& job = *group.jobs[k];
        const auto bit = std::uint64_t{1} << k;
        const bool here =
            std::any_of(group.batches.begin(), group.batches.end(),
                        [bit](const StoreBatch& batch) {
                            return (batch.stored & bit) != 0;
                        });
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
void RedisStore::ring(const StoreGroup& group)
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

    std::vector<StoreJobPointer> expired;

    for (auto entry = chats_.begin(); entry != chats_.end();) {
        auto& [waiting, busy, parked, rest, expected] = entry->second;

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
