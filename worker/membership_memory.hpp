// Membership without a database, for unit tests.

#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "membership.hpp"

namespace chat {

class MembershipMemory : public Membership {
  public:
    // Answers before it returns, unless hold(true).
    void lookup(std::string_view chatId, Callback callback) override;

    void set(std::string_view chatId, std::vector<Member> members);
    void remove(std::string_view chatId);
    // Every look-up gets Unavailable with this reason; empty: works again.
    void fail(std::string_view reason);
    // Keeps look-ups back, in order, until release(). What they find is what
    // stands at the time of release().
    void hold(bool held) { holding_ = held; }
    void release();
    [[nodiscard]] std::uint64_t lookups() const { return lookups_; }

  private:
    [[nodiscard]] LookupResult find(const std::string& chatId) const;

    std::map<std::string, std::shared_ptr<const Members>, std::less<>> chats_;
    std::deque<std::pair<std::string, Callback>> held_;
    std::string failure_;
    bool holding_ = false;
    std::uint64_t lookups_ = 0;
};

}  // namespace chat
