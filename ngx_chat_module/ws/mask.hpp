// XOR masking of a client's payload (RFC 6455 section 5.3).

#pragma once

#include <cstddef>
#include <cstdint>

namespace chat::ws {

// XORs data[0, size) in place with the repeated masking key. `key` holds the
// four key bytes in memory order (memcpy from the wire). Returns the key turned
// so that the call for the bytes that follow goes on where this one ended.
std::uint32_t applyMask(unsigned char* data, std::size_t size,
                        std::uint32_t key);

}  // namespace chat::ws
