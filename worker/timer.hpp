// Time as the worker's logic sees it: a monotonic clock and one-shot timers.
// uv_timers is the real one; unit tests bring a clock that they turn by hand.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>

namespace chat {

class Timer {
  public:
    virtual ~Timer() = default;  // a timer that is gone does not fire

    // Fires once after delay (milliseconds); a running timer starts over.
    virtual void start(std::uint64_t delay) = 0;
    virtual void stop() = 0;
    [[nodiscard]] virtual bool running() const = 0;
};

class Timers {
  public:
    virtual ~Timers() = default;

    [[nodiscard]] virtual std::unique_ptr<Timer> create(
        std::function<void()> fire) = 0;

    // Milliseconds since some fixed point; never goes back.
    [[nodiscard]] virtual std::uint64_t now() const = 0;
};

}  // namespace chat
