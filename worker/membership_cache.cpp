#include "membership_cache.hpp"

#include <utility>

namespace chat {

MembershipCache::MembershipCache(uv_loop_t* loop,
                                 std::unique_ptr<Membership> source,
                                 const Options& options, ChangedProbe changed)
    : loop_(loop),
      options_(options),
      changed_(std::move(changed)),
      alive_(std::make_shared<bool>(true)),
      source_(std::move(source))
{
}

MembershipCache::~MembershipCache()
{
    *alive_ = false;
}

void MembershipCache::lookup(std::string_view chatId, Callback callback)
{
    if (changed_ && changed_()) {
        invalidateAll();
    }

    const std::string id(chatId);

    // Answers keep the order of the questions: who comes while a look-up is
    // on its way waits for it.
    if (const auto flight = flights_.find(id); flight != flights_.end()) {
        ++stats_.joined;
        flight->second.waiting.push_back(std::move(callback));
        return;
    }

    const auto found = byChat_.find(id);

    if (found != byChat_.end() && found->second->expires > uv_now(loop_)) {
        ++stats_.hits;
        entries_.splice(entries_.begin(), entries_, found->second);
        // A copy: the callback may throw the entry away.
        const LookupResult result{LookupStatus::Ok, found->second->members, {}};
        callback(result);
        return;
    }

    ++stats_.misses;
    flights_[id].waiting.push_back(std::move(callback));
    ask(id);
}

void MembershipCache::ask(const std::string& chatId)
{
    source_->lookup(chatId,
                    [this, chatId, alive = alive_](const LookupResult& result) {
                        if (*alive) {
                            answer(chatId, result);
                        }
                    });
}

void MembershipCache::answer(const std::string& chatId,
                             const LookupResult& result)
{
    const auto flight = flights_.find(chatId);

    if (flight->second.outdated) {
        flight->second.outdated = false;
        ask(chatId);
        return;
    }

    const auto alive = alive_;
    const auto waiting = std::move(flight->second.waiting);
    flights_.erase(flight);

    const auto old = byChat_.find(chatId);
    LookupResult given = result;

    if (result.status == LookupStatus::Unavailable) {
        ++stats_.failures;
    }

    if (result.status == LookupStatus::Unavailable && old != byChat_.end()) {
        ++stats_.stale;
        given = {LookupStatus::Ok, old->second->members, {}};
    } else {
        keep(chatId, result);
    }

    for (const auto& callback : waiting) {
        callback(given);

        if (!*alive) {
            return;
        }
    }
}

void MembershipCache::keep(const std::string& chatId,
                           const LookupResult& result)
{
    if (const auto old = byChat_.find(chatId); old != byChat_.end()) {
        drop(old->second);
    }

    if (result.status != LookupStatus::Ok || options_.size == 0) {
        return;
    }

    entries_.push_front(
        {chatId, result.members,
         uv_now(loop_) + static_cast<std::uint64_t>(options_.ttl.count())});
    byChat_.emplace(chatId, entries_.begin());
    stats_.members += result.members->list.size();
    shrink();
}

void MembershipCache::shrink()
{
    while (entries_.size() > options_.size ||
           (stats_.members > options_.members && entries_.size() > 1)) {
        ++stats_.evicted;
        drop(std::prev(entries_.end()));
    }
}

void MembershipCache::configure(std::chrono::milliseconds ttl, std::size_t size)
{
    options_.ttl = ttl;
    options_.size = size;
    shrink();
}

void MembershipCache::drop(Entries::iterator entry)
{
    stats_.members -= entry->members->list.size();
    byChat_.erase(entry->chatId);
    entries_.erase(entry);
}

void MembershipCache::invalidate(std::string_view chatId)
{
    const std::string id(chatId);

    if (const auto flight = flights_.find(id); flight != flights_.end()) {
        flight->second.outdated = true;
    }

    if (const auto found = byChat_.find(id); found != byChat_.end()) {
        drop(found->second);
    }
}

void MembershipCache::invalidateAll()
{
    for (auto& [id, flight] : flights_) {
        flight.outdated = true;
    }

    entries_.clear();
    byChat_.clear();
    stats_.members = 0;
}

MembershipCache::Stats MembershipCache::stats() const
{
    auto stats = stats_;
    stats.chats = entries_.size();
    return stats;
}

}  // namespace chat
