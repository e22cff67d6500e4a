// What the chat_* directives say, per location. Everything here lives in the
// configuration's pool and is trivially destructible; what a worker process
// needs at run time hangs below RelayConf and Heartbeat and is made on first
// use.

#pragma once

#include <type_traits>

#include "ngx_chat_module/heartbeat.hpp"
#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/ws/assembler.hpp"
#include "ngx_chat_module/ws/deflate.hpp"

namespace chat {

class RelayGroup;

// One per different combination of server and chat_relay_* settings.
struct RelayConf {
    ngx_http_upstream_srv_conf_t* upstream;
    ngx_msec_t timeout;
    ngx_msec_t connectTimeout;
    size_t buffer;
    RelayGroup* group;  // of this process, made for its first session
};

enum LogTime : ngx_uint_t { kLogOpen, kLogClose };
enum StatusFormat : ngx_uint_t { kPrometheus, kJson };

struct MainConf {
    ngx_array_t* relays;   // RelayConf*
    ngx_shm_zone_t* zone;  // counters; null: no location has chat_status
};

struct LocConf {
    ngx_http_upstream_srv_conf_t* upstream;  // null: chat_pass off
    ngx_http_complex_value_t* user;          // null: no chat_user
    ngx_flag_t trustInit;

    ngx_msec_t heartbeatTimeout;
    ngx_msec_t pingInterval;  // 0: no pings
    ngx_msec_t drainTimeout;
    ngx_msec_t relayTimeout;
    ngx_msec_t relayConnectTimeout;

    size_t maxMessage;
    size_t sendBuffer;
    size_t relayBuffer;
    ngx_uint_t maxFragments;        // 0: no limit
    ngx_uint_t maxFrameRate;        // per second; 0: no limit
    ngx_uint_t maxUserConnections;  // 0: no limit
    ngx_uint_t limitLogLevel;
    ngx_uint_t log;  // LogTime

    ngx_array_t* subprotocols;  // ngx_str_t; the client's order decides

    ngx_flag_t compression;
    size_t compressionMinLength;
    ngx_int_t compressionLevel;
    ngx_uint_t serverWindowBits;
    ngx_uint_t clientWindowBits;
    ngx_flag_t serverContextTakeover;
    ngx_flag_t clientContextTakeover;

    ws::ReceiveOptions receive;
    ws::DeflateOptions deflate;

    ngx_uint_t statusFormat;  // StatusFormat, where chat_status stands

    RelayConf* relay;  // null: chat_pass off
    Heartbeat heartbeat;
};

static_assert(std::is_trivially_destructible_v<MainConf>);
static_assert(std::is_trivially_destructible_v<LocConf>);

extern ngx_command_t commands[];

void* createMainConf(ngx_conf_t* cf);
void* createLocConf(ngx_conf_t* cf);
char* mergeLocConf(ngx_conf_t* cf, void* parent, void* child);

inline LocConf* locConf(ngx_http_request_t* r)
{
    return static_cast<LocConf*>(
        ngx_http_get_module_loc_conf(r, ngx_http_chat_module));
}

inline MainConf* mainConf(ngx_conf_t* cf)
{
    return static_cast<MainConf*>(
        ngx_http_conf_get_module_main_conf(cf, ngx_http_chat_module));
}

}  // namespace chat
