// One epoll loop for all connections of the load client.
#pragma once

#include <cstdint>

namespace bench {

// Monotonic nanoseconds.
int64_t now();

constexpr int64_t kMicrosecond = 1000;
constexpr int64_t kMillisecond = 1000 * kMicrosecond;
constexpr int64_t kSecond = 1000 * kMillisecond;

class Loop {
  public:
    class Handler {
      public:
        virtual ~Handler() = default;
        virtual void onEvents(uint32_t epollEvents) = 0;
    };

    Loop();
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // Level triggered. A closed descriptor leaves by itself.
    void add(int fd, Handler* handler, uint32_t epollEvents);
    void modify(int fd, Handler* handler, uint32_t epollEvents);

    // Waits for events until the monotonic time `until` (0: does not wait) and
    // calls their handlers. A handler must outlive the turn.
    void turn(int64_t until);

  private:
    int epoll_;
};

}  // namespace bench
