#include "name_lookup.hpp"

#include <netdb.h>

#include <utility>

namespace chat {

// Outlives the object when that goes first: libuv cannot always cancel.
struct NameLookup::Request {
    uv_getaddrinfo_t handle{};
    Callback callback;              // empty: nobody waits any more
    std::shared_ptr<Request> self;  // while libuv holds the handle

    void finish(int status, const addrinfo* found)
    {
        char address[NI_MAXHOST] = "";

        if (status == 0) {
            getnameinfo(found->ai_addr, found->ai_addrlen, address,
                        sizeof(address), nullptr, 0, NI_NUMERICHOST);
        }

        // The callback may destroy the lookup, and start another.
        if (const auto answer = std::exchange(callback, {})) {
            answer(address, address[0] != '\0' ? "" : uv_strerror(status));
        }
    }
};

NameLookup::NameLookup(uv_loop_t* loop, const std::string& host,
                       Callback callback)
    : request_(std::make_shared<Request>())
{
    request_->callback = std::move(callback);
    request_->self = request_;
    request_->handle.data = request_.get();

    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;

    // Fails only without memory, and then the caller's time-out ends it.
    if (uv_getaddrinfo(
            loop, &request_->handle,
            [](uv_getaddrinfo_t* handle, int status, addrinfo* found) {
                const auto request =
                    std::move(static_cast<Request*>(handle->data)->self);
                request->finish(status, found);
                uv_freeaddrinfo(found);
            },
            host.c_str(), nullptr, &hints) < 0) {
        request_->self.reset();
    }
}

NameLookup::~NameLookup()
{
    request_->callback = {};

    if (request_->self) {
        uv_cancel(reinterpret_cast<uv_req_t*>(&request_->handle));
    }
}

}  // namespace chat
