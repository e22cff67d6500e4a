// A message that goes to many sessions, the same but for a few holes: deflated
// once, finished for each recipient by copying.
//
// The pieces between the holes are deflated each for itself (full flush) and
// end where the length of a stored block belongs; a hole's text then is such a
// block: two bytes of length, the same inverted, the text.
//
//   piece 0 ... 000 | LEN NLEN text 0 | piece 1 ... 000 | LEN NLEN text 1 | ...
//
// The result refers to no earlier message, and is nothing for a recipient with
// whom we keep a context: our side of it would not know of the message.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "buffer.hpp"
#include "deflate.hpp"

namespace chat::ws {

class HoledBody {
  public:
    static constexpr std::size_t kMaxHoles = 256;
    static constexpr std::size_t kMaxText = 0xffff;
    static constexpr std::size_t kHoleCost = 4;

    // `offsets`: ascending, each <= body.size(). False: no memory, or more
    // than kMaxHoles. The deflater must come fresh from the pool, with a window
    // that suits every recipient. May be called again for another body and
    // keeps its memory.
    bool build(Deflater& deflater, std::string_view body,
               const std::uint32_t* offsets, std::size_t holes);

    std::size_t holes() const { return holes_; }

    // Size of the compressed message for hole texts of `textBytes` together.
    std::size_t size(std::size_t textBytes) const
    {
        return pieces_.size() + holes_ * kHoleCost + textBytes;
    }

    // Writes the compressed message to `out` and returns its end. text(i) gives
    // the text of hole i as a string_view of at most kMaxText bytes and is
    // called once for each hole, in order.
    template <typename Text>
    unsigned char* write(unsigned char* out, Text&& text) const
    {
        std::size_t from = 0;
        for (std::size_t i = 0; i < holes_; ++i) {
            out = copy(out, pieces_.data() + from, ends_[i] - from);
            out = putStored(out, text(i));
            from = ends_[i];
        }
        return copy(out, pieces_.data() + from, pieces_.size() - from);
    }

    // Gives the memory back.
    void release();

  private:
    static unsigned char* copy(unsigned char* out, const void* from,
                               std::size_t size)
    {
        std::memcpy(out, from, size);
        return out + size;
    }
    static unsigned char* putStored(unsigned char* out, std::string_view text);

    Buffer pieces_;
    std::array<std::uint32_t, kMaxHoles> ends_;  // of the piece before hole i
    std::size_t holes_ = 0;
};

}  // namespace chat::ws
