#include "mask.hpp"

#include <cstring>

namespace chat::ws {
namespace {

// 16 bytes: one SSE2 or NEON register at every optimisation level.
typedef std::uint32_t Block __attribute__((vector_size(16)));

inline void maskBlock(unsigned char* data, const Block& key)
{
    Block block;
    std::memcpy(&block, data, sizeof(block));
    block ^= key;
    std::memcpy(data, &block, sizeof(block));
}

std::uint32_t turnKey(std::uint32_t key, std::size_t by)
{
    unsigned char twice[8];
    std::memcpy(twice, &key, 4);
    std::memcpy(twice + 4, &key, 4);
    std::memcpy(&key, twice + (by & 3), 4);
    return key;
}

}  // namespace

std::uint32_t applyMask(unsigned char* data, std::size_t size,
                        std::uint32_t key)
{
    const Block block = {key, key, key, key};
    std::size_t left = size;

    for (; left >= 64; left -= 64, data += 64) {
        maskBlock(data, block);
        maskBlock(data + 16, block);
        maskBlock(data + 32, block);
        maskBlock(data + 48, block);
    }
    for (; left >= 16; left -= 16, data += 16) {
        maskBlock(data, block);
    }
    unsigned char bytes[16];
    std::memcpy(bytes, &block, sizeof(bytes));
    for (std::size_t i = 0; i < left; ++i) {
        data[i] ^= bytes[i];
    }
    return turnKey(key, size);
}

}  // namespace chat::ws
