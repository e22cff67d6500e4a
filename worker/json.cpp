#include "json.hpp"

#include <cJSON.h>

#include <cstdint>
#include <cstring>
#include <memory>

namespace chat::json {

namespace {

bool isSpace(char c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

bool isDigit(char c)
{
    return c >= '0' && c <= '9';
}

bool isHex(char c)
{
    return isDigit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool isPlain(char c)
{
    return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\';
}

// Whether one of eight bytes is no plain character of a string. May say yes
// for bytes that are (behind one that is not), never no for one that is not.
bool hasSpecial(const char* bytes)
{
    constexpr std::uint64_t kOnes = 0x0101010101010101U;
    constexpr std::uint64_t kHigh = 0x8080808080808080U;
    std::uint64_t word = 0;
    std::memcpy(&word, bytes, sizeof(word));
    const auto zeroByte = [](std::uint64_t w) {
        return (w - kOnes) & ~w & kHigh;
    };
    const std::uint64_t control = (word - kOnes * 0x20) & ~word & kHigh;
    return (control | zeroByte(word ^ (kOnes * '"')) |
            zeroByte(word ^ (kOnes * '\\'))) != 0;
}

std::size_t skipPlain(std::string_view text, std::size_t at)
{
    while (at + 8 <= text.size() && !hasSpecial(text.data() + at)) {
        at += 8;
    }
    while (at < text.size() && isPlain(text[at])) {
        ++at;
    }
    return at;
}

bool namesNul(std::string_view raw)
{
    for (std::size_t at = raw.find('\\'); at != std::string_view::npos;
         at = raw.find('\\', at + 2)) {
        if (raw.substr(at, 6) == "\\u0000") {
            return true;
        }
    }
    return false;
}

}  // namespace

Kind kindOf(std::string_view raw)
{
    switch (raw.empty() ? '\0' : raw.front()) {
    case '{':
        return Kind::Object;
    case '[':
        return Kind::Array;
    case '"':
        return Kind::String;
    case 't':
        return Kind::True;
    case 'f':
        return Kind::False;
    case 'n':
        return Kind::Null;
    default:
        break;
    }
    const bool number = !raw.empty() && (raw[0] == '-' || isDigit(raw[0]));
    return number ? Kind::Number : Kind::None;
}

bool Reader::fail(const char* problem)
{
    if (problem_ == nullptr) {
        problem_ = problem;
    }
    return false;
}

void Reader::skipSpace()
{
    while (at_ < text_.size() && isSpace(text_[at_])) {
        ++at_;
    }
}

Kind Reader::peek()
{
    if (failed()) {
        return Kind::None;
    }
    skipSpace();
    return kindOf(text_.substr(at_));
}

bool Reader::begin(char bracket)
{
    if (failed()) {
        return false;
    }
    skipSpace();
    if (!at(bracket)) {
        return fail(bracket == '{' ? "an object was expected"
                                   : "an array was expected");
    }
    if (depth_ == kMaxDepth) {
        return fail("nested too deeply");
    }
    ++at_;
    ++depth_;
    opened_ = true;
    return true;
}

bool Reader::end()
{
    ++at_;
    --depth_;
    opened_ = false;
    return false;
}

bool Reader::nextField(std::string_view& key)
{
    if (failed()) {
        return false;
    }
    skipSpace();
    if (at('}')) {
        return end();
    }
    if (!opened_) {
        if (!at(',')) {
            return fail("\",\" or \"}\" was expected");
        }
        ++at_;
        skipSpace();
    }
    opened_ = false;
    const std::size_t start = at_;
    if (!at('"')) {
        return fail("a key in double quotes was expected");
    }
    if (!skipString()) {
        return false;
    }
    key = text_.substr(start, at_ - start);
    skipSpace();
    if (!at(':')) {
        return fail("\":\" was expected");
    }
    ++at_;
    return true;
}

bool Reader::nextElement()
{
    if (failed()) {
        return false;
    }
    skipSpace();
    if (at(']')) {
        return end();
    }
    if (!opened_) {
        if (!at(',')) {
            return fail("\",\" or \"]\" was expected");
        }
        ++at_;
    }
    opened_ = false;
    return true;
}

std::string_view Reader::skip()
{
    if (failed()) {
        return {};
    }
    skipSpace();
    const std::size_t start = at_;
    if (!skipValue()) {
        return {};
    }
    return text_.substr(start, at_ - start);
}

bool Reader::finish()
{
    if (failed()) {
        return false;
    }
    skipSpace();
    if (at_ != text_.size() || depth_ != 0) {
        return fail("the text should end here");
    }
    return true;
}

bool Reader::skipValue()
{
    switch (peek()) {
    case Kind::Object:
        return skipObject();
    case Kind::Array:
        return skipArray();
    case Kind::String:
        return skipString();
    case Kind::Number:
        return skipNumber();
    case Kind::True:
        return skipWord("true");
    case Kind::False:
        return skipWord("false");
    case Kind::Null:
        return skipWord("null");
    case Kind::None:
        break;
    }
    return fail("a value was expected");
}

bool Reader::skipObject()
{
    std::string_view key;
    if (!beginObject()) {
        return false;
    }
    while (nextField(key)) {
        if (!skipValue()) {
            return false;
        }
    }
    return !failed();
}

bool Reader::skipArray()
{
    if (!beginArray()) {
        return false;
    }
    while (nextElement()) {
        if (!skipValue()) {
            return false;
        }
    }
    return !failed();
}

bool Reader::skipWord(std::string_view word)
{
    if (text_.substr(at_, word.size()) != word) {
        return fail("a value was expected");
    }
    at_ += word.size();
    return true;
}

bool Reader::skipString()
{
    ++at_;
    for (;;) {
        at_ = skipPlain(text_, at_);
        if (at_ == text_.size()) {
            return fail("a string does not end");
        }
        if (text_[at_] == '"') {
            ++at_;
            return true;
        }
        if (text_[at_] != '\\') {
            return fail("a control character stands in a string");
        }
        if (!skipEscape()) {
            return false;
        }
    }
}

bool Reader::skipEscape()
{
    constexpr std::string_view kLetters = "\"\\/bfnrt";
    const char letter = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
    if (letter == 'u') {
        for (std::size_t i = at_ + 2; i < at_ + 6; ++i) {
            if (i >= text_.size() || !isHex(text_[i])) {
                return fail("a bad escape stands in a string");
            }
        }
        at_ += 6;
        return true;
    }
    if (letter == '\0' || kLetters.find(letter) == std::string_view::npos) {
        return fail("a bad escape stands in a string");
    }
    at_ += 2;
    return true;
}

bool Reader::skipDigits()
{
    const std::size_t start = at_;
    while (at_ < text_.size() && isDigit(text_[at_])) {
        ++at_;
    }
    return at_ > start || fail("a digit was expected");
}

bool Reader::skipNumber()
{
    if (at('-')) {
        ++at_;
    }
    if (at('0')) {
        ++at_;
    } else if (!skipDigits()) {
        return false;
    }
    if (at('.')) {
        ++at_;
        if (!skipDigits()) {
            return false;
        }
    }
    if (at('e') || at('E')) {
        ++at_;
        if (at('+') || at('-')) {
            ++at_;
        }
        return skipDigits();
    }
    return true;
}

bool equals(std::string_view raw, std::string_view text)
{
    const auto inner = raw.substr(1, raw.size() - 2);
    if (inner.find('\\') == std::string_view::npos) {
        return inner == text;
    }
    std::string decoded;
    return decode(raw, decoded) && decoded == text;
}

bool decode(std::string_view raw, std::string& text)
{
    const auto inner = raw.substr(1, raw.size() - 2);
    if (inner.find('\\') == std::string_view::npos) {
        text.assign(inner);
        return true;
    }
    if (namesNul(inner)) {
        return false;
    }
    const std::unique_ptr<cJSON, decltype(&cJSON_Delete)> value(
        cJSON_ParseWithLength(raw.data(), raw.size()), cJSON_Delete);
    if (!cJSON_IsString(value.get())) {
        return false;
    }
    text.assign(value->valuestring);
    return true;
}

bool isInteger(std::string_view raw)
{
    return kindOf(raw) == Kind::Number &&
           raw.find_first_of(".eE") == std::string_view::npos;
}

void appendCompact(std::string& out, std::string_view raw)
{
    const Kind kind = kindOf(raw);
    if (kind != Kind::Object && kind != Kind::Array) {
        out.append(raw);
        return;
    }
    std::size_t at = 0;
    while (at < raw.size()) {
        const std::size_t start = at;
        if (raw[at] == '"') {
            for (at = skipPlain(raw, at + 1); raw[at] != '"';
                 at = skipPlain(raw, at)) {
                at += 2;  // a backslash and what it escapes
            }
            ++at;
        } else {
            ++at;
        }
        if (!isSpace(raw[start])) {
            out.append(raw.substr(start, at - start));
        }
    }
}

void appendQuoted(std::string& out, std::string_view text)
{
    static constexpr std::string_view kHex = "0123456789abcdef";
    out += '"';
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t plain = skipPlain(text, at);
        out.append(text.substr(at, plain - at));
        at = plain;
        if (at == text.size()) {
            break;
        }
        const auto byte = static_cast<unsigned char>(text[at++]);
        if (byte >= 0x20) {
            out += '\\';
            out += static_cast<char>(byte);
        } else {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 0xf];
        }
    }
    out += '"';
}

}  // namespace chat::json
