// News of one user that a session cannot take yet: it is catching up, or an
// earlier one is missing. Bounded per user in number and over all users in
// bytes; what does not fit is left to the inbox.

#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>

#include "inbox.hpp"

namespace chat {

struct HeldBudget {
    std::size_t bytes = 0;  // used now, over all users
    std::size_t maxBytes = 0;
    std::size_t maxMessages = 0;  // per user
};

class Held {
  public:
    struct Item {
        std::shared_ptr<const News> news;
        bool number = false;  // receive_user_id is a JSON integer
    };

    // False: there is no room. The item is not held then.
    bool add(HeldBudget& budget, std::uint64_t sequence, Item item);

    // Null: not held.
    [[nodiscard]] const Item* find(std::uint64_t sequence) const;

    // Calls visit(sequence) for those in (after, last], ascending.
    template <typename Visit>
    void each(std::uint64_t after, std::uint64_t last, Visit visit) const
    {
        for (auto it = items_.upper_bound(after);
             it != items_.end() && it->first <= last; ++it) {
            visit(it->first, it->second);
        }
    }

    void dropUpTo(HeldBudget& budget, std::uint64_t sequence);
    void clear(HeldBudget& budget);
    [[nodiscard]] bool empty() const { return items_.empty(); }

  private:
    std::map<std::uint64_t, Item> items_;
};

}  // namespace chat
