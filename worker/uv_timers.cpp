#include "uv_timers.hpp"

#include <utility>

namespace chat {

namespace {

class UvTimer : public Timer {
  public:
    UvTimer(uv_loop_t* loop, std::function<void()> fire)
        : state_(new State{{}, std::move(fire)})
    {
        uv_timer_init(loop, &state_->handle);
        state_->handle.data = state_;
    }

    // libuv gives a handle back only from the loop, so it outlives us there.
    ~UvTimer() override
    {
        uv_close(reinterpret_cast<uv_handle_t*>(&state_->handle),
                 [](uv_handle_t* handle) {
                     delete static_cast<State*>(handle->data);
                 });
    }

    UvTimer(const UvTimer&) = delete;
    UvTimer& operator=(const UvTimer&) = delete;

    void start(std::uint64_t delay) override
    {
        uv_timer_start(&state_->handle, onTimeout, delay, 0);
    }

    void stop() override { uv_timer_stop(&state_->handle); }

    [[nodiscard]] bool running() const override
    {
        return uv_is_active(
                   reinterpret_cast<const uv_handle_t*>(&state_->handle)) != 0;
    }

  private:
    struct State {
        uv_timer_t handle;
        std::function<void()> fire;
    };

    static void onTimeout(uv_timer_t* handle)
    {
        static_cast<State*>(handle->data)->fire();
    }

    State* state_;
};

}  // namespace

std::unique_ptr<Timer> UvTimers::create(std::function<void()> fire)
{
    return std::make_unique<UvTimer>(loop_, std::move(fire));
}

}  // namespace chat
