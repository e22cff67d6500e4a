// The opening handshake, as far as it can be told from the values of header
// fields (RFC 6455 sections 4.2.1, 4.2.2, 11.3). Nothing here allocates.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chat::ws {

// The values of all fields of one name, in the order in which they came. The
// array must outlive the call.
struct FieldValues {
    const std::string_view* data = nullptr;
    std::size_t size = 0;

    FieldValues() = default;
    FieldValues(const std::string_view* values, std::size_t count)
        : data(values), size(count)
    {
    }
    FieldValues(const std::string_view& value) : data(&value), size(1) {}

    const std::string_view* begin() const { return data; }
    const std::string_view* end() const { return data + size; }
};

// Whether a comma-separated list has this token, compared without case. For
// Connection ("upgrade") and Upgrade ("websocket").
bool hasToken(FieldValues fields, std::string_view token);

// Whether Sec-WebSocket-Key is the base64 of 16 bytes: 22 base64 characters
// and "==". The four bits that stand for nothing may have any value, as the
// grammar allows.
bool isKey(std::string_view value);

enum class Version {
    Supported,    // 13
    Unsupported,  // another number up to 255: answer 426
    Malformed,    // answer 400
};
Version readVersion(std::string_view value);

inline constexpr std::size_t kAcceptSize = 28;

// Sec-WebSocket-Accept for a key that isKey() found good.
void encodeAccept(char out[kAcceptSize], std::string_view key);

enum class Selection {
    None,       // none was offered or none of ours: no header in the response
    Selected,   // `selected` is ours, one of `supported`
    Malformed,  // not a list of distinct tokens: the handshake must fail
};

// Sec-WebSocket-Protocol: takes the first of the client's protocols that is
// one of ours (compared with case). The client lists them by preference.
Selection selectSubprotocol(FieldValues offered, FieldValues supported,
                            std::string_view& selected);

}  // namespace chat::ws
