#include "config.hpp"

#include <toml++/toml.h>

#include <fstream>
#include <functional>
#include <limits>
#include <sstream>
#include <string_view>
#include <tuple>
#include <utility>

#include "units.hpp"

namespace chat {

namespace {

using std::chrono::milliseconds;

// Where a value stands, for error messages.
struct Place {
    const std::string& file;
    std::string name;  // "redis.url"
    const toml::node& node;

    [[noreturn]] void fail(const std::string& why) const
    {
        throw ConfigError(
            file + ":" + std::to_string(node.source().begin.line) + ": " + why);
    }

    [[noreturn]] void expected(const std::string& what) const
    {
        fail("\"" + name + "\" must be " + what);
    }
};

std::string readString(const Place& place)
{
    const auto* text = place.node.as_string();
    if (text == nullptr) {
        place.expected("a string");
    }
    return text->get();
}

std::string readName(const Place& place)
{
    auto text = readString(place);
    if (text.empty()) {
        place.expected("a string that is not empty");
    }
    return text;
}

std::uint64_t readSize(const Place& place, std::uint64_t low,
                       std::uint64_t high)
{
    std::optional<std::uint64_t> value;
    if (const auto* number = place.node.as_integer()) {
        if (number->get() >= 0) {
            value = static_cast<std::uint64_t>(number->get());
        }
    } else if (const auto* text = place.node.as_string()) {
        value = parseSize(text->get());
    }
    if (!value) {
        place.expected("a size such as 65536 or \"64k\"");
    }
    if (*value < low || *value > high) {
        place.expected("between " + std::to_string(low) + " and " +
                       std::to_string(high));
    }
    return *value;
}

std::uint32_t readCount(const Place& place, std::uint32_t low,
                        std::uint32_t high)
{
    const auto* number = place.node.as_integer();
    if (number == nullptr) {
        place.expected("an integer");
    }
    const std::int64_t value = number->get();
    if (value < low || value > high) {
        place.expected("between " + std::to_string(low) + " and " +
                       std::to_string(high));
    }
    return static_cast<std::uint32_t>(value);
}

milliseconds readTime(const Place& place, milliseconds low, milliseconds high)
{
    std::optional<milliseconds> value;
    if (const auto* number = place.node.as_integer()) {
        value = parseTime(std::to_string(number->get()));
    } else if (const auto* text = place.node.as_string()) {
        value = parseTime(text->get());
    }
    if (!value) {
        place.expected("a time such as \"500ms\", \"20s\" or 20 (seconds)");
    }
    if (*value < low || *value > high) {
        place.expected("between " + std::to_string(low.count()) + "ms and " +
                       std::to_string(high.count()) + "ms");
    }
    return *value;
}

void checkListen(const Place& place, const std::string& address)
{
    constexpr std::string_view kUnix = "unix:";
    if (address.compare(0, kUnix.size(), kUnix) == 0) {
        if (address.size() == kUnix.size()) {
            place.fail("no path in \"" + address + "\"");
        }
        return;
    }
    const auto colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 ||
        colon + 1 == address.size() ||
        address.find_first_not_of("0123456789", colon + 1) !=
            std::string::npos) {
        place.expected("\"unix:/path\" or \"host:port\", not \"" + address +
                       "\"");
    }
}

std::vector<std::string> readListen(const Place& place)
{
    std::vector<std::string> addresses;
    if (const auto* one = place.node.as_string()) {
        addresses.push_back(one->get());
        checkListen(place, addresses.back());
        return addresses;
    }
    const auto* list = place.node.as_array();
    if (list == nullptr || list->empty()) {
        place.expected("an address or a list of addresses");
    }
    for (const toml::node& element : *list) {
        const Place at{place.file, place.name, element};
        addresses.push_back(readString(at));
        checkListen(at, addresses.back());
    }
    return addresses;
}

std::uint32_t readMode(const Place& place)
{
    const auto text = readString(place);
    const bool octal = text.size() >= 3 && text.size() <= 4 &&
                       text.find_first_not_of("01234567") == std::string::npos;
    if (!octal) {
        place.expected("an octal string such as \"0660\"");
    }
    return static_cast<std::uint32_t>(std::stoul(text, nullptr, 8));
}

std::string readUrl(const Place& place,
                    std::initializer_list<std::string_view> schemes)
{
    auto url = readString(place);
    std::string known;
    for (const auto scheme : schemes) {
        if (url.compare(0, scheme.size(), scheme) == 0) {
            return url;
        }
        known += known.empty() ? "" : ", ";
        known += scheme;
    }
    place.fail("\"" + place.name + "\" must start with one of " + known);
}

log::Level readLevel(const Place& place)
{
    log::Level level{};
    if (!log::parseLevel(readString(place), level)) {
        place.expected("\"debug\", \"info\", \"warn\" or \"error\"");
    }
    return level;
}

struct Setting {
    std::string_view section;
    std::string_view name;
    std::function<void(Config&, const Place&)> read;
};

constexpr auto kDay = std::chrono::hours(24);
// As many recipients as the inbox script can take (stores.hpp).
constexpr std::uint32_t kMaxBatch = 2000;
constexpr std::uint64_t kAnySize = std::numeric_limits<std::int64_t>::max();

std::vector<Setting> relaySettings()
{
    return {
        {"relay", "listen",
         [](Config& c, const Place& p) {
             c.relay.listen = readListen(p);
         }},
        {"relay", "socket_mode",
         [](Config& c, const Place& p) {
             c.relay.socketMode = readMode(p);
         }},
        {"relay", "max_queue",
         [](Config& c, const Place& p) {
             c.relay.maxQueue = readSize(p, 64U << 10, 4ULL << 30);
         }},
        {"relay", "max_message",
         [](Config& c, const Place& p) {
             c.relay.maxMessage = readSize(p, 4U << 10, 64U << 20);
         }},
        {"relay", "max_sessions",
         [](Config& c, const Place& p) {
             c.relay.maxSessions = readCount(p, 1, 100'000'000);
         }},
    };
}

std::vector<Setting> redisSettings()
{
    return {
        {"redis", "url",
         [](Config& c, const Place& p) {
             c.redis.url = readUrl(p, {"unix:", "redis:"});
         }},
        {"redis", "timeout",
         [](Config& c, const Place& p) {
             c.redis.timeout =
                 readTime(p, milliseconds(50), std::chrono::minutes(5));
         }},
        {"redis", "inbox_prefix",
         [](Config& c, const Place& p) {
             c.redis.inboxPrefix = readName(p);
         }},
        {"redis", "key_prefix",
         [](Config& c, const Place& p) {
             c.redis.keyPrefix = readName(p);
         }},
        {"redis", "inbox_ttl",
         [](Config& c, const Place& p) {
             c.redis.inboxTtl =
                 readTime(p, std::chrono::seconds(1), kDay * 3650);
         }},
        {"redis", "dedupe_window",
         [](Config& c, const Place& p) {
             c.redis.dedupeWindow = readTime(p, std::chrono::minutes(10), kDay);
         }},
        {"redis", "max_inbox_messages",
         [](Config& c, const Place& p) {
             c.redis.maxInboxMessages = readCount(p, 0, 100'000'000);
         }},
        {"redis", "max_inbox_bytes",
         [](Config& c, const Place& p) {
             c.redis.maxInboxBytes = readSize(p, 0, kAnySize);
         }},
        {"redis", "batch",
         [](Config& c, const Place& p) {
             c.redis.batch = readCount(p, 1, kMaxBatch);
         }},
    };
}

std::vector<Setting> membershipSettings()
{
    return {
        {"membership", "url",
         [](Config& c, const Place& p) {
             c.membership.url =
                 readUrl(p, {"sqlite:", "postgresql://", "postgres://"});
         }},
        {"membership", "query",
         [](Config& c, const Place& p) {
             c.membership.query = readName(p);
         }},
        {"membership", "timeout",
         [](Config& c, const Place& p) {
             c.membership.timeout =
                 readTime(p, milliseconds(50), std::chrono::minutes(5));
         }},
        {"membership", "cache_ttl",
         [](Config& c, const Place& p) {
             c.membership.cacheTtl = readTime(p, milliseconds(0), kDay);
         }},
        {"membership", "cache_size",
         [](Config& c, const Place& p) {
             c.membership.cacheSize = readCount(p, 0, 10'000'000);
         }},
        {"membership", "notify_channel",
         [](Config& c, const Place& p) {
             c.membership.notifyChannel = readString(p);
         }},
    };
}

std::vector<Setting> chatSettings()
{
    return {
        {"chat", "init_interval",
         [](Config& c, const Place& p) {
             c.chat.initInterval =
                 readTime(p, milliseconds(100), std::chrono::hours(1));
         }},
        {"chat", "max_pending",
         [](Config& c, const Place& p) {
             c.chat.maxPending = readCount(p, 1, 60'000);
         }},
        {"chat", "replay_messages",
         [](Config& c, const Place& p) {
             c.chat.replayMessages = readCount(p, 1, 10'000);
         }},
        {"chat", "replay_bytes",
         [](Config& c, const Place& p) {
             c.chat.replayBytes = readSize(p, 1U << 10, 16U << 20);
         }},
        {"chat", "replay_concurrency",
         [](Config& c, const Place& p) {
             c.chat.replayConcurrency = readCount(p, 1, 10'000);
         }},
        {"chat", "gap_wait",
         [](Config& c, const Place& p) {
             c.chat.gapWait =
                 readTime(p, milliseconds(1), std::chrono::minutes(1));
         }},
        {"chat", "max_held_messages",
         [](Config& c, const Place& p) {
             c.chat.maxHeldMessages = readCount(p, 1, 1'000'000);
         }},
        {"chat", "max_held_bytes",
         [](Config& c, const Place& p) {
             c.chat.maxHeldBytes = readSize(p, 64U << 10, kAnySize);
         }},
    };
}

std::vector<Setting> otherSettings()
{
    return {
        {"node", "id",
         [](Config& c, const Place& p) {
             c.node.id = readString(p);
         }},
        {"node", "lease",
         [](Config& c, const Place& p) {
             c.node.lease =
                 readTime(p, std::chrono::seconds(1), std::chrono::hours(1));
         }},
        {"log", "level",
         [](Config& c, const Place& p) {
             c.log.level = readLevel(p);
         }},
    };
}

const std::vector<Setting>& settings()
{
    static const std::vector<Setting> kAll = [] {
        std::vector<Setting> all;
        for (const auto& part :
             {relaySettings(), redisSettings(), membershipSettings(),
              chatSettings(), otherSettings()}) {
            all.insert(all.end(), part.begin(), part.end());
        }
        return all;
    }();
    return kAll;
}

void readSetting(Config& config, std::string_view section, const Place& place,
                 std::string_view key)
{
    for (const Setting& setting : settings()) {
        if (setting.section == section && setting.name == key) {
            setting.read(config, place);
            return;
        }
    }
    place.fail("unknown setting \"" + place.name + "\"");
}

bool isSection(std::string_view name)
{
    for (const Setting& setting : settings()) {
        if (setting.section == name) {
            return true;
        }
    }
    return false;
}

void readSection(Config& config, std::string_view section,
                 const toml::table& table, const std::string& file)
{
    for (const auto& [key, node] : table) {
        const Place place{
            file, std::string(section) + "." + std::string(key.str()), node};
        readSetting(config, section, place, key.str());
    }
}

void requireSettings(const Config& config, const std::string& file)
{
    if (config.relay.listen.empty()) {
        throw ConfigError(file + ": \"relay.listen\" is missing");
    }
    if (config.membership.url.empty()) {
        throw ConfigError(file + ": \"membership.url\" is missing");
    }
}

}  // namespace

Config parseConfig(const std::string& text, const std::string& name)
{
    toml::table root;
    try {
        root = toml::parse(text, name);
    } catch (const toml::parse_error& error) {
        throw ConfigError(name + ":" +
                          std::to_string(error.source().begin.line) + ": " +
                          std::string(error.description()));
    }
    Config config;
    for (const auto& [key, node] : root) {
        const Place place{name, std::string(key.str()), node};
        if (!isSection(key.str())) {
            place.fail("unknown section \"" + place.name + "\"");
        }
        if (!node.is_table()) {
            place.expected("a section");
        }
        readSection(config, key.str(), *node.as_table(), name);
    }
    requireSettings(config, name);
    return config;
}

Config loadConfig(const std::string& path)
{
    std::ifstream file(path, std::ios::binary);
    std::stringstream text;
    if (!file || !(text << file.rdbuf())) {
        throw ConfigError(path + ": cannot be read");
    }
    return parseConfig(text.str(), path);
}

std::vector<std::string> reloadConfig(Config& current, const Config& fresh)
{
    std::vector<std::string> kept;
    const auto keep = [&kept](bool same, const char* what) {
        if (!same) {
            kept.emplace_back(what);
        }
    };
    const auto relay = [](const RelaySettings& s) {
        return std::tie(s.listen, s.socketMode, s.maxQueue, s.maxMessage,
                        s.maxSessions);
    };
    const auto redis = [](const RedisSettings& s) {
        return std::tie(s.url, s.timeout, s.inboxPrefix, s.keyPrefix,
                        s.inboxTtl, s.dedupeWindow, s.maxInboxMessages,
                        s.maxInboxBytes, s.batch);
    };
    const auto database = [](const MembershipSettings& s) {
        return std::tie(s.url, s.query, s.timeout, s.notifyChannel);
    };
    const auto node = [](const NodeSettings& s) {
        return std::tie(s.id, s.lease);
    };
    keep(relay(current.relay) == relay(fresh.relay), "[relay]");
    keep(redis(current.redis) == redis(fresh.redis), "[redis]");
    keep(database(current.membership) == database(fresh.membership),
         "[membership] except cache_ttl and cache_size");
    keep(node(current.node) == node(fresh.node), "[node]");

    current.membership.cacheTtl = fresh.membership.cacheTtl;
    current.membership.cacheSize = fresh.membership.cacheSize;
    current.chat = fresh.chat;
    current.log = fresh.log;
    return kept;
}

}  // namespace chat
