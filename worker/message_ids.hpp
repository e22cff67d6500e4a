// Names for messages, the second half of inbox keys: unique over processes
// and restarts by a random prefix, short because every key carries one.

#pragma once

#include <charconv>
#include <cstdint>
#include <random>
#include <string>

namespace chat {

class MessageIds {
  public:
    MessageIds()
    {
        std::random_device random;
        constexpr std::string_view kLetters =
            "0123456789abcdefghijklmnopqrstuvwxyz";
        for (int i = 0; i < 8; ++i) {
            prefix_ += kLetters[random() % kLetters.size()];
        }
    }

    [[nodiscard]] std::string next()
    {
        char digits[16];
        const auto end =
            std::to_chars(digits, digits + sizeof(digits), ++count_, 36).ptr;
        return std::string(prefix_).append(digits, end);
    }

  private:
    std::string prefix_;
    std::uint64_t count_ = 0;
};

}  // namespace chat
