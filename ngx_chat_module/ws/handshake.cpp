#include "handshake.hpp"

#include <cstring>

#include "field_reader.hpp"
#include "sha1.hpp"

namespace chat::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::size_t kKeySize = 24;

bool isBase64(char c)
{
    return kBase64.find(c) != std::string_view::npos;
}

std::string_view trim(std::string_view text)
{
    constexpr std::string_view kSpace = " \t";
    std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) {
        return {};
    }
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// Calls each(element) for the elements of a list of tokens until it returns
// false. False: the list is malformed or each() said so.
template <typename Each>
bool forEachToken(std::string_view value, Each each)
{
    FieldReader reader(value);
    reader.take(',');
    for (reader.nextElement(); !reader.atEnd();) {
        std::string_view token = reader.token();
        if (token.empty() || !each(token) || !reader.nextElement()) {
            return false;
        }
    }
    return true;
}

bool contains(FieldValues values, std::string_view wanted)
{
    for (std::string_view value : values) {
        if (value == wanted) {
            return true;
        }
    }
    return false;
}

// How often the token stands in well-formed lists.
std::size_t count(FieldValues fields, std::string_view wanted)
{
    std::size_t found = 0;
    for (std::string_view field : fields) {
        forEachToken(field, [&](std::string_view token) {
            found += token == wanted ? 1 : 0;
            return true;
        });
    }
    return found;
}

}  // namespace

bool hasToken(FieldValues fields, std::string_view token)
{
    for (std::string_view field : fields) {
        while (!field.empty()) {
            std::size_t comma = field.find(',');
            if (equalIgnoringCase(trim(field.substr(0, comma)), token)) {
                return true;
            }
            if (comma == std::string_view::npos) {
                break;
            }
            field.remove_prefix(comma + 1);
        }
    }
    return false;
}

bool isKey(std::string_view value)
{
    if (value.size() != kKeySize || value.substr(kKeySize - 2) != "==") {
        return false;
    }
    for (char c : value.substr(0, kKeySize - 2)) {
        if (!isBase64(c)) {
            return false;
        }
    }
    return true;
}

Version readVersion(std::string_view value)
{
    if (value.empty() || value.size() > 3 ||
        (value.size() > 1 && value.front() == '0')) {
        return Version::Malformed;
    }
    int number = 0;
    for (char c : value) {
        if (c < '0' || c > '9') {
            return Version::Malformed;
        }
        number = number * 10 + (c - '0');
    }
    if (number > 255) {
        return Version::Malformed;
    }
    return number == 13 ? Version::Supported : Version::Unsupported;
}

void encodeAccept(char out[kAcceptSize], std::string_view key)
{
    char text[kKeySize + kGuid.size()];
    std::size_t size = key.copy(text, kKeySize);
    std::memcpy(text + size, kGuid.data(), kGuid.size());

    // One byte of zero behind the digest makes its 20 bytes seven groups of
    // three; the last character is padding then.
    unsigned char digest[kSha1Size + 1] = {};
    sha1(std::string_view(text, size + kGuid.size()), digest);
    for (std::size_t i = 0; i < sizeof(digest); i += 3, out += 4) {
        unsigned group =
            digest[i] << 16U | digest[i + 1] << 8U | unsigned{digest[i + 2]};
        out[0] = kBase64[group >> 18];
        out[1] = kBase64[group >> 12 & 63];
        out[2] = kBase64[group >> 6 & 63];
        out[3] = kBase64[group & 63];
    }
    out[-1] = '=';
}

Selection selectSubprotocol(FieldValues offered, FieldValues supported,
                            std::string_view& selected)
{
    constexpr std::size_t kMost = 64;  // a handshake that offers more is abuse
    std::size_t seen = 0;
    Selection selection = Selection::None;

    for (std::string_view field : offered) {
        bool good = forEachToken(field, [&](std::string_view token) {
            if (selection == Selection::None && contains(supported, token)) {
                selection = Selection::Selected;
                selected = token;
            }
            return ++seen <= kMost && count(offered, token) == 1;
        });
        if (!good) {
            return Selection::Malformed;
        }
    }
    if (offered.size != 0 && seen == 0) {
        return Selection::Malformed;
    }
    return selection;
}

}  // namespace chat::ws
