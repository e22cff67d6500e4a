// Log lines of chat-worker: one line each to stderr, with time and level.
// What clients or other programs wrote (ids, reasons, server replies) goes
// through here too, so control characters are escaped: one call, one line.

#pragma once

#include <spdlog/fmt/fmt.h>

#include <string>
#include <string_view>
#include <utility>

namespace chat::log {

enum class Level { Debug, Info, Warning, Error };

// The names of the setting log.level: debug, info, warn, error.
// False if there is no such level.
[[nodiscard]] bool parseLevel(std::string_view name, Level& level);

// May be called again at any time (SIGHUP).
void setLevel(Level level);
[[nodiscard]] bool enabled(Level level);

void write(Level level, std::string_view line);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args)
{
    if (enabled(Level::Debug)) {
        write(Level::Debug, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args)
{
    if (enabled(Level::Info)) {
        write(Level::Info, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args)
{
    if (enabled(Level::Warning)) {
        write(Level::Warning, fmt::format(format, std::forward<Args>(args)...));
    }
}

template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args)
{
    write(Level::Error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace chat::log
