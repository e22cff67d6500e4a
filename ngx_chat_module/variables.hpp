// $chat_* for log formats and maps; docs/directives.md lists them.

#pragma once

#include "ngx_chat_module/ngx.hpp"

namespace chat {

ngx_int_t addVariables(ngx_conf_t* cf);

}  // namespace chat
