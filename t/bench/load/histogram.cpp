#include "t/bench/load/histogram.hpp"

#include <algorithm>
#include <cmath>

namespace bench {

namespace {

constexpr unsigned kStepBits = 6;
constexpr uint64_t kSteps = 1u << kStepBits;
constexpr size_t kSlots = (64 - kStepBits + 1) * kSteps;

size_t slotOf(uint64_t value)
{
    if (value < kSteps) {
        return value;
    }

    unsigned top = 63 - static_cast<unsigned>(__builtin_clzll(value));
    unsigned shift = top - kStepBits;
    return (shift + 1) * kSteps + ((value >> shift) & (kSteps - 1));
}

int64_t upperEdge(size_t slot)
{
    if (slot < kSteps) {
        return static_cast<int64_t>(slot);
    }

    unsigned shift = static_cast<unsigned>(slot / kSteps - 1);
    uint64_t step = slot % kSteps + kSteps;
    return static_cast<int64_t>(((step + 1) << shift) - 1);
}

}  // namespace

Histogram::Histogram() : slots_(kSlots)
{
}

void Histogram::record(int64_t nanoseconds)
{
    uint64_t value = nanoseconds > 0 ? static_cast<uint64_t>(nanoseconds) : 0;
    slots_[slotOf(value)]++;
    count_++;
    max_ = std::max(max_, nanoseconds);
}

void Histogram::clear()
{
    std::fill(slots_.begin(), slots_.end(), 0);
    count_ = 0;
    max_ = 0;
}

int64_t Histogram::quantile(double share) const
{
    auto wanted =
        static_cast<uint64_t>(std::ceil(share * static_cast<double>(count_)));
    uint64_t seen = 0;

    for (size_t slot = 0; slot < slots_.size(); slot++) {
        seen += slots_[slot];
        if (seen >= wanted && seen > 0) {
            return std::min(upperEdge(slot), max_);
        }
    }
    return 0;
}

}  // namespace bench
