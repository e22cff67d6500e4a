// JSON as chat-worker needs it: a strict reader that gives the pieces of a
// text as they stand there. What a sender wrote (big integers, 1.10, escapes)
// is checked and passed on byte for byte, never printed anew.
//
// Accepted is what RFC 8259 and a browser's JSON.parse accept, up to a depth
// of kMaxDepth. The bytes of strings are not checked to be UTF-8: nginx has
// done that for the whole message.
//
// json.cpp is the only file that knows a JSON library.

#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace chat::json {

inline constexpr unsigned kMaxDepth = 64;

enum class Kind { Null, False, True, Number, String, Array, Object, None };

// Of a value that has been read, by its first byte. None: no value starts so.
[[nodiscard]] Kind kindOf(std::string_view raw);

// Pulls one text apart:
//
//     Reader reader(text);
//     std::string_view key;
//     reader.beginObject();
//     while (reader.nextField(key)) {
//         std::string_view raw = reader.skip();
//     }
//     if (!reader.finish()) { reader.problem(), reader.offset() }
//
// After the first fault every call returns false or an empty view. All views
// point into the text.
class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    // The kind of the value that comes next; None at the end or a fault.
    [[nodiscard]] Kind peek();

    // False: something else comes next (that is a fault).
    bool beginObject() { return begin('{'); }
    bool beginArray() { return begin('['); }

    // True: the key is read (raw, with its quotes) and its value comes next.
    // False: the object is over, or a fault.
    bool nextField(std::string_view& key);

    // True: an element comes next. False: the array is over, or a fault.
    bool nextElement();

    // The next value, checked to its end: without the space around it.
    std::string_view skip();

    // True if the whole text was one value and was read to its end.
    bool finish();

    [[nodiscard]] bool failed() const { return problem_ != nullptr; }
    [[nodiscard]] const char* problem() const { return problem_; }
    [[nodiscard]] std::size_t offset() const { return at_; }

  private:
    bool fail(const char* problem);
    void skipSpace();
    bool begin(char bracket);
    bool end();
    bool skipValue();
    bool skipString();
    bool skipEscape();
    bool skipNumber();
    bool skipDigits();
    bool skipWord(std::string_view word);
    bool skipObject();
    bool skipArray();
    [[nodiscard]] bool at(char c) const
    {
        return at_ < text_.size() && text_[at_] == c;
    }

    std::string_view text_;
    std::size_t at_ = 0;
    unsigned depth_ = 0;
    bool opened_ = false;  // nothing was read since the last opening bracket
    const char* problem_ = nullptr;
};

// Whether a raw key or string (with its quotes) is this text, escapes read.
[[nodiscard]] bool equals(std::string_view raw, std::string_view text);

// The text of a raw string. False: it is none that can be written in UTF-8
// (half a surrogate pair), or it contains U+0000.
[[nodiscard]] bool decode(std::string_view raw, std::string& text);

// A number without fraction and exponent.
[[nodiscard]] bool isInteger(std::string_view raw);

// Appends a value that has been read, without space between its tokens.
void appendCompact(std::string& out, std::string_view raw);

// Appends the text as a JSON string, with quotes.
void appendQuoted(std::string& out, std::string_view text);

}  // namespace chat::json
