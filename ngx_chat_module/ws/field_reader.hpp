// Reads the pieces of a header field's value (RFC 7230 section 3.2.6).

#pragma once

#include <cstddef>
#include <string_view>

namespace chat::ws {

constexpr char lowerAscii(char c)
{
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

bool equalIgnoringCase(std::string_view a, std::string_view b);

class FieldReader {
  public:
    explicit FieldReader(std::string_view value) : rest_(value) {}

    bool atEnd() const { return rest_.empty(); }

    void skipSpace();

    // Takes the character, with optional space before it.
    bool take(char c);

    // The longest token here, empty if there is none.
    std::string_view token();

    // Takes a quoted-string whose content, unescaped, is a token. As much of
    // it as fits is copied to `out`; `size` is the whole. False: no such
    // string here.
    bool quotedToken(char* out, std::size_t room, std::size_t& size);

    // Between two elements of a comma-separated list: takes commas and space,
    // empty elements too. False: something else stands here.
    bool nextElement();

  private:
    std::string_view rest_;
};

}  // namespace chat::ws
