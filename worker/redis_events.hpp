// hiredis' event hooks over libuv.
//
// hiredis 0.14 ships such hooks (adapters/libuv.h). These differ in two ways.
// A failed poll (a refused connect, a reset) is handed to hiredis, where the
// shipped ones drop it and wait for ever: libuv has stopped the poll by then.
// And what is written in one turn of the loop leaves in one write() at its
// end, without switching the poll to writable and back for each command.

#pragma once

#include <hiredis/async.h>
#include <uv.h>

namespace chat {

class RedisEvents {
  public:
    // Ties the context to the loop. The object belongs to the context from
    // then on and goes away with it. False: libuv refuses the descriptor.
    static bool attach(uv_loop_t* loop, redisAsyncContext* context);

    // What is queued goes out with one write() now. The context may be gone
    // when this returns.
    static void flush(redisAsyncContext* context);

  private:
    explicit RedisEvents(redisAsyncContext* context) : context_(context) {}

    static RedisEvents& of(void* data)
    {
        return *static_cast<RedisEvents*>(data);
    }

    static void onPoll(uv_poll_t* handle, int status, int events);
    static void onPrepare(uv_prepare_t* handle);
    static void onClosed(uv_handle_t* handle);

    void want(int events);
    void deferWrite();
    void detach();

    redisAsyncContext* context_;  // null once hiredis has let go
    uv_poll_t poll_{};
    uv_prepare_t prepare_{};
    int events_ = 0;
    bool flushing_ = false;
    int open_ = 2;  // handles that are not closed yet
};

}  // namespace chat
