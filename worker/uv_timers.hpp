// Timers on a libuv loop. The loop must outlive the timers, and must run once
// more after the last one is gone, so that libuv can close its handle.

#pragma once

#include <uv.h>

#include "timer.hpp"

namespace chat {

class UvTimers : public Timers {
  public:
    explicit UvTimers(uv_loop_t* loop) : loop_(loop) {}

    [[nodiscard]] std::unique_ptr<Timer> create(
        std::function<void()> fire) override;
    [[nodiscard]] std::uint64_t now() const override { return uv_now(loop_); }

  private:
    uv_loop_t* loop_;
};

}  // namespace chat
