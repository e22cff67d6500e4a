// The only door to nginx's C headers.

#pragma once

static_assert(__cplusplus >= 201703L, "a C++17 compiler is needed");

extern "C" {
#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_event.h>
#include <ngx_http.h>
}

#include <string_view>

// NOLINTNEXTLINE(readability-identifier-naming): the build looks for it
extern ngx_module_t ngx_http_chat_module;

namespace chat {

inline std::string_view toView(const ngx_str_t& text)
{
    return {reinterpret_cast<const char*>(text.data), text.len};
}

inline ngx_str_t toStr(std::string_view text)
{
    return {text.size(),
            reinterpret_cast<u_char*>(const_cast<char*>(text.data()))};
}

}  // namespace chat
