#include "membership.hpp"

#include <algorithm>

namespace chat {

bool Members::contains(std::string_view user) const
{
    return std::any_of(list.begin(), list.end(), [&](const Member& member) {
        return member.user == user;
    });
}

}  // namespace chat
