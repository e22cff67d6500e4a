#include "sorted_keys.hpp"

#include <algorithm>
#include <iterator>

#include "inbox.hpp"

namespace chat {

void SortedKeys::add(std::vector<std::string> keys, std::uint64_t after,
                     std::uint64_t last)
{
    Run run;
    run.reserve(keys.size());

    for (auto& key : keys) {
        const auto sequence = sequenceOf(key);

        if (sequence <= last && (sequence > after || after == 0)) {
            run.emplace_back(sequence, std::move(key));
        }
    }

    std::sort(run.begin(), run.end());
    runs_.push_back(std::move(run));

    while (runs_.size() > 1 &&
           runs_[runs_.size() - 2].size() < 2 * runs_.back().size()) {
        mergeLastTwo();
    }
}

void SortedKeys::mergeLastTwo()
{
    Run& left = runs_[runs_.size() - 2];
    Run& right = runs_.back();
    Run merged;
    merged.reserve(left.size() + right.size());
    std::merge(std::make_move_iterator(left.begin()),
               std::make_move_iterator(left.end()),
               std::make_move_iterator(right.begin()),
               std::make_move_iterator(right.end()),
               std::back_inserter(merged));
    runs_.pop_back();
    runs_.back() = std::move(merged);
}

std::vector<std::string> SortedKeys::take()
{
    while (runs_.size() > 1) {
        mergeLastTwo();
    }

    std::vector<std::string> keys;

    if (runs_.empty()) {
        return keys;
    }

    keys.reserve(runs_[0].size());

    for (auto& item : runs_[0]) {
        // A page may repeat a key when Redis resizes the hash meanwhile.
        if (keys.empty() || keys.back() != item.second) {
            keys.push_back(std::move(item.second));
        }
    }

    runs_.clear();
    return keys;
}

}  // namespace chat
