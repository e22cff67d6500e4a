// Reading what Redis replied.

#pragma once

#include <hiredis/hiredis.h>

#include <string>
#include <string_view>

namespace chat {

// The text of a string, status or error; empty for everything else.
inline std::string_view textOf(const redisReply* reply)
{
    return reply->str == nullptr
               ? std::string_view()
               : std::string_view(reply->str,
                                  static_cast<std::size_t>(reply->len));
}

// What a client may read in a 300 about an error of RedisConnection: no
// addresses, no keys.
std::string plainReason(const std::string& error);

}  // namespace chat
