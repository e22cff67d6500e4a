// Look-ups that wait for their answer.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "loop.hpp"
#include "worker/stores.hpp"

namespace chat::test {

inline LookupResult lookup(Loop& loop, Membership& membership,
                           std::string_view chatId)
{
    std::optional<LookupResult> answer;
    membership.lookup(chatId, [&](const LookupResult& r) { answer = r; });
    ck_assert(loop.until([&] { return answer.has_value(); }));
    return *answer;
}

// "1 2 'ann'", strings quoted; or "none", or "away".
inline std::string members(Loop& loop, Membership& membership,
                           std::string_view chatId)
{
    const auto result = lookup(loop, membership, chatId);

    if (result.status == LookupStatus::NoSuchChat) {
        return "none";
    }

    if (result.status == LookupStatus::Unavailable) {
        return "away";
    }

    std::string text;

    for (const auto& member : result.members->list) {
        text += text.empty() ? "" : " ";
        text += member.isNumber ? member.user : "'" + member.user + "'";
    }

    return text;
}

}  // namespace chat::test
