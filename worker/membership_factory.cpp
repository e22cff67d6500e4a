// checkMembershipUrl(), makeMembership(): which back end a URL names.

#include <stdexcept>

#include "membership_postgresql.hpp"
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

bool isPostgresql(std::string_view url)
{
    return url.starts_with("postgresql://") || url.starts_with("postgres://");
}

std::unique_ptr<MembershipCache> makeSqlite(
    uv_loop_t* loop, const MembershipOptions& options,
    const MembershipCache::Options& cache)
{
    auto source = std::make_unique<MembershipSqlite>(
        loop, sqlitePath(options.url), options.query, options.timeout);
    auto* sqlite = source.get();

    return std::make_unique<MembershipCache>(
        loop, std::move(source), cache, [sqlite] { return sqlite->changed(); });
}

std::unique_ptr<MembershipCache> makePostgresql(
    uv_loop_t* loop, const MembershipOptions& options,
    const MembershipCache::Options& cache)
{
    // Each needs the other: the source tells the cache what has changed.
    auto holder = std::make_shared<MembershipCache*>(nullptr);
    auto source = std::make_unique<MembershipPostgresql>(
        loop,
        MembershipPostgresql::Settings{.url = options.url,
                                       .query = options.query,
                                       .channel = options.notifyChannel,
                                       .timeout = options.timeout},
        [holder](std::string_view chatId) {
            if (*holder == nullptr) {
                return;
            }

            if (chatId.empty()) {
                (*holder)->invalidateAll();
            } else {
                (*holder)->invalidate(chatId);
            }
        });
    auto made =
        std::make_unique<MembershipCache>(loop, std::move(source), cache);
    *holder = made.get();
    return made;
}

}  // namespace

std::string checkMembershipUrl(std::string_view url)
{
    if (url.starts_with(kSqlite)) {
        return sqlitePath(url).empty() ? "sqlite: needs a path" : "";
    }

    if (!isPostgresql(url)) {
        return "must begin with sqlite:, postgresql:// or postgres://";
    }

    char* error = nullptr;
    auto* parsed = PQconninfoParse(std::string(url).c_str(), &error);
    const std::string reason = error == nullptr ? "" : error;
    PQconninfoFree(parsed);
    PQfreemem(error);
    return reason.substr(0, reason.find('\n'));
}

std::unique_ptr<MembershipCache> makeMembership(
    uv_loop_t* loop, const MembershipOptions& options)
{
    if (const auto error = checkMembershipUrl(options.url); !error.empty()) {
        throw std::invalid_argument(error);
    }

    const MembershipCache::Options cache{.ttl = options.cacheTtl,
                                         .size = options.cacheSize};

    if (isPostgresql(options.url)) {
        return makePostgresql(loop, options, cache);
    }

    return makeSqlite(loop, options, cache);
}

}  // namespace chat
