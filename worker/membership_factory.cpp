// checkMembershipUrl(), makeMembership(): which back end a URL names.

#include <stdexcept>

#include "membership_sqlite.hpp"
#include "stores.hpp"

namespace chat {

namespace {

constexpr std::string_view kSqlite = "sqlite:";

// sqlite:/path, sqlite:///path and sqlite:relative/path
std::string sqlitePath(std::string_view url)
{
    url.remove_prefix(kSqlite.size());

    if (url.starts_with("///")) {
        url.remove_prefix(2);
    }

    return std::string(url);
}

}  // namespace

std::string checkMembershipUrl(std::string_view url)
{
    if (url.starts_with(kSqlite)) {
        return sqlitePath(url).empty() ? "sqlite: needs a path" : "";
    }

    return "must begin with sqlite:, postgresql:// or postgres://";
}

std::unique_ptr<MembershipCache> makeMembership(
    uv_loop_t* loop, const MembershipOptions& options)
{
    if (const auto error = checkMembershipUrl(options.url); !error.empty()) {
        throw std::invalid_argument(error);
    }

    const MembershipCache::Options cache{.ttl = options.cacheTtl,
                                         .size = options.cacheSize};
    auto source = std::make_unique<MembershipSqlite>(
        loop, sqlitePath(options.url), options.query, options.timeout);
    auto* sqlite = source.get();

    return std::make_unique<MembershipCache>(
        loop, std::move(source), cache, [sqlite] { return sqlite->changed(); });
}

}  // namespace chat
