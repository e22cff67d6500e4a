// Collects the rows of a membership query: no user twice, in row order.

#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>

#include "membership.hpp"

namespace chat {

class MembersBuilder {
  public:
    // An empty user is nobody and is left out.
    void add(std::string_view user, bool isNumber)
    {
        if (!user.empty() && seen_.emplace(user).second) {
            members_->list.push_back({std::string(user), isNumber});
        }
    }

    // Ok or NoSuchChat; the builder is empty afterwards.
    [[nodiscard]] LookupResult finish()
    {
        auto members = std::exchange(members_, std::make_shared<Members>());
        seen_.clear();

        if (members->list.empty()) {
            return {LookupStatus::NoSuchChat, nullptr, "no rows"};
        }

        return {LookupStatus::Ok, std::move(members), {}};
    }

  private:
    std::shared_ptr<Members> members_ = std::make_shared<Members>();
    std::unordered_set<std::string> seen_;
};

// Longer ids name no chat, and neither do ids with a zero byte, which no
// database takes as text.
inline constexpr std::size_t kMaxChatId = 255;

inline bool isUsableChatId(std::string_view chatId)
{
    return !chatId.empty() && chatId.size() <= kMaxChatId &&
           chatId.find('\0') == std::string_view::npos;
}

}  // namespace chat
