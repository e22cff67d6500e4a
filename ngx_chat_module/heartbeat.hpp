// Liveness without a timer per connection. The sessions of a location stand
// in two lists, each ordered by when something was last received: those that
// were not pinged since, and those that were. One timer per location looks at
// the heads. Liveness counts only what was received.

#pragma once

#include "ngx_chat_module/ngx.hpp"

namespace chat {

// What nginx looks at in the data of a timer when it logs for debugging: the
// place where a connection has its file descriptor.
struct TimerData {
    void* owner;
    void* unused[2];
    ngx_socket_t fd;
};

struct LocConf;
struct Session;

// Part of a location's configuration; zeroed = no session yet.
struct Heartbeat {
    ngx_queue_t fresh;
    ngx_queue_t pinged;
    ngx_event_t timer;
    TimerData timerData;
    bool started;
};

// Begins to watch the session, as if something had just been received.
void watch(Session* session);
void unwatch(Session* session);

// Something was received.
void touch(Session* session);

}  // namespace chat
