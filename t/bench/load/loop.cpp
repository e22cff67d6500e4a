#include "t/bench/load/loop.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <stdexcept>

namespace bench {

int64_t now()
{
    timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * kSecond + ts.tv_nsec;
}

Loop::Loop() : epoll_(epoll_create1(EPOLL_CLOEXEC))
{
    if (epoll_ < 0) {
        throw std::runtime_error("epoll_create1() failed");
    }
}

Loop::~Loop()
{
    close(epoll_);
}

void Loop::add(int fd, Handler* handler, uint32_t epollEvents)
{
    epoll_event event = {};
    event.events = epollEvents;
    event.data.ptr = handler;
    if (epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event) < 0) {
        throw std::runtime_error("epoll_ctl(ADD) failed");
    }
}

void Loop::modify(int fd, Handler* handler, uint32_t epollEvents)
{
    epoll_event event = {};
    event.events = epollEvents;
    event.data.ptr = handler;
    if (epoll_ctl(epoll_, EPOLL_CTL_MOD, fd, &event) < 0) {
        throw std::runtime_error("epoll_ctl(MOD) failed");
    }
}

void Loop::turn(int64_t until)
{
    epoll_event events[512];
    int64_t wait = until == 0 ? 0 : until - now();
    timespec timeout = {};

    if (wait > 0) {
        timeout.tv_sec = wait / kSecond;
        timeout.tv_nsec = wait % kSecond;
    }

    // Nanosecond timeouts: with milliseconds an open-loop sender would be up
    // to one millisecond late and report that as the server's latency.
    int count = epoll_pwait2(epoll_, events, 512, &timeout, nullptr);
    if (count < 0 && errno != EINTR) {
        throw std::runtime_error("epoll_pwait2() failed");
    }

    for (int i = 0; i < count; i++) {
        static_cast<Handler*>(events[i].data.ptr)->onEvents(events[i].events);
    }
}

}  // namespace bench
