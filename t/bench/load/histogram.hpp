// Log-linear histogram of nanoseconds in the manner of HdrHistogram: 64 steps
// for each power of two, so a value read back is at most 1.6 % too high.
#pragma once

#include <cstdint>
#include <vector>

namespace bench {

class Histogram {
  public:
    Histogram();

    void record(int64_t nanoseconds);
    void clear();

    uint64_t count() const { return count_; }
    int64_t max() const { return max_; }

    // The value that `share` (0..1) of the recorded ones do not exceed; 0 when
    // nothing was recorded.
    int64_t quantile(double share) const;

  private:
    std::vector<uint64_t> slots_;
    uint64_t count_ = 0;
    int64_t max_ = 0;
};

}  // namespace bench
