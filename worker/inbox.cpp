#include "inbox.hpp"

#include <charconv>

namespace chat {

std::uint64_t sequenceOf(std::string_view key)
{
    std::uint64_t sequence = 0;
    const char* end = key.data() + key.size();
    const auto [rest, error] = std::from_chars(key.data(), end, sequence);
    return error == std::errc() && rest != end && *rest == '-' ? sequence : 0;
}

}  // namespace chat
