// Puts the keys of an inbox in order, page by page as Redis hands them over, so
// that a large inbox does not cost its whole sorting in one go: pages become
// sorted runs, and runs of about the same size are merged.

#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace chat {

class SortedKeys {
  public:
    // Takes keys with a number above `after` and not above `last`. Keys of
    // another form (an inbox that an older system has left) have no number:
    // they are taken when `after` is 0, and come first.
    void add(std::vector<std::string> keys, std::uint64_t after,
             std::uint64_t last);

    // All keys in order, none twice. Nothing is left behind.
    [[nodiscard]] std::vector<std::string> take();

  private:
    using Item = std::pair<std::uint64_t, std::string>;
    using Run = std::vector<Item>;

    void mergeLastTwo();

    std::vector<Run> runs_;  // each at least twice as long as the next
};

}  // namespace chat
