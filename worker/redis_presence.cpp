#include "redis_presence.hpp"

#include <algorithm>

namespace chat {

namespace {

constexpr std::size_t kUsersPerCall = 500;
constexpr std::uint64_t kRenewTick = 1000;  // ms
constexpr auto kRenewAfter = static_cast<std::uint64_t>(kPresenceRenew.count());

constexpr char kArrive[] =
#include "worker/scripts/arrive.lua.inc"
    ;

}  // namespace

RedisPresence::RedisPresence(uv_loop_t* loop, RedisConnection& connection,
                             const InboxOptions& options)
    : connection_(connection),
      options_(options),
      script_(kArrive),
      timers_(loop),
      timer_(timers_.create([this] { renewSome(); }))
{
    timer_->start(kRenewTick);
}

bool RedisPresence::holds(std::string_view user) const
{
    return byName_.count(user) != 0;
}

void RedisPresence::arrive(std::string_view user)
{
    if (holds(user)) {
        return;
    }

    users_.push_back({std::string(user), timers_.now()});
    const auto added = std::prev(users_.end());
    byName_.emplace(added->name, added);
    assertRange(added, 1);
}

void RedisPresence::leave(std::string_view user)
{
    const auto found = byName_.find(user);

    if (found == byName_.end()) {
        return;
    }

    const auto entry = found->second;
    const std::string key = options_.keyPrefix + "presence:{" +
                            options_.inboxPrefix + entry->name + "}";
    byName_.erase(found);
    users_.erase(entry);

    // Lost together with the connection: the entry rings doorbells that
    // nobody needs until its life is over.
    connection_.send(
        command_.begin(3).add("ZREM").add(key).add(options_.node.id),
        [](const redisReply*, const std::string&) {});
}

void RedisPresence::assertAll()
{
    script_.load(connection_);

    const auto now = timers_.now();
    auto next = users_.begin();

    for (std::size_t left = users_.size(); left > 0;) {
        const auto count = std::min(left, kUsersPerCall);
        assertRange(next, count);
        left -= count;

        for (std::size_t i = 0; i < count; ++i) {
            (next++)->renewed = now;
        }
    }
}

void RedisPresence::assertRange(Users::const_iterator begin, std::size_t count)
{
    if (!connection_.ready()) {
        return;  // assertAll() follows
    }

    std::vector<std::string> names;
    names.reserve(count);

    for (std::size_t i = 0; i < count; ++i) {
        names.push_back((begin++)->name);
    }

    script_.run(
        connection_, 5 + count,
        [this, names = std::move(names)](RedisCommand& command) {
            command.add(0)
                .add(options_.inboxPrefix)
                .add(options_.keyPrefix)
                .add(options_.node.id)
                .add(kPresenceLife.count());

            for (const auto& name : names) {
                command.add(name);
            }
        },
        [this](const redisReply* reply, const std::string& error) {
            // Refused (out of memory, ...): without the entry other nodes do
            // not ring here. Coming back says it all again.
            if (reply == nullptr && connection_.ready()) {
                connection_.drop("presence was refused: " + error);
            }
        });
}

// At most one call in a tick: 500 users a second, enough for 900,000.
void RedisPresence::renewSome()
{
    timer_->start(kRenewTick);
    const auto now = timers_.now();
    std::size_t due = 0;

    for (auto user = users_.begin();
         user != users_.end() && due < kUsersPerCall &&
         user->renewed + kRenewAfter <= now;
         ++user) {
        user->renewed = now;
        ++due;
    }

    if (due == 0) {
        return;
    }

    assertRange(users_.begin(), due);
    users_.splice(users_.end(), users_, users_.begin(),
                  std::next(users_.begin(), static_cast<std::ptrdiff_t>(due)));
}

}  // namespace chat
