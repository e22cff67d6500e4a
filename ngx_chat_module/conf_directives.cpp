// The chat_* directives: what they take, and what they refuse.

#include "ngx_chat_module/conf.hpp"

#include "ngx_chat_module/handler.hpp"
#include "ngx_chat_module/status.hpp"
#include "ngx_chat_module/status_zone.hpp"
#include "shared/relay_format.hpp"

namespace chat {

namespace {

constexpr int kEverywhere =
    NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF;

constexpr char kDuplicate[] = "is duplicate";
constexpr char kInvalid[] = "invalid value";

char* failed(const char* text)
{
    return const_cast<char*>(text);
}

char* invalidValue(ngx_conf_t* cf, const ngx_str_t* value)
{
    auto* directive = static_cast<ngx_str_t*>(cf->args->elts);
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "invalid value \"%V\" in \"%V\" directive", value,
                       directive);
    return failed(static_cast<const char*>(NGX_CONF_ERROR));
}

char* enableHandler(ngx_conf_t* cf, ngx_http_handler_pt handler)
{
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    core->handler = handler;

    if (core->name.len != 0 && core->name.data[core->name.len - 1] == '/') {
        core->auto_redirect = 1;
    }
    return NGX_CONF_OK;
}

// chat_pass unix:path | host:port | name of an upstream | off
char* setPass(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    auto* value = static_cast<ngx_str_t*>(cf->args->elts) + 1;

    if (conf->upstream != NGX_CONF_UNSET_PTR) {
        return failed(kDuplicate);
    }

    if (toView(*value) == "off") {
        conf->upstream = nullptr;
        return NGX_CONF_OK;
    }

    if (value->len == 0) {
        return invalidValue(cf, value);
    }

    ngx_url_t url;
    ngx_memzero(&url, sizeof(url));
    url.url = *value;
    url.no_resolve = 1;

    conf->upstream = ngx_http_upstream_add(cf, &url, 0);
    if (conf->upstream == nullptr) {
        return failed(static_cast<const char*>(NGX_CONF_ERROR));
    }

    // At http and server level the merge gives the handler to the locations
    // that have none of their own.
    if ((cf->cmd_type & NGX_HTTP_LOC_CONF) != 0) {
        return enableHandler(cf, handleUpgrade);
    }
    return NGX_CONF_OK;
}

char* setPositiveMsec(ngx_conf_t* cf, ngx_command_t* cmd, void* data)
{
    char* rc = ngx_conf_set_msec_slot(cf, cmd, data);

    if (rc == NGX_CONF_OK) {
        auto* value = reinterpret_cast<ngx_msec_t*>(static_cast<char*>(data) +
                                                    cmd->offset);
        if (*value == 0) {
            return failed(kInvalid);
        }
    }
    return rc;
}

// Sizes have a lower bound, and an upper one where the relay has it. Laid out
// like ngx_conf_num_bounds_t: the handler comes first.
struct SizeBounds {
    ngx_conf_post_handler_pt handler;
    size_t low;
    size_t high;
};

char* checkSize(ngx_conf_t* cf, void* post, void* data)
{
    auto* bounds = static_cast<SizeBounds*>(post);
    size_t value = *static_cast<size_t*>(data);

    if (value >= bounds->low && value <= bounds->high) {
        return NGX_CONF_OK;
    }
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "value must be between %uz and %uz", bounds->low,
                       bounds->high);
    return failed(static_cast<const char*>(NGX_CONF_ERROR));
}

SizeBounds messageBounds = {checkSize, 1, relay::kMaxPayload / 2};
SizeBounds bufferBounds = {checkSize, 1024, NGX_MAX_INT32_VALUE};
SizeBounds anySize = {checkSize, 0, NGX_MAX_INT32_VALUE};

// A count, 0 = no limit. ngx_conf_set_num_slot() wants a signed field.
char* setCount(ngx_conf_t* cf, ngx_command_t* cmd, void* data)
{
    auto* field =
        reinterpret_cast<ngx_uint_t*>(static_cast<char*>(data) + cmd->offset);
    if (*field != NGX_CONF_UNSET_UINT) {
        return failed(kDuplicate);
    }

    auto* value = static_cast<ngx_str_t*>(cf->args->elts) + 1;
    ngx_int_t number = ngx_atoi(value->data, value->len);

    if (number == NGX_ERROR || number > NGX_MAX_INT32_VALUE) {
        return failed("invalid number");
    }
    *field = static_cast<ngx_uint_t>(number);
    return NGX_CONF_OK;
}

// chat_max_frame_rate 100/s | 0
char* setRate(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    if (conf->maxFrameRate != NGX_CONF_UNSET_UINT) {
        return failed(kDuplicate);
    }

    auto* value = static_cast<ngx_str_t*>(cf->args->elts) + 1;
    std::string_view text = toView(*value);

    if (text == "0") {
        conf->maxFrameRate = 0;
        return NGX_CONF_OK;
    }

    if (text.size() < 3 || text.substr(text.size() - 2) != "/s") {
        return invalidValue(cf, value);
    }

    ngx_int_t rate = ngx_atoi(value->data, value->len - 2);
    if (rate == NGX_ERROR || rate == 0 || rate > NGX_MAX_INT32_VALUE) {
        return invalidValue(cf, value);
    }
    conf->maxFrameRate = static_cast<ngx_uint_t>(rate);
    return NGX_CONF_OK;
}

// RFC 9110 section 5.6.2
bool isToken(std::string_view text)
{
    constexpr std::string_view marks = "!#$%&'*+-.^_`|~";

    for (char c : text) {
        bool alnum = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
                     (c >= 'a' && c <= 'z');
        if (!alnum && marks.find(c) == std::string_view::npos) {
            return false;
        }
    }
    return !text.empty();
}

// chat_subprotocol name ...
char* setSubprotocols(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    if (conf->subprotocols != NGX_CONF_UNSET_PTR) {
        return failed(kDuplicate);
    }

    auto* value = static_cast<ngx_str_t*>(cf->args->elts);
    ngx_uint_t count = cf->args->nelts;

    conf->subprotocols = ngx_array_create(cf->pool, count, sizeof(ngx_str_t));
    if (conf->subprotocols == nullptr) {
        return failed(static_cast<const char*>(NGX_CONF_ERROR));
    }

    for (ngx_uint_t i = 1; i < count; ++i) {
        if (!isToken(toView(value[i]))) {
            return invalidValue(cf, &value[i]);
        }
        for (ngx_uint_t other = 1; other < i; ++other) {
            if (toView(value[i]) == toView(value[other])) {
                ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                                   "duplicate value \"%V\"", &value[i]);
                return failed(static_cast<const char*>(NGX_CONF_ERROR));
            }
        }
        *static_cast<ngx_str_t*>(ngx_array_push(conf->subprotocols)) = value[i];
    }
    return NGX_CONF_OK;
}

// chat_compression_window_bits server [client]
char* setWindowBits(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    if (conf->serverWindowBits != NGX_CONF_UNSET_UINT) {
        return failed(kDuplicate);
    }

    auto* value = static_cast<ngx_str_t*>(cf->args->elts);
    ngx_uint_t* fields[] = {&conf->serverWindowBits, &conf->clientWindowBits};

    for (ngx_uint_t i = 0; i < 2; ++i) {
        ngx_str_t* text = &value[i + 1 < cf->args->nelts ? i + 1 : 1];
        ngx_int_t bits = ngx_atoi(text->data, text->len);

        // zlib cannot make raw deflate with a window of 8 bits.
        if (bits < 9 || bits > 15) {
            return failed("value must be between 9 and 15");
        }
        *fields[i] = static_cast<ngx_uint_t>(bits);
    }
    return NGX_CONF_OK;
}

// chat_compression_context_takeover server [client], each on or off
char* setTakeover(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    if (conf->serverContextTakeover != NGX_CONF_UNSET) {
        return failed(kDuplicate);
    }

    auto* value = static_cast<ngx_str_t*>(cf->args->elts);
    ngx_flag_t* fields[] = {&conf->serverContextTakeover,
                            &conf->clientContextTakeover};

    for (ngx_uint_t i = 0; i < 2; ++i) {
        ngx_str_t* text = &value[i + 1 < cf->args->nelts ? i + 1 : 1];

        if (toView(*text) != "on" && toView(*text) != "off") {
            ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                               "invalid value \"%V\" in \"%V\" directive, "
                               "it must be \"on\" or \"off\"",
                               text, &value[0]);
            return failed(static_cast<const char*>(NGX_CONF_ERROR));
        }
        *fields[i] = toView(*text) == "on" ? 1 : 0;
    }
    return NGX_CONF_OK;
}

// chat_status [prometheus | json]
char* setStatus(ngx_conf_t* cf, ngx_command_t*, void* data)
{
    auto* conf = static_cast<LocConf*>(data);
    if (conf->statusFormat != NGX_CONF_UNSET_UINT) {
        return failed(kDuplicate);
    }
    conf->statusFormat = kPrometheus;

    if (cf->args->nelts == 2) {
        auto* value = static_cast<ngx_str_t*>(cf->args->elts) + 1;

        if (toView(*value) == "json") {
            conf->statusFormat = kJson;

        } else if (toView(*value) != "prometheus") {
            return invalidValue(cf, value);
        }
    }

    if (addStatusZone(cf) != NGX_OK) {
        return failed(static_cast<const char*>(NGX_CONF_ERROR));
    }
    return enableHandler(cf, handleStatus);
}

ngx_conf_enum_t logTimes[] = {{ngx_string("open"), kLogOpen},
                              {ngx_string("close"), kLogClose},
                              {ngx_null_string, 0}};

ngx_conf_enum_t logLevels[] = {{ngx_string("info"), NGX_LOG_INFO},
                               {ngx_string("notice"), NGX_LOG_NOTICE},
                               {ngx_string("warn"), NGX_LOG_WARN},
                               {ngx_string("error"), NGX_LOG_ERR},
                               {ngx_null_string, 0}};

ngx_conf_num_bounds_t levelBounds = {ngx_conf_check_num_bounds, 1, 9};

}  // namespace

#define CHAT_DIRECTIVE(name, takes, setter, field, post)             \
    {                                                                \
        ngx_string(name), kEverywhere | (takes), setter,             \
            NGX_HTTP_LOC_CONF_OFFSET, offsetof(LocConf, field), post \
    }

ngx_command_t commands[] = {
    CHAT_DIRECTIVE("chat_pass", NGX_CONF_TAKE1, setPass, upstream, nullptr),
    CHAT_DIRECTIVE("chat_user", NGX_CONF_TAKE1, ngx_http_set_complex_value_slot,
                   user, nullptr),
    CHAT_DIRECTIVE("chat_trust_init", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
                   trustInit, nullptr),

    CHAT_DIRECTIVE("chat_heartbeat_timeout", NGX_CONF_TAKE1, setPositiveMsec,
                   heartbeatTimeout, nullptr),
    CHAT_DIRECTIVE("chat_ping_interval", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
                   pingInterval, nullptr),
    CHAT_DIRECTIVE("chat_drain_timeout", NGX_CONF_TAKE1, ngx_conf_set_msec_slot,
                   drainTimeout, nullptr),

    CHAT_DIRECTIVE("chat_max_message", NGX_CONF_TAKE1, ngx_conf_set_size_slot,
                   maxMessage, &messageBounds),
    CHAT_DIRECTIVE("chat_send_buffer", NGX_CONF_TAKE1, ngx_conf_set_size_slot,
                   sendBuffer, &bufferBounds),
    CHAT_DIRECTIVE("chat_max_fragments", NGX_CONF_TAKE1, setCount, maxFragments,
                   nullptr),
    CHAT_DIRECTIVE("chat_max_frame_rate", NGX_CONF_TAKE1, setRate, maxFrameRate,
                   nullptr),
    CHAT_DIRECTIVE("chat_max_user_connections", NGX_CONF_TAKE1, setCount,
                   maxUserConnections, nullptr),
    CHAT_DIRECTIVE("chat_limit_log_level", NGX_CONF_TAKE1,
                   ngx_conf_set_enum_slot, limitLogLevel, &logLevels),

    CHAT_DIRECTIVE("chat_relay_buffer", NGX_CONF_TAKE1, ngx_conf_set_size_slot,
                   relayBuffer, &bufferBounds),
    CHAT_DIRECTIVE("chat_relay_timeout", NGX_CONF_TAKE1, setPositiveMsec,
                   relayTimeout, nullptr),
    CHAT_DIRECTIVE("chat_relay_connect_timeout", NGX_CONF_TAKE1,
                   setPositiveMsec, relayConnectTimeout, nullptr),

    CHAT_DIRECTIVE("chat_subprotocol", NGX_CONF_1MORE, setSubprotocols,
                   subprotocols, nullptr),
    CHAT_DIRECTIVE("chat_compression", NGX_CONF_FLAG, ngx_conf_set_flag_slot,
                   compression, nullptr),
    CHAT_DIRECTIVE("chat_compression_min_length", NGX_CONF_TAKE1,
                   ngx_conf_set_size_slot, compressionMinLength, &anySize),
    CHAT_DIRECTIVE("chat_compression_level", NGX_CONF_TAKE1,
                   ngx_conf_set_num_slot, compressionLevel, &levelBounds),
    CHAT_DIRECTIVE("chat_compression_window_bits", NGX_CONF_TAKE12,
                   setWindowBits, serverWindowBits, nullptr),
    CHAT_DIRECTIVE("chat_compression_context_takeover", NGX_CONF_TAKE12,
                   setTakeover, serverContextTakeover, nullptr),

    CHAT_DIRECTIVE("chat_log", NGX_CONF_TAKE1, ngx_conf_set_enum_slot, log,
                   &logTimes),

    {ngx_string("chat_status"),
     NGX_HTTP_LOC_CONF | NGX_CONF_NOARGS | NGX_CONF_TAKE1, setStatus,
     NGX_HTTP_LOC_CONF_OFFSET, offsetof(LocConf, statusFormat), nullptr},

    ngx_null_command};

#undef CHAT_DIRECTIVE

}  // namespace chat
