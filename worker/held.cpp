#include "held.hpp"

#include <utility>

namespace chat {

namespace {

std::size_t sizeOf(const Held::Item& item)
{
    return item.news->before.size() + item.news->after.size() +
           sizeof(Held::Item);
}

}  // namespace

bool Held::add(HeldBudget& budget, std::uint64_t sequence, Item item)
{
    const std::size_t size = sizeOf(item);
    if (items_.size() >= budget.maxMessages ||
        budget.bytes + size > budget.maxBytes) {
        return false;
    }
    if (items_.emplace(sequence, std::move(item)).second) {
        budget.bytes += size;
    }
    return true;
}

const Held::Item* Held::find(std::uint64_t sequence) const
{
    const auto it = items_.find(sequence);
    return it == items_.end() ? nullptr : &it->second;
}

void Held::dropUpTo(HeldBudget& budget, std::uint64_t sequence)
{
    while (!items_.empty() && items_.begin()->first <= sequence) {
        budget.bytes -= sizeOf(items_.begin()->second);
        items_.erase(items_.begin());
    }
}

void Held::clear(HeldBudget& budget)
{
    dropUpTo(budget, UINT64_MAX);
}

}  // namespace chat
