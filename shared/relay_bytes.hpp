// Little-endian integers in byte strings. The compiler turns each of these
// into one move on the machines that matter.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chat::relay {

template <typename T>
inline T load(const char* from)
{
    T value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        auto byte = static_cast<std::uint8_t>(from[i]);
        value = static_cast<T>(value | static_cast<T>(byte) << (8 * i));
    }
    return value;
}

template <typename T>
inline void store(char* to, T value)
{
    for (std::size_t i = 0; i < sizeof(T); ++i) {
        to[i] = static_cast<char>(static_cast<std::uint8_t>(value >> (8 * i)));
    }
}

template <typename T>
inline void put(std::string* out, T value)
{
    char bytes[sizeof(T)];
    store(bytes, value);
    out->append(bytes, sizeof(T));
}

}  // namespace chat::relay
