// SHA-1 (FIPS 180-4), for Sec-WebSocket-Accept only: the digest is part of the
// protocol there and keeps no secret.

#pragma once

#include <cstddef>
#include <string_view>

namespace chat::ws {

inline constexpr std::size_t kSha1Size = 20;

void sha1(std::string_view message, unsigned char out[kSha1Size]);

}  // namespace chat::ws
