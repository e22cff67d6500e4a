#include "ngx_chat_module/users.hpp"

#include <new>
#include <string>
#include <unordered_map>

namespace chat {

namespace {

using Table = std::unordered_map<std::string, std::uint32_t>;

Table& table()
{
    static Table users;
    return users;
}

std::uint32_t* find(std::string_view user)
{
    auto entry = table().find(std::string(user));
    return entry == table().end() ? nullptr : &entry->second;
}

}  // namespace

bool userMayConnect(const LocConf* conf, std::string_view user)
{
    if (conf->maxUserConnections == 0 || user.empty()) {
        return true;
    }

    try {
        const std::uint32_t* count = find(user);
        return count == nullptr || *count < conf->maxUserConnections;
    } catch (const std::bad_alloc&) {
        return false;
    }
}

void countUser(Session* session)
{
    if (session->conf->maxUserConnections == 0 || session->userSize == 0) {
        return;
    }

    try {
        ++table()[std::string(session->user())];
        session->counted = true;
    } catch (const std::bad_alloc&) {
        session->counted = false;
    }
}

void forgetUser(Session* session)
{
    if (!session->counted) {
        return;
    }
    session->counted = false;

    try {
        auto entry = table().find(std::string(session->user()));
        if (entry != table().end() && --entry->second == 0) {
            table().erase(entry);
        }
    } catch (const std::bad_alloc&) {
        // The count stays one too high: too strict rather than too loose.
        return;
    }
}

bool identifyUser(Session* session, std::string_view user, bool number)
{
    if (session->user() == user) {
        session->number = number;
        session->claimed = true;
        return true;
    }

    if (!userMayConnect(session->conf, user)) {
        return false;
    }

    forgetUser(session);
    session->mark = 0;  // of the former user's inbox
    if (!setUser(session, user, number)) {
        countUser(session);
        return false;
    }
    session->claimed = true;
    countUser(session);
    return true;
}

}  // namespace chat
