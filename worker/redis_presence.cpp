#include "redis_presence.hpp"

#include <utility>

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

void RedisPresence::arrive(std::string_view user)
{
    if (users_.find(user) != users_.end()) {
        return;
    }

    link(*users_.try_emplace(std::string(user)).first);
    arrived_.emplace_back(user);
}

void RedisPresence::leave(std::string_view user)
{
    const auto found = users_.find(user);

    if (found == users_.end()) {
        return;
    }

    const bool said = found->second.said != 0;
    unlink(*found);
    users_.erase(found);

    if (said) {
        left_.emplace_back(user);
    }
}

void RedisPresence::flush()
{
    if (!connection_.ready()) {
        arrived_.clear();  // assertAll() follows
        left_.clear();
    }

    // Before the arrivals: some have come back. What is lost together with the
    // connection rings doorbells that nobody needs until its life is over.
    for (const auto& name : std::exchange(left_, {})) {
        const std::string key = options_.keyPrefix + "presence:{" +
                                options_.inboxPrefix + name + "}";
        connection_.send(
            command_.begin(3).add("ZREM").add(key).add(options_.node.id),
            [](const redisReply*, const std::string&) {});
    }

    std::vector<std::string> names;

    for (auto& name : std::exchange(arrived_, {})) {
        const auto found = users_.find(name);

        if (found == users_.end() || found->second.said != 0) {
            continue;  // gone again, or said by assertAll()
        }

        found->second.said = 1;
        names.push_back(std::move(name));

        if (names.size() == kUsersPerCall) {
            say(std::exchange(names, {}));
        }
    }

    if (!names.empty()) {
        say(std::move(names));
    }
}

void RedisPresence::assertAll()
{
    script_.load(connection_);

    const auto now = timers_.now();
    std::vector<std::string> names;
    arrived_.clear();
    left_.clear();  // somebody may have come back

    for (User* user = oldest_; user != nullptr; user = user->second.after) {
        user->second.renewed = now;
        user->second.said = 1;
        names.push_back(user->first);

        if (names.size() == kUsersPerCall || user == newest_) {
            say(std::exchange(names, {}));
        }
    }
}

void RedisPresence::say(std::vector<std::string> names)
{
    const auto arguments = 5 + names.size();
    script_.run(
        connection_, arguments,
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
    std::vector<std::string> names;

    while (oldest_ != nullptr && names.size() < kUsersPerCall &&
           oldest_->second.renewed + kRenewAfter <= now) {
        User& user = *oldest_;
        names.push_back(user.first);
        unlink(user);
        link(user);
    }

    if (!names.empty() && connection_.ready()) {
        say(std::move(names));
    }
}

// As the one that was renewed last.
void RedisPresence::link(User& user)
{
    Place& place = user.second;
    place.renewed = timers_.now();
    place.before = std::exchange(newest_, &user);
    place.after = nullptr;
    (place.before != nullptr ? place.before->second.after : oldest_) = &user;
}

void RedisPresence::unlink(User& user)
{
    const Place& place = user.second;
    (place.before != nullptr ? place.before->second.after : oldest_) =
        place.after;
    (place.after != nullptr ? place.after->second.before : newest_) =
        place.before;
}

}  // namespace chat
