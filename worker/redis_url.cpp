// parseRedisUrl(): redis:// and unix:// URLs as other Redis clients read them.

#include <charconv>
#include <string>
#include <string_view>

#include "stores.hpp"

namespace chat {

namespace {

int hexDigit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }

    const char lower = static_cast<char>(digit | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

std::string decode(std::string_view text)
{
    std::string out;

    for (std::size_t i = 0; i < text.size(); ++i) {
        const bool escaped = text[i] == '%' && i + 2 < text.size();
        const int high = escaped ? hexDigit(text[i + 1]) : -1;
        const int low = escaped ? hexDigit(text[i + 2]) : -1;

        if (high >= 0 && low >= 0) {
            out += static_cast<char>(high * 16 + low);
            i += 2;
        } else {
            out += text[i];
        }
    }

    return out;
}

template <typename Number>
bool parseNumber(std::string_view text, Number& number)
{
    const auto [end, error] =
        std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() && end == text.data() + text.size();
}

// Cuts "user:password@" off; the last @ counts, passwords may hold one.
void takeCredentials(std::string_view& rest, RedisOptions& options)
{
    const auto authority = rest.substr(0, rest.find('/'));
    const auto at = authority.rfind('@');

    if (at == std::string_view::npos) {
        return;
    }

    const auto credentials = authority.substr(0, at);
    const auto colon = credentials.find(':');
    rest.remove_prefix(at + 1);

    if (colon == std::string_view::npos) {
        options.password = decode(credentials);
        return;
    }

    options.user = decode(credentials.substr(0, colon));
    options.password = decode(credentials.substr(colon + 1));
}

bool parseDatabase(std::string_view text, RedisOptions& options,
                   std::string& error)
{
    if (!parseNumber(text, options.database) || options.database < 0) {
        error = "the database must be a number: \"" + std::string(text) + "\"";
        return false;
    }

    return true;
}

bool parseUnix(std::string_view rest, RedisOptions& options, std::string& error)
{
    const auto question = rest.find('?');
    options.path = decode(rest.substr(0, question));

    if (options.path.empty() || options.path.front() != '/') {
        error = "unix:// needs an absolute path";
        return false;
    }

    if (question == std::string_view::npos) {
        return true;
    }

    const auto query = rest.substr(question + 1);

    if (!query.starts_with("db=")) {
        error = "unknown parameter \"" + std::string(query) + "\"";
        return false;
    }

    return parseDatabase(query.substr(3), options, error);
}

bool parseTcp(std::string_view rest, RedisOptions& options, std::string& error)
{
    const auto slash = rest.find('/');
    auto place = rest.substr(0, slash);

    if (place.starts_with('[') && place.find(']') != std::string_view::npos) {
        const auto bracket = place.find(']');
        options.host = place.substr(1, bracket - 1);
        place.remove_prefix(bracket + 1);
    } else {
        const auto colon = place.find(':');
        options.host = place.substr(0, colon);
        place.remove_prefix(colon == std::string_view::npos ? place.size()
                                                            : colon);
    }

    if (options.host.empty()) {
        error = "no host";
        return false;
    }

    if (!place.empty() &&
        (!place.starts_with(':') ||
         !parseNumber(place.substr(1), options.port) || options.port == 0)) {
        error = "invalid port \"" + std::string(place) + "\"";
        return false;
    }

    if (slash == std::string_view::npos || slash + 1 == rest.size()) {
        return true;
    }

    return parseDatabase(rest.substr(slash + 1), options, error);
}

}  // namespace

std::optional<RedisOptions> parseRedisUrl(std::string_view url,
                                          std::string& error)
{
    RedisOptions options;
    const bool isUnix = url.starts_with("unix://");

    if (!isUnix && !url.starts_with("redis://")) {
        error = "must begin with redis:// or unix://";
        return std::nullopt;
    }

    url.remove_prefix(isUnix ? 7 : 8);
    takeCredentials(url, options);

    const bool good =
        isUnix ? parseUnix(url, options, error) : parseTcp(url, options, error);

    if (!good) {
        return std::nullopt;
    }

    return options;
}

}  // namespace chat
