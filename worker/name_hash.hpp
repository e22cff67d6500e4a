// For tables by name that are asked with a std::string_view, without a copy.

#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace chat {

struct NameHash {
    using is_transparent = void;

    std::size_t operator()(std::string_view name) const
    {
        return std::hash<std::string_view>()(name);
    }
};

}  // namespace chat
