#include "units.hpp"

#include <array>
#include <charconv>
#include <limits>
#include <utility>

namespace chat {

namespace {

struct Unit {
    std::string_view suffix;
    std::uint64_t factor;
};

constexpr std::array<Unit, 7> kSizes{{{"", 1},
                                      {"k", 1U << 10},
                                      {"K", 1U << 10},
                                      {"m", 1U << 20},
                                      {"M", 1U << 20},
                                      {"g", 1U << 30},
                                      {"G", 1U << 30}}};

constexpr std::array<Unit, 6> kTimes{{{"", 1000},
                                      {"ms", 1},
                                      {"s", 1000},
                                      {"m", 60'000},
                                      {"h", 3'600'000},
                                      {"d", 86'400'000}}};

template <std::size_t N>
std::optional<std::uint64_t> parse(std::string_view text,
                                   const std::array<Unit, N>& units)
{
    std::uint64_t number = 0;
    const char* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc()) {
        return std::nullopt;
    }
    const std::string_view suffix(rest, static_cast<std::size_t>(end - rest));
    constexpr auto kMax =
        static_cast<std::uint64_t>(std::numeric_limits<std::int64_t>::max());
    for (const Unit& unit : units) {
        if (unit.suffix == suffix && number <= kMax / unit.factor) {
            return number * unit.factor;
        }
    }
    return std::nullopt;
}

}  // namespace

std::optional<std::uint64_t> parseSize(std::string_view text)
{
    return parse(text, kSizes);
}

std::optional<std::chrono::milliseconds> parseTime(std::string_view text)
{
    const auto value = parse(text, kTimes);
    if (!value) {
        return std::nullopt;
    }
    return std::chrono::milliseconds(*value);
}

}  // namespace chat
