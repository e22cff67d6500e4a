#include "redis_events.hpp"

#include <memory>

namespace chat {

bool RedisEvents::attach(uv_loop_t* loop, redisAsyncContext* context)
{
    std::unique_ptr<RedisEvents> events(new RedisEvents(context));

    if (uv_poll_init(loop, &events->poll_, context->c.fd) != 0) {
        return false;
    }

    uv_prepare_init(loop, &events->prepare_);
    events->poll_.data = events.get();
    events->prepare_.data = events.get();

    auto& hooks = context->ev;
    hooks.addRead = [](void* data) {
        of(data).want(of(data).events_ | UV_READABLE);
    };
    hooks.delRead = [](void* data) {
        of(data).want(of(data).events_ & ~UV_READABLE);
    };
    hooks.addWrite = [](void* data) {
        of(data).deferWrite();
    };
    hooks.delWrite = [](void* data) {
        uv_prepare_stop(&of(data).prepare_);
        of(data).want(of(data).events_ & ~UV_WRITABLE);
    };
    hooks.cleanup = [](void* data) {
        of(data).detach();
    };
    hooks.data = events.release();
    return true;
}

void RedisEvents::flush(redisAsyncContext* context)
{
    if (context->ev.data != nullptr) {
        onPrepare(&of(context->ev.data).prepare_);
    }
}

void RedisEvents::want(int events)
{
    if (events == events_) {
        return;
    }

    events_ = events;

    if (events == 0) {
        uv_poll_stop(&poll_);
    } else {
        uv_poll_start(&poll_, events, onPoll);
    }
}

void RedisEvents::deferWrite()
{
    // The first writable event is how hiredis learns that it is connected.
    if (flushing_ || (context_->c.flags & REDIS_CONNECTED) == 0) {
        want(events_ | UV_WRITABLE);

    } else if ((events_ & UV_WRITABLE) == 0) {
        uv_prepare_start(&prepare_, onPrepare);
    }
}

void RedisEvents::onPrepare(uv_prepare_t* handle)
{
    auto& self = of(handle->data);
    uv_prepare_stop(handle);

    if (self.context_ == nullptr ||
        (self.context_->c.flags & REDIS_CONNECTED) == 0) {
        return;
    }

    // When the socket does not take everything, hiredis asks for a writable
    // event.
    self.flushing_ = true;
    redisAsyncHandleWrite(self.context_);
    self.flushing_ = false;
}

void RedisEvents::onPoll(uv_poll_t* handle, int status, int events)
{
    auto& self = of(handle->data);

    if (status < 0) {
        // libuv has stopped the poll; reading finds out what is wrong.
        const int wanted = self.events_;
        self.events_ = 0;
        redisAsyncHandleRead(self.context_);

        if (self.context_ != nullptr) {
            self.want(wanted | self.events_);
        }

        return;
    }

    if ((events & UV_READABLE) != 0) {
        redisAsyncHandleRead(self.context_);
    }

    if (self.context_ != nullptr && (events & UV_WRITABLE) != 0) {
        redisAsyncHandleWrite(self.context_);
    }
}

void RedisEvents::detach()
{
    if (context_ == nullptr) {
        return;
    }

    // hiredis closes the descriptor next: no poll may be left on it.
    context_->ev.data = nullptr;
    context_ = nullptr;
    uv_poll_stop(&poll_);
    uv_close(reinterpret_cast<uv_handle_t*>(&poll_), onClosed);
    uv_close(reinterpret_cast<uv_handle_t*>(&prepare_), onClosed);
}

void RedisEvents::onClosed(uv_handle_t* handle)
{
    auto* self = &of(handle->data);

    if (--self->open_ == 0) {
        delete self;
    }
}

}  // namespace chat
