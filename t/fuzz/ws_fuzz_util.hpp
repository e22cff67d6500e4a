// What the fuzz targets of ngx_chat_module/ws share.

#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>

namespace wsfuzz {

// An invariant; a plain abort so that it holds in every kind of build.
inline void require(bool holds)
{
    if (!holds) {
        std::abort();
    }
}

// Takes settings from the front of a fuzzer's bytes; the rest is the input.
class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size)
        : rest_(reinterpret_cast<const char*>(data), size)
    {
    }

    std::uint8_t byte()
    {
        if (rest_.empty()) {
            return 0;
        }
        auto value = static_cast<std::uint8_t>(rest_.front());
        rest_.remove_prefix(1);
        return value;
    }

    std::uint32_t number()
    {
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i) {
            value = value << 8 | byte();
        }
        return value;
    }

    std::string_view rest() const { return rest_; }

  private:
    std::string_view rest_;
};

// Calls use(begin, end) with one piece of the input after the other, each in a
// block of its own, until it returns false. cuts: 0 gives all in one piece, 1
// single bytes, anything else is the seed of pieces of 1 to 64 bytes.
template <typename Use>
void forEachPiece(std::string_view input, std::uint32_t cuts, Use use)
{
    std::uint32_t state = cuts;
    while (!input.empty()) {
        state = state * 1664525U + 1013904223U;
        std::size_t size = cuts == 0   ? input.size()
                           : cuts == 1 ? 1
                                       : 1 + (state >> 26);
        size = std::min(size, input.size());
        std::unique_ptr<unsigned char[]> block(new unsigned char[size]);
        std::memcpy(block.get(), input.data(), size);
        if (!use(block.get(), block.get() + size)) {
            return;
        }
        input.remove_prefix(size);
    }
}

}  // namespace wsfuzz
