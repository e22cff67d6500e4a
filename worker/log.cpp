#include "log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <memory>

namespace chat::log {

namespace {

constexpr std::size_t kMaxLine = 2048;

spdlog::level::level_enum toSpdlog(Level level)
{
    switch (level) {
    case Level::Debug:
        return spdlog::level::debug;
    case Level::Info:
        return spdlog::level::info;
    case Level::Warning:
        return spdlog::level::warn;
    case Level::Error:
        break;
    }
    return spdlog::level::err;
}

spdlog::logger& logger()
{
    static const auto instance = [] {
        auto sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
        auto made = std::make_shared<spdlog::logger>("chat-worker", sink);
        made->set_pattern("%Y-%m-%d %H:%M:%S.%e [%l] %P: %v");
        made->set_level(spdlog::level::info);
        made->flush_on(spdlog::level::debug);
        spdlog::set_default_logger(made);  // for code that knows only spdlog
        return made;
    }();
    return *instance;
}

std::string oneLine(std::string_view line)
{
    std::string clean;
    const auto shown = line.substr(0, kMaxLine);
    clean.reserve(shown.size());
    for (const char c : shown) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            clean += fmt::format("\\x{:02x}", byte);
        } else {
            clean += c;
        }
    }
    if (line.size() > kMaxLine) {
        clean += "...";
    }
    return clean;
}

}  // namespace

bool parseLevel(std::string_view name, Level& level)
{
    static constexpr std::array<std::pair<std::string_view, Level>, 4> kNames{{
        {"debug", Level::Debug},
        {"info", Level::Info},
        {"warn", Level::Warning},
        {"error", Level::Error},
    }};
    for (const auto& [text, value] : kNames) {
        if (text == name) {
            level = value;
            return true;
        }
    }
    return false;
}

void setLevel(Level level)
{
    logger().set_level(toSpdlog(level));
}

bool enabled(Level level)
{
    return logger().should_log(toSpdlog(level));
}

void write(Level level, std::string_view line)
{
    logger().log(toSpdlog(level), "{}", oneLine(line));
}

}  // namespace chat::log
