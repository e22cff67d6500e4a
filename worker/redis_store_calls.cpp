#include "redis_store_calls.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "log.hpp"
#include "redis_reply.hpp"

namespace chat {

namespace {

constexpr std::uint64_t kQuiet = 1000;  // ms between lines about one thing

// Lua puts no more than 8000 values on its stack: twice the recipients of a
// call and its markers must fit.
constexpr std::size_t kMaxMarkers = 1000;
static_assert(2 * kMaxBatch + kMaxMarkers + StoreGroup::kMaxJobs < 7000);

constexpr std::size_t kSharedArguments = 7;
constexpr std::size_t kUnitArguments = 5;

constexpr char kStore[] =
#include "worker/scripts/store.lua.inc"
    ;

template <typename Number>
void takeNumber(std::string_view& text, Number& number)
{
    const auto end =
        std::from_chars(text.data(), text.data() + text.size(), number).ptr;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    text.remove_prefix(text.empty() ? 0 : 1);
}

}  // namespace

RedisStoreCalls::RedisStoreCalls(Timers& timers, RedisConnection& connection,
                                 const InboxOptions& options, Answered answered)
    : timers_(timers),
      connection_(connection),
      options_(options),
      batch_(std::clamp<std::size_t>(options.batch, 1, kMaxBatch)),
      answered_(std::move(answered)),
      script_(kStore),
      turnEnd_(timers.create([this] { flush(); }))
{
}

void RedisStoreCalls::submit(const StoreGroupPointer& group, std::size_t batch)
{
    submitted_.push_back({group, batch});

    if (submitted_.size() == 1) {
        turnEnd_->start(0);
    }
}

// Fills calls one after the other, each up to a limit.
void RedisStoreCalls::flush()
{
    Units units;
    std::size_t recipients = 0;
    std::size_t markers = 0;
    std::size_t bytes = 0;

    for (auto& unit : std::exchange(submitted_, {})) {
        const auto count = unit.part().recipients.size();
        const auto jobs = unit.group->jobs.size();
        const auto size = unit.group->bytes() * count;

        // Batches of one group have their markers in common: a call sees
        // those as they were before it.
        if (!units.empty() &&
            (unit.group->call == calls_ + 1 || recipients + count > batch_ ||
             markers + jobs > kMaxMarkers || bytes + size > kStoreCallBytes)) {
            send(std::exchange(units, {}));
            recipients = markers = bytes = 0;
        }

        unit.group->call = calls_ + 1;
        recipients += count;
        markers += jobs;
        bytes += size;
        units.push_back(std::move(unit));
    }

    if (!units.empty()) {
        send(std::move(units));
    }
}

void RedisStoreCalls::send(Units units)
{
    ++calls_;
    std::size_t arguments = 2 + kSharedArguments;

    for (const auto& unit : units) {
        arguments += kUnitArguments + 4 * unit.group->jobs.size() +
                     unit.part().recipients.size();
    }

    // Shared by the two functions, of which the second one is called last.
    const auto call = std::make_shared<const Units>(std::move(units));
    script_.run(
        connection_, arguments,
        [this, call](RedisCommand& command) { fill(command, *call); },
        [this, call](const redisReply* reply, const std::string& error) {
            onReply(*call, reply, error);
        });
}

void RedisStoreCalls::fill(RedisCommand& command, const Units& units) const
{
    std::size_t markers = 0;

    for (const auto& unit : units) {
        markers += unit.group->jobs.size();
    }

    command.add(1 + markers).add(options_.keyPrefix, "nodes");

    for (const auto& unit : units) {
        for (const auto& job : unit.group->jobs) {
            command.add(job->marker);
        }
    }

    command.add(options_.inboxPrefix)
        .add(options_.keyPrefix)
        .add(options_.node.id)
        .add(options_.dedupeWindow.count())
        .add(options_.inboxTtl.count())
        .add(options_.maxInboxMessages)
        .add(options_.maxInboxBytes);

    for (const auto& unit : units) {
        fillUnit(command, unit);
    }
}

void RedisStoreCalls::fillUnit(RedisCommand& command, const Unit& unit)
{
    const StoreGroup& group = *unit.group;
    const StoreBatch& part = unit.part();
    command.add(unit.batch + 1)
        .add(group.batches.size())
        .add(group.jobs.size())
        .add(part.recipients.size())
        .add(part.numbers);

    for (const auto& job : group.jobs) {
        const News& news = *job->request.news;
        command.add(news.messageId).add(news.before).add(news.after);
    }

    for (const auto recipient : part.recipients) {
        command.add(group.recipients()[recipient].user);
    }
}

void RedisStoreCalls::onReply(const Units& units, const redisReply* reply,
                              const std::string& error)
{
    const bool whole = reply != nullptr && reply->elements == units.size();

    for (std::size_t i = 0; i < units.size(); ++i) {
        if (whole) {
            take(units[i], textOf(reply->element[i]));
        } else {
            fail(units[i], error);
        }
    }

    for (const auto& unit : units) {
        answered_(unit.group);
    }
}

// What store.lua says about one unit.
void RedisStoreCalls::take(const Unit& unit, std::string_view text)
{
    StoreGroup& group = *unit.group;
    const char kind = text.empty() ? 'E' : text.front();

    if (kind == 'P') {
        text.remove_prefix(1);
        takeNumber(text, group.splitJob);
        takeNumber(text, group.split);

    } else if (kind == 'F') {
        if (group.result.status != StoreStatus::Failed) {
            group.result = {
                StoreStatus::Full,
                "the inbox of " + std::string(text.substr(1)) + " is full"};
        }

    } else if (kind == 'E') {
        fail(unit,
             std::string(text.substr(std::min<std::size_t>(text.size(), 1))));

    } else {
        StoreBatch& part = unit.part();
        const auto stored = text.substr(0, group.jobs.size());
        text.remove_prefix(std::min(text.size(), stored.size() + 1));

        for (std::size_t k = 0; k < stored.size(); ++k) {
            part.stored |= stored[k] == '1' ? std::uint64_t{1} << k : 0;
        }

        for (const auto recipient : part.recipients) {
            takeNumber(text, group.sequences[recipient]);
        }
    }
}

void RedisStoreCalls::fail(const Unit& unit, const std::string& error)
{
    StoreGroup& group = *unit.group;
    group.disconnected |= error.starts_with("CONNECTION");
    group.result = {StoreStatus::Failed, plainReason(error)};

    // Now and then, however many messages are refused: metrics count them.
    if (const std::uint64_t now = timers_.now();
        !group.disconnected && now >= quietUntil_) {
        quietUntil_ = now + kQuiet;
        log::warn("redis: messages were not stored: {}", error);
    }
}

}  // namespace chat
