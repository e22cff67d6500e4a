// The content handler of locations with chat_status: the counters of all nginx
// workers, and those that the chat-workers tell about themselves.

#pragma once

#include "ngx_chat_module/ngx.hpp"
#include "shared/relay_payload.hpp"

namespace chat {

class RelayLink;

ngx_int_t handleStatus(ngx_http_request_t* r);

// A chat-worker's answer. False: malformed.
bool onResponse(RelayLink* link, const relay::Frame& frame);

}  // namespace chat
