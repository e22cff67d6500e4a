// UTF-8 as RFC 3629 defines it: no overlong forms, no surrogates, nothing
// above U+10FFFF.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chat::ws {

// Checks text that comes in pieces cut anywhere. It fails at the first byte
// with which no valid text can go on: after E0 that is already 9F. Four bytes
// of state; copyable.
class Utf8Checker {
  public:
    // False if the text is invalid by now; it then stays so until reset().
    bool feed(const unsigned char* data, std::size_t size);

    // Whether the text may end here: valid and not inside a character.
    bool complete() const { return pending_ == 0; }

    void reset() { *this = Utf8Checker(); }

  private:
    bool feedByte(unsigned char byte);
    bool startCharacter(unsigned char lead);

    static constexpr std::uint8_t kInvalid = 0xff;

    std::uint8_t pending_ = 0;  // continuation bytes to come, or kInvalid
    std::uint8_t low_ = 0x80;   // range of the next one
    std::uint8_t high_ = 0xbf;
};

// Whole text at once.
bool isUtf8(std::string_view text);

}  // namespace chat::ws
