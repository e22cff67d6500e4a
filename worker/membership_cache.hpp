// A bounded, timed cache in front of a Membership. Look-ups of a chat that are
// asked for while one is on its way are answered together.
//
// An entry whose time is over is asked for again; when the database cannot
// answer, the old members serve on (a database that is down stops no chat that
// is already talking). Entries that were invalidated are gone at once. Chats
// that do not exist are not remembered.

#pragma once

#include <uv.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "membership.hpp"

namespace chat {

class MembershipCache : public Membership {
  public:
    // Asked before an entry is used: true = the database has changed since the
    // last call, forget everything. Must be cheap: it runs once per look-up.
    using ChangedProbe = std::function<bool()>;

    struct Options {
        std::chrono::milliseconds ttl = std::chrono::seconds(60);
        std::size_t size = 10000;          // chats; the least used one leaves
        std::size_t members = 10'000'000;  // over all chats, same rule
    };

    struct Stats {
        std::uint64_t hits = 0;
        std::uint64_t misses = 0;    // went to the database
        std::uint64_t joined = 0;    // waited for one on its way
        std::uint64_t failures = 0;  // of the misses: not answered
        std::uint64_t stale = 0;     // served old: the database was away
        std::uint64_t evicted = 0;   // because of a bound
        std::size_t chats = 0;
        std::size_t members = 0;
    };

    MembershipCache(uv_loop_t* loop, std::unique_ptr<Membership> source,
                    const Options& options, ChangedProbe changed = {});
    ~MembershipCache() override;

    void lookup(std::string_view chatId, Callback callback) override;

    // A look-up that is on its way for it is made again before it is
    // answered, so that nobody gets members from before the change.
    void invalidate(std::string_view chatId);
    void invalidateAll();

    // New bounds; entries that are there keep the time they were given.
    void configure(std::chrono::milliseconds ttl, std::size_t size);

    [[nodiscard]] Stats stats() const;

  private:
    struct Entry {
        std::string chatId;
        std::shared_ptr<const Members> members;
        std::uint64_t expires = 0;  // ms of the loop's clock
    };
    using Entries = std::list<Entry>;  // front: used last

    struct Flight {
        std::vector<Callback> waiting;
        bool outdated = false;  // invalidated meanwhile
    };

    void ask(const std::string& chatId);
    void answer(const std::string& chatId, const LookupResult& result);
    void keep(const std::string& chatId, const LookupResult& result);
    void shrink();
    void drop(Entries::iterator entry);

    uv_loop_t* loop_;
    Options options_;
    ChangedProbe changed_;
    Entries entries_;
    std::unordered_map<std::string, Entries::iterator> byChat_;
    std::unordered_map<std::string, Flight> flights_;
    Stats stats_;
    std::shared_ptr<bool> alive_;         // outlived by answers of the source
    std::unique_ptr<Membership> source_;  // last: destroyed first
};

}  // namespace chat
