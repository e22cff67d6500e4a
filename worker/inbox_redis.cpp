#include "inbox_redis.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "log.hpp"

namespace chat {

namespace {

// Inboxes with more keys are listed in pages, so that neither Redis nor we
// are busy for long with one user.
constexpr std::size_t kKeysAtOnce = 2000;
constexpr std::size_t kKeysPerPage = 1000;

// While Redis is away, how often is looked for requests whose time is over.
constexpr std::uint64_t kExpireTick = 50;  // ms

// Requests that wait for Redis or for the one before: more are refused.
constexpr std::size_t kMaxRequests = 100'000;

constexpr char kStore[] =
#include "worker/scripts/store.lua.inc"
    ;
constexpr char kList[] =
#include "worker/scripts/list.lua.inc"
    ;
constexpr char kScan[] =
#include "worker/scripts/scan.lua.inc"
    ;

std::string_view textOf(const redisReply* reply)
{
    return reply->str == nullptr
               ? std::string_view()
               : std::string_view(reply->str,
                                  static_cast<std::size_t>(reply->len));
}

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

std::string plainReason(const std::string& error)
{
    static constexpr struct {
        std::string_view prefix;
        const char* reason;
    } kReasons[] = {
        {"CONNECTION", "the message store cannot be reached"},
        {"BUSY", "the message store is too busy"},
        {"OOM", "the message store is out of memory"},
        {"READONLY", "the message store is read-only at the moment"},
        {"LOADING", "the message store is still starting"},
        {"MISCONF", "the message store cannot write to its disk"},
        {"NOREPLICAS", "the message store lacks its replicas"},
        {"MASTERDOWN", "the message store lacks its primary"},
    };

    for (const auto& known : kReasons) {
        if (error.starts_with(known.prefix)) {
            return known.reason;
        }
    }

    return "the message store refused";
}

InboxRedis::InboxRedis(uv_loop_t* loop, const InboxOptions& options)
    : options_(options),
      connection_(loop, options.redis, "redis",
                  {.ready = [this] { onReady(); },
                   .lost =
                       [this](const std::string&) {
                           onLost();
                       }}),
      presence_(loop, connection_, options_),
      node_(loop, connection_, options_,
            {.doorbell =
                 [this](const Doorbell& doorbell) {
                     if (doorbell_) {
                         doorbell_(doorbell);
                     }
                 },
             .resync =
                 [this] {
                     if (resync_) {
                         resync_();
                     }
                 }}),
      store_(kStore),
      list_(kList),
      scan_(kScan),
      timers_(loop),
      timer_(timers_.create([this] { expire(); }))
{
    options_.batch = std::clamp<std::size_t>(options_.batch, 1, kMaxBatch);
    connection_.start();
    node_.start();
}

InboxRedis::~InboxRedis()
{
    node_.signOff();
}

InboxStats InboxRedis::stats() const
{
    const auto& node = node_.stats();
    return {.waiting = requests_,
            .inFlight = connection_.inFlight(),
            .losses = connection_.losses() + node_.streamLosses(),
            .doorbells = node.doorbells,
            .gaps = node.gaps,
            .lapses = node.lapses};
}

void InboxRedis::onDoorbell(DoorbellHandler handler)
{
    doorbell_ = std::move(handler);
}

void InboxRedis::onResync(ResyncHandler handler)
{
    resync_ = std::move(handler);
}

// Presence goes before the lease, and both before the lists that follow from
// the resync: from the moment of a list on, every message rings.
void InboxRedis::onReady()
{
    presence_.assertAll();
    store_.load(connection_);
    list_.load(connection_);
    scan_.load(connection_);

    std::vector<JobPointer> waiting;

    for (const auto& [sender, queue] : senders_) {
        waiting.push_back(queue.front());
    }

    for (const auto& job : waiting) {
        begin(job);
    }

    node_.commandsReady();
}

void InboxRedis::onLost()
{
    node_.commandsLost();
}

void InboxRedis::store(StoreRequest request, StoreCallback callback)
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

void InboxRedis::begin(const JobPointer& job)
{
    if (!connection_.ready()) {
        if (!timer_->running()) {
            timer_->start(kExpireTick);
        }

        return;  // until onReady() or expire()
    }

    const auto recipients = job->request.recipients->list.size();
    const auto needed = (recipients + options_.batch - 1) / options_.batch;

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

void InboxRedis::split(Job& job, std::size_t batches) const
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

void InboxRedis::sendBatch(const JobPointer& job, std::size_t index)
{
    store_.run(
        connection_, 16 + job->batches[index].recipients.size(),
        [this, job, index](RedisCommand& command) {
            fillBatch(command, *job, index);
        },
        [this, job, index](const redisReply* reply, const std::string& error) {
            onBatch(job, index, reply, error);
        });
}

void InboxRedis::fillBatch(RedisCommand& command, const Job& job,
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

void InboxRedis::onBatch(const JobPointer& job, std::size_t index,
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

void InboxRedis::finish(const JobPointer& job)
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
void InboxRedis::expire()
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

void InboxRedis::nextOf(const std::string& sender)
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

void InboxRedis::ring(Job& job)
{
    const auto stored =
        std::any_of(job.sequences.begin(), job.sequences.end(),
                    [](std::uint64_t sequence) { return sequence != 0; });

    if (stored && doorbell_ && !presence_.empty()) {
        doorbell_(
            {job.request.news, job.request.recipients->list, job.sequences});
    }
}

void InboxRedis::acknowledge(std::string_view user,
                             std::vector<std::string> keys,
                             AckCallback callback)
{
    if (keys.empty()) {
        callback(true, {});
        return;
    }

    command_.begin(2 + keys.size()).add("HDEL").add(options_.inboxPrefix, user);

    for (const auto& key : keys) {
        command_.add(key);
    }

    connection_.send(
        command_, [callback = std::move(callback)](const redisReply* reply,
                                                   const std::string& error) {
            callback(reply != nullptr,
                     reply != nullptr ? std::string() : plainReason(error));
        });
}

struct InboxRedis::Listing {
    std::string inbox;
    std::string counter;
    std::uint64_t after = 0;
    SnapshotCallback callback;
    Snapshot snapshot;
    SortedKeys keys;

    void fail(const std::string& error)
    {
        callback(
            {.ok = false, .reason = plainReason(error), .last = 0, .keys = {}});
    }

    void add(const redisReply* reply, std::size_t first)
    {
        std::vector<std::string> page;
        page.reserve(reply->elements);

        for (std::size_t i = first; i < reply->elements; ++i) {
            page.emplace_back(textOf(reply->element[i]));
        }

        keys.add(std::move(page), after, snapshot.last);
    }

    void finish()
    {
        snapshot.ok = true;
        snapshot.keys = keys.take();
        callback(std::move(snapshot));
    }
};

void InboxRedis::list(std::string_view user, std::uint64_t after,
                      SnapshotCallback callback)
{
    auto listing = std::make_shared<Listing>();
    listing->inbox = options_.inboxPrefix;
    listing->inbox += user;
    listing->counter = options_.keyPrefix + "seq:{" + listing->inbox + "}";
    listing->after = after;
    listing->callback = std::move(callback);

    list_.run(
        connection_, 5,
        [listing](RedisCommand& command) {
            command.add(2)
                .add(listing->inbox)
                .add(listing->counter)
                .add(listing->after)
                .add(kKeysAtOnce);
        },
        [this, listing](const redisReply* reply, const std::string& error) {
            onListed(listing, reply, error);
        });
}

void InboxRedis::onListed(const std::shared_ptr<Listing>& listing,
                          const redisReply* reply, const std::string& error)
{
    if (reply == nullptr || reply->elements < 2) {
        listing->fail(error);
        return;
    }

    const auto last = textOf(reply->element[0]);
    std::from_chars(last.data(), last.data() + last.size(),
                    listing->snapshot.last);

    if (reply->element[1]->integer > static_cast<long long>(kKeysAtOnce)) {
        scan(listing, "0");
        return;
    }

    listing->add(reply, 2);
    listing->finish();
}

// Complete without being atomic: every message up to the counter stood in the
// inbox when the counter was read, and HSCAN returns what is there from its
// first page to its last.
void InboxRedis::scan(const std::shared_ptr<Listing>& listing,
                      const std::string& cursor)
{
    scan_.run(
        connection_, 4,
        [listing, cursor](RedisCommand& command) {
            command.add(1).add(listing->inbox).add(cursor).add(kKeysPerPage);
        },
        [this, listing](const redisReply* reply, const std::string& error) {
            if (reply == nullptr || reply->elements == 0) {
                listing->fail(error);
                return;
            }

            listing->add(reply, 1);
            const auto next = textOf(reply->element[0]);

            if (next == "0") {
                listing->finish();
            } else {
                scan(listing, std::string(next));
            }
        });
}

void InboxRedis::read(std::string_view user, std::vector<std::string> keys,
                      ReadCallback callback)
{
    if (keys.empty()) {
        callback({.ok = true, .reason = {}, .entries = {}});
        return;
    }

    command_.begin(2 + keys.size())
        .add("HMGET")
        .add(options_.inboxPrefix, user);

    for (const auto& key : keys) {
        command_.add(key);
    }

    connection_.send(
        command_, [keys = std::move(keys), callback = std::move(callback)](
                      const redisReply* reply, const std::string& error) {
            ReadResult result;

            if (reply == nullptr || reply->elements != keys.size()) {
                result.reason = plainReason(error);
                callback(std::move(result));
                return;
            }

            result.ok = true;
            result.entries.reserve(keys.size());

            for (std::size_t i = 0; i < keys.size(); ++i) {
                result.entries.push_back(
                    {keys[i], std::string(textOf(reply->element[i]))});
            }

            callback(std::move(result));
        });
}

std::unique_ptr<Inbox> makeInbox(uv_loop_t* loop, const InboxOptions& options)
{
    return std::make_unique<InboxRedis>(loop, options);
}

}  // namespace chat
