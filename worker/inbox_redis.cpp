#include "inbox_redis.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "json.hpp"
#include "redis_reply.hpp"
#include "sorted_keys.hpp"

namespace chat {

namespace {

// Inboxes with more keys are listed in pages, so that neither Redis nor we
// are busy for long with one user.
constexpr std::size_t kKeysAtOnce = 2000;
constexpr std::size_t kKeysPerPage = 1000;

// Those who come and go are spoken of at once, but when there are many of
// them together, so often:
constexpr std::uint64_t kTurnsApart = 2;  // ms

// Inboxes that are listed by one call.
constexpr std::size_t kListings = 256;

// What store.lua puts for the owner of the inbox.
constexpr std::string_view kNumber = ",\"receive_user_id\":0}";
constexpr std::string_view kString = ",\"receive_user_id\":\"\"}";

// The news as its recipient gets it.
std::string newsFor(std::string_view user, std::string_view text)
{
    const bool number = text.ends_with(kNumber);

    if (!number && !text.ends_with(kString)) {
        return std::string(text);
    }

    std::string news(text, 0, text.rfind(':') + 1);

    if (number) {
        news += user;
    } else {
        json::appendQuoted(news, user);
    }

    return news += '}';
}

constexpr char kList[] =
#include "worker/scripts/list.lua.inc"
    ;
constexpr char kScan[] =
#include "worker/scripts/scan.lua.inc"
    ;

}  // namespace

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
      store_(loop, connection_, options_,
             {.listening = [this] { return doorbell_ && !presence_.empty(); },
              .doorbell =
                  [this](const Doorbell& doorbell) {
                      doorbell_(doorbell);
                  }}),
      list_(kList),
      scan_(kScan),
      timers_(loop),
      turnEnd_(timers_.create([this] { endTurn(); }))
{
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
    return {.waiting = store_.waiting(),
            .inFlight = connection_.inFlight(),
            .groups = store_.groups(),
            .calls = store_.calls(),
            .rests = store_.rests(),
            .losses = connection_.losses() + node_.streamLosses(),
            .doorbells = node.doorbells,
            .gaps = node.gaps,
            .lapses = node.lapses};
}

void InboxRedis::store(StoreRequest request, StoreCallback callback)
{
    store_.store(std::move(request), std::move(callback));
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
    store_.connectionReady();
    list_.load(connection_);
    scan_.load(connection_);
    node_.commandsReady();
}

void InboxRedis::onLost()
{
    node_.commandsLost();
}

void InboxRedis::acknowledge(std::string_view user,
                             const std::vector<std::string>& keys,
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
    listings_.push_back(std::move(listing));
    endTurnSoon();
}

void InboxRedis::arrive(std::string_view user)
{
    presence_.arrive(user);
    endTurnSoon();
}

void InboxRedis::leave(std::string_view user)
{
    presence_.leave(user);
    endTurnSoon();
}

void InboxRedis::endTurnSoon()
{
    if (!turnEnd_->running()) {
        const auto since = timers_.now() - turnEnded_;
        turnEnd_->start(since < kTurnsApart ? kTurnsApart - since : 0);
    }
}

// Who arrives is known to the other nodes before the inbox is listed.
void InboxRedis::endTurn()
{
    turnEnded_ = timers_.now();
    presence_.flush();
    Listings part;

    for (auto& listing : std::exchange(listings_, {})) {
        part.push_back(std::move(listing));

        if (part.size() == kListings) {
            listTogether(std::exchange(part, {}));
        }
    }

    if (!part.empty()) {
        listTogether(std::move(part));
    }
}

void InboxRedis::listTogether(Listings part)
{
    const auto listings = std::make_shared<const Listings>(std::move(part));
    list_.run(
        connection_, 2 + 3 * listings->size(),
        [listings](RedisCommand& command) {
            command.add(2 * listings->size());

            for (const auto& listing : *listings) {
                command.add(listing->inbox).add(listing->counter);
            }

            command.add(kKeysAtOnce);

            for (const auto& listing : *listings) {
                command.add(listing->after);
            }
        },
        [this, listings](const redisReply* reply, const std::string& error) {
            onListed(*listings, reply, error);
        });
}

void InboxRedis::onListed(const Listings& listings, const redisReply* reply,
                          const std::string& error)
{
    const std::size_t answered = reply == nullptr ? 0 : reply->elements;

    for (std::size_t i = 0; i < std::min(answered, listings.size()); ++i) {
        onListed(listings[i], reply->element[i]);
    }

    if (answered >= listings.size()) {
        return;
    }

    const auto left = listings.begin() + static_cast<std::ptrdiff_t>(answered);

    if (answered > 0) {
        listTogether(Listings(left, listings.end()));
        return;
    }

    std::for_each(left, listings.end(),
                  [&](const auto& listing) { listing->fail(error); });
}

void InboxRedis::onListed(const std::shared_ptr<Listing>& listing,
                          const redisReply* reply)
{
    if (reply->elements < 2) {
        listing->fail({});
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
        command_, [user = std::string(user), keys = std::move(keys),
                   callback = std::move(callback)](const redisReply* reply,
                                                   const std::string& error) {
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
                    {keys[i], newsFor(user, textOf(reply->element[i]))});
            }

            callback(std::move(result));
        });
}

std::unique_ptr<Inbox> makeInbox(uv_loop_t* loop, const InboxOptions& options)
{
    return std::make_unique<InboxRedis>(loop, options);
}

}  // namespace chat
