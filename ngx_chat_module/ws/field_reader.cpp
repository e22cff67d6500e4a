#include "field_reader.hpp"

namespace chat::ws {
namespace {

bool isTokenChar(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
        (c >= '0' && c <= '9')) {
        return true;
    }
    return c != '\0' && std::string_view("!#$%&'*+-.^_`|~").find(c) !=
                            std::string_view::npos;
}

}  // namespace

bool equalIgnoringCase(std::string_view a, std::string_view b)
{
    if (a.size() != b.size()) {
        return false;
    }
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (lowerAscii(a[i]) != lowerAscii(b[i])) {
            return false;
        }
    }
    return true;
}

void FieldReader::skipSpace()
{
    while (!rest_.empty() && (rest_.front() == ' ' || rest_.front() == '\t')) {
        rest_.remove_prefix(1);
    }
}

bool FieldReader::take(char c)
{
    skipSpace();
    if (rest_.empty() || rest_.front() != c) {
        return false;
    }
    rest_.remove_prefix(1);
    return true;
}

std::string_view FieldReader::token()
{
    std::size_t size = 0;
    while (size < rest_.size() && isTokenChar(rest_[size])) {
        ++size;
    }
    std::string_view token = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return token;
}

bool FieldReader::quotedToken(char* out, std::size_t room, std::size_t& size)
{
    size = 0;
    if (rest_.empty() || rest_.front() != '"') {
        return false;
    }
    for (std::size_t i = 1; i < rest_.size(); ++i) {
        if (rest_[i] == '"') {
            rest_.remove_prefix(i + 1);
            return size != 0;
        }
        if (rest_[i] == '\\' && ++i == rest_.size()) {
            return false;
        }
        if (!isTokenChar(rest_[i])) {
            return false;
        }
        if (size < room) {
            out[size] = rest_[i];
        }
        ++size;
    }
    return false;
}

bool FieldReader::nextElement()
{
    skipSpace();
    if (rest_.empty()) {
        return true;
    }
    if (rest_.front() != ',') {
        return false;
    }
    while (take(',')) {
    }
    skipSpace();
    return true;
}

}  // namespace chat::ws
