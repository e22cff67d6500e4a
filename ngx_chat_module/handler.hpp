// The content handler of locations with chat_pass: the opening handshake
// (RFC 6455 section 4.2).

#pragma once

#include "ngx_chat_module/ngx.hpp"

namespace chat {

ngx_int_t handleUpgrade(ngx_http_request_t* r);

}  // namespace chat
