// Resolves a host name without blocking the loop.

#pragma once

#include <uv.h>

#include <functional>
#include <memory>
#include <string>

namespace chat {

class NameLookup {
  public:
    // address: the first one, in numbers; empty when error says why.
    using Callback = std::function<void(const std::string& address,
                                        const std::string& error)>;

    // The callback comes from the loop, and not at all when the object is
    // gone by then.
    NameLookup(uv_loop_t* loop, const std::string& host, Callback callback);
    ~NameLookup();
    NameLookup(const NameLookup&) = delete;
    NameLookup& operator=(const NameLookup&) = delete;

  private:
    struct Request;

    std::shared_ptr<Request> request_;
};

}  // namespace chat
