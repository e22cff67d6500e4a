// Sizes and times the way nginx writes them: "64k", "8m", "1g"; "500ms",
// "20s", "5m", "12h", "90d". A number alone is bytes, or seconds.

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string_view>

namespace chat {

// Empty if the text is no size or time, or does not fit.
[[nodiscard]] std::optional<std::uint64_t> parseSize(std::string_view text);
[[nodiscard]] std::optional<std::chrono::milliseconds> parseTime(
    std::string_view text);

}  // namespace chat
