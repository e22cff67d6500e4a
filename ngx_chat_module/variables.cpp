#include "ngx_chat_module/variables.hpp"

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/session.hpp"

namespace chat {

namespace {

enum Number : uintptr_t { kMessagesIn, kMessagesOut, kBytesIn, kBytesOut };

Session* sessionOf(ngx_http_request_t* r)
{
    return static_cast<Session*>(
        ngx_http_get_module_ctx(r, ngx_http_chat_module));
}

ngx_int_t notFound(ngx_http_variable_value_t* value)
{
    value->not_found = 1;
    return NGX_OK;
}

ngx_int_t setText(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                  std::string_view text)
{
    value->data = static_cast<u_char*>(ngx_pnalloc(r->pool, text.size()));
    if (value->data == nullptr) {
        return NGX_ERROR;
    }

    ngx_memcpy(value->data, text.data(), text.size());
    value->len = static_cast<unsigned>(text.size());
    value->valid = 1;
    value->no_cacheable = 1;
    value->not_found = 0;
    return NGX_OK;
}

ngx_int_t setNumber(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                    std::uint64_t number)
{
    u_char text[NGX_INT64_LEN];
    u_char* end = ngx_sprintf(text, "%uL", number);
    return setText(
        r, value,
        {reinterpret_cast<char*>(text), static_cast<std::size_t>(end - text)});
}

// The user of the session; before there is one, what chat_user says.
ngx_int_t getUser(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                  uintptr_t)
{
    if (const Session* session = sessionOf(r)) {
        return setText(r, value, session->user());
    }

    const LocConf* conf = locConf(r);
    if (conf->upstream == nullptr || conf->user == nullptr) {
        return notFound(value);
    }

    ngx_str_t user;
    if (ngx_http_complex_value(r, conf->user, &user) != NGX_OK) {
        return NGX_ERROR;
    }
    return setText(r, value, toView(user));
}

ngx_int_t getStatus(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                    uintptr_t)
{
    const Session* session = sessionOf(r);
    if (session == nullptr) {
        return notFound(value);
    }
    return setText(
        r, value, session->closeCode == 0 ? "open" : causeName(session->cause));
}

ngx_int_t getNumber(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                    uintptr_t which)
{
    const Session* session = sessionOf(r);
    if (session == nullptr) {
        return notFound(value);
    }

    switch (which) {
    case kMessagesIn:
        return setNumber(r, value, session->messagesIn);
    case kMessagesOut:
        return setNumber(r, value, session->messagesOut);
    case kBytesIn:
        return setNumber(r, value, session->bytesIn);
    default:
        return setNumber(r, value, session->bytesOut);
    }
}

// Seconds with milliseconds, as $request_time.
ngx_int_t getTime(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                  uintptr_t)
{
    const Session* session = sessionOf(r);
    if (session == nullptr) {
        return notFound(value);
    }

    u_char text[NGX_TIME_T_LEN + 4];
    ngx_msec_t passed = ngx_current_msec - session->opened;
    u_char* end =
        ngx_sprintf(text, "%T.%03M", static_cast<time_t>(passed / 1000),
                    static_cast<ngx_msec_t>(passed % 1000));
    return setText(
        r, value,
        {reinterpret_cast<char*>(text), static_cast<std::size_t>(end - text)});
}

ngx_int_t getCloseCode(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                       uintptr_t)
{
    const Session* session = sessionOf(r);
    if (session == nullptr || session->closeCode == 0) {
        return notFound(value);
    }
    return setNumber(r, value, session->closeCode);
}

ngx_int_t getClosedBy(ngx_http_request_t* r, ngx_http_variable_value_t* value,
                      uintptr_t)
{
    const Session* session = sessionOf(r);
    if (session == nullptr || session->closeCode == 0) {
        return notFound(value);
    }
    return setText(r, value, closedBy(session->cause));
}

struct Variable {
    std::string_view name;
    ngx_http_get_variable_pt get;
    uintptr_t data;
};

constexpr Variable kVariables[] = {
    {"chat_user", getUser, 0},
    {"chat_status", getStatus, 0},
    {"chat_messages_in", getNumber, kMessagesIn},
    {"chat_messages_out", getNumber, kMessagesOut},
    {"chat_bytes_in", getNumber, kBytesIn},
    {"chat_bytes_out", getNumber, kBytesOut},
    {"chat_session_time", getTime, 0},
    {"chat_close_code", getCloseCode, 0},
    {"chat_closed_by", getClosedBy, 0},
};

}  // namespace

ngx_int_t addVariables(ngx_conf_t* cf)
{
    for (const Variable& variable : kVariables) {
        ngx_str_t name = toStr(variable.name);
        ngx_http_variable_t* added =
            ngx_http_add_variable(cf, &name, NGX_HTTP_VAR_NOCACHEABLE);
        if (added == nullptr) {
            return NGX_ERROR;
        }
        added->get_handler = variable.get;
        added->data = variable.data;
    }
    return NGX_OK;
}

}  // namespace chat
