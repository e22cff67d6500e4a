// A libuv loop that a test turns by hand.

#pragma once

#include <signal.h>
#include <uv.h>

#include <chrono>

#include <check.h>
#undef fail  // a macro that takes the name from everything else

namespace chat::test {

class Loop {
  public:
    Loop()
    {
        signal(SIGPIPE, SIG_IGN);  // as chat-worker does
        uv_loop_init(&loop_);
    }
    // After all that uses the loop.
    ~Loop()
    {
        uv_run(&loop_, UV_RUN_DEFAULT);
        ck_assert_int_eq(uv_loop_close(&loop_), 0);
    }
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    operator uv_loop_t*() { return &loop_; }

    // Until it holds; false after `limit`.
    template <typename Condition>
    bool until(Condition&& condition,
               std::chrono::milliseconds limit = std::chrono::seconds(10))
    {
        const auto end = std::chrono::steady_clock::now() + limit;
        uv_timer_t tick;
        uv_timer_init(&loop_, &tick);
        uv_timer_start(
            &tick, [](uv_timer_t*) {}, 5, 5);

        while (!condition() && std::chrono::steady_clock::now() < end) {
            uv_run(&loop_, UV_RUN_ONCE);
        }

        uv_close(reinterpret_cast<uv_handle_t*>(&tick), nullptr);
        uv_run(&loop_, UV_RUN_NOWAIT);
        return condition();
    }

    // What is due, without waiting.
    void turn() { uv_run(&loop_, UV_RUN_NOWAIT); }

    void turnFor(std::chrono::milliseconds time)
    {
        until([] { return false; }, time);
    }

  private:
    uv_loop_t loop_{};
};

}  // namespace chat::test
