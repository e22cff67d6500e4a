// Builds commands in the Redis protocol (RESP), many in a row, in one buffer
// that is used again: no allocation per argument.

#pragma once

#include <charconv>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace chat {

class RedisCommand {
  public:
    // Starts a command of `arguments` arguments, its name included. Exactly
    // that many have to be added.
    RedisCommand& begin(std::size_t arguments)
    {
        text_.clear();
        text_ += '*';
        number(arguments);
        return *this;
    }

    RedisCommand& add(std::string_view argument)
    {
        text_ += '$';
        number(argument.size());
        text_ += argument;
        text_ += "\r\n";
        return *this;
    }

    // An argument in two parts: a prefix and a name.
    RedisCommand& add(std::string_view first, std::string_view second)
    {
        text_ += '$';
        number(first.size() + second.size());
        text_ += first;
        text_ += second;
        text_ += "\r\n";
        return *this;
    }

    template <std::integral Integer>
    RedisCommand& add(Integer value)
    {
        char digits[24];
        const auto end =
            std::to_chars(digits, digits + sizeof(digits), value).ptr;
        return add(std::string_view(digits, end));
    }

    [[nodiscard]] std::string_view text() const { return text_; }

  private:
    void number(std::size_t value)
    {
        char digits[24];
        text_.append(digits,
                     std::to_chars(digits, digits + sizeof(digits), value).ptr);
        text_ += "\r\n";
    }

    std::string text_;
};

}  // namespace chat
