// Who is in which chat. Chats and users are rows of the owner's database; this
// interface only reads them. Back ends: membership_sqlite,
// membership_postgresql, membership_memory (unit tests). membership_cache
// stands in front of any.

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

struct Member {
    std::string user;       // text form, as in inbox keys
    bool isNumber = false;  // an integer column gives a JSON integer
};

struct Members {
    std::vector<Member> list;  // in the order of the query, no user twice
    [[nodiscard]] bool contains(std::string_view user) const;
};

enum class LookupStatus {
    Ok,           // members is set and not empty
    NoSuchChat,   // the query gave no row, or the id is of no usable form
    Unavailable,  // the database cannot be asked now; reason says why
};

struct LookupResult {
    LookupStatus status = LookupStatus::Unavailable;
    std::shared_ptr<const Members> members;
    std::string reason;  // for the log; empty when Ok
};

class Membership {
  public:
    using Callback = std::function<void(const LookupResult&)>;

    virtual ~Membership() = default;

    // Calls back exactly once, perhaps before it returns. Look-ups of one chat
    // are answered in the order in which they were asked. chatId is the text
    // form of what the client sent (21 and "21" are the same chat).
    virtual void lookup(std::string_view chatId, Callback callback) = 0;
};

}  // namespace chat
