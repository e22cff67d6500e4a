#include "membership_memory.hpp"

#include <utility>

namespace chat {

void MembershipMemory::lookup(std::string_view chatId, Callback callback)
{
    ++lookups_;

    if (holding_) {
        held_.emplace_back(chatId, std::move(callback));
        return;
    }

    callback(find(std::string(chatId)));
}

LookupResult MembershipMemory::find(const std::string& chatId) const
{
    if (!failure_.empty()) {
        return {LookupStatus::Unavailable, nullptr, failure_};
    }

    const auto found = chats_.find(chatId);

    if (found == chats_.end()) {
        return {LookupStatus::NoSuchChat, nullptr, "no rows"};
    }

    return {LookupStatus::Ok, found->second, {}};
}

void MembershipMemory::set(std::string_view chatId, std::vector<Member> members)
{
    auto value = std::make_shared<Members>();
    value->list = std::move(members);
    chats_.insert_or_assign(std::string(chatId), std::move(value));
}

void MembershipMemory::remove(std::string_view chatId)
{
    const auto found = chats_.find(chatId);

    if (found != chats_.end()) {
        chats_.erase(found);
    }
}

void MembershipMemory::fail(std::string_view reason)
{
    failure_ = reason;
}

void MembershipMemory::release()
{
    auto waiting = std::exchange(held_, {});

    for (auto& [chatId, callback] : waiting) {
        callback(find(chatId));
    }
}

}  // namespace chat
