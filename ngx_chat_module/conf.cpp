// Configurations made, and merged from level to level.

#include "ngx_chat_module/conf.hpp"

#include <new>

#include "ngx_chat_module/deflate.hpp"
#include "ngx_chat_module/handler.hpp"

namespace chat {

void* createMainConf(ngx_conf_t* cf)
{
    auto* conf =
        static_cast<MainConf*>(ngx_pcalloc(cf->pool, sizeof(MainConf)));
    if (conf == nullptr) {
        return nullptr;
    }

    conf->relays = ngx_array_create(cf->pool, 1, sizeof(void*));
    return conf->relays == nullptr ? nullptr : conf;
}

void* createLocConf(ngx_conf_t* cf)
{
    void* memory = ngx_palloc(cf->pool, sizeof(LocConf));
    if (memory == nullptr) {
        return nullptr;
    }

    auto* conf = new (memory) LocConf();
    auto* unsetPtr = NGX_CONF_UNSET_PTR;
    conf->upstream = static_cast<ngx_http_upstream_srv_conf_t*>(unsetPtr);
    conf->user = nullptr;
    conf->subprotocols = static_cast<ngx_array_t*>(unsetPtr);

    conf->trustInit = NGX_CONF_UNSET;
    conf->compression = NGX_CONF_UNSET;
    conf->serverContextTakeover = NGX_CONF_UNSET;
    conf->clientContextTakeover = NGX_CONF_UNSET;
    conf->compressionLevel = NGX_CONF_UNSET;

    conf->heartbeatTimeout = NGX_CONF_UNSET_MSEC;
    conf->pingInterval = NGX_CONF_UNSET_MSEC;
    conf->drainTimeout = NGX_CONF_UNSET_MSEC;
    conf->relayTimeout = NGX_CONF_UNSET_MSEC;
    conf->relayConnectTimeout = NGX_CONF_UNSET_MSEC;

    conf->maxMessage = NGX_CONF_UNSET_SIZE;
    conf->sendBuffer = NGX_CONF_UNSET_SIZE;
    conf->relayBuffer = NGX_CONF_UNSET_SIZE;
    conf->compressionMinLength = NGX_CONF_UNSET_SIZE;

    conf->maxFragments = NGX_CONF_UNSET_UINT;
    conf->maxFrameRate = NGX_CONF_UNSET_UINT;
    conf->maxUserConnections = NGX_CONF_UNSET_UINT;
    conf->limitLogLevel = NGX_CONF_UNSET_UINT;
    conf->log = NGX_CONF_UNSET_UINT;
    conf->serverWindowBits = NGX_CONF_UNSET_UINT;
    conf->clientWindowBits = NGX_CONF_UNSET_UINT;
    conf->statusFormat = NGX_CONF_UNSET_UINT;
    return conf;
}

namespace {

void mergeValues(LocConf* conf, const LocConf* prev)
{
    if (conf->user == nullptr) {
        conf->user = prev->user;
    }
    ngx_conf_merge_ptr_value(conf->subprotocols, prev->subprotocols, nullptr);

    ngx_conf_merge_value(conf->trustInit, prev->trustInit, 0);
    ngx_conf_merge_value(conf->compression, prev->compression, 0);
    ngx_conf_merge_value(conf->serverContextTakeover,
                         prev->serverContextTakeover, 0);
    ngx_conf_merge_value(conf->clientContextTakeover,
                         prev->clientContextTakeover, 0);
    ngx_conf_merge_value(conf->compressionLevel, prev->compressionLevel, 3);

    ngx_conf_merge_msec_value(conf->heartbeatTimeout, prev->heartbeatTimeout,
                              20000);
    ngx_conf_merge_msec_value(conf->pingInterval, prev->pingInterval, 10000);
    ngx_conf_merge_msec_value(conf->drainTimeout, prev->drainTimeout, 10000);
    ngx_conf_merge_msec_value(conf->relayTimeout, prev->relayTimeout, 15000);
    ngx_conf_merge_msec_value(conf->relayConnectTimeout,
                              prev->relayConnectTimeout, 1000);

    ngx_conf_merge_size_value(conf->maxMessage, prev->maxMessage, 64UL << 10);
    ngx_conf_merge_size_value(conf->sendBuffer, prev->sendBuffer, 256UL << 10);
    ngx_conf_merge_size_value(conf->relayBuffer, prev->relayBuffer, 8UL << 20);
    ngx_conf_merge_size_value(conf->compressionMinLength,
                              prev->compressionMinLength, 256);

    ngx_conf_merge_uint_value(conf->maxFragments, prev->maxFragments, 131072);
    ngx_conf_merge_uint_value(conf->maxFrameRate, prev->maxFrameRate, 0);
    ngx_conf_merge_uint_value(conf->maxUserConnections,
                              prev->maxUserConnections, 0);
    ngx_conf_merge_uint_value(conf->limitLogLevel, prev->limitLogLevel,
                              NGX_LOG_WARN);
    ngx_conf_merge_uint_value(conf->log, prev->log, kLogOpen);
    ngx_conf_merge_uint_value(conf->serverWindowBits, prev->serverWindowBits,
                              15);
    ngx_conf_merge_uint_value(conf->clientWindowBits, prev->clientWindowBits,
                              15);
}

// The same in the words of the protocol code.
void fillOptions(LocConf* conf)
{
    conf->receive.limits.maxMessage =
        static_cast<std::uint32_t>(conf->maxMessage);
    conf->receive.limits.maxFragments =
        static_cast<std::uint32_t>(conf->maxFragments);
    conf->receive.pool = &deflatePool();

    conf->deflate.enabled = conf->compression != 0;
    conf->deflate.serverContext = conf->serverContextTakeover != 0;
    conf->deflate.clientContext = conf->clientContextTakeover != 0;
    conf->deflate.serverWindowBits =
        static_cast<std::uint8_t>(conf->serverWindowBits);
    conf->deflate.clientWindowBits =
        static_cast<std::uint8_t>(conf->clientWindowBits);
    conf->deflate.level = static_cast<std::uint8_t>(conf->compressionLevel);
}

RelayConf* findRelay(ngx_conf_t* cf, const LocConf* conf)
{
    ngx_array_t* relays = mainConf(cf)->relays;
    auto** known = static_cast<RelayConf**>(relays->elts);

    for (ngx_uint_t i = 0; i < relays->nelts; ++i) {
        if (known[i]->upstream == conf->upstream &&
            known[i]->timeout == conf->relayTimeout &&
            known[i]->connectTimeout == conf->relayConnectTimeout &&
            known[i]->buffer == conf->relayBuffer) {
            return known[i];
        }
    }

    auto* relay =
        static_cast<RelayConf*>(ngx_pcalloc(cf->pool, sizeof(RelayConf)));
    auto** slot = static_cast<RelayConf**>(ngx_array_push(relays));
    if (relay == nullptr || slot == nullptr) {
        return nullptr;
    }

    relay->upstream = conf->upstream;
    relay->timeout = conf->relayTimeout;
    relay->connectTimeout = conf->relayConnectTimeout;
    relay->buffer = conf->relayBuffer;
    *slot = relay;
    return relay;
}

}  // namespace

char* mergeLocConf(ngx_conf_t* cf, void* parent, void* child)
{
    auto* prev = static_cast<LocConf*>(parent);
    auto* conf = static_cast<LocConf*>(child);

    bool own = conf->upstream != NGX_CONF_UNSET_PTR ||
               conf->heartbeatTimeout != NGX_CONF_UNSET_MSEC ||
               conf->pingInterval != NGX_CONF_UNSET_MSEC;

    ngx_conf_merge_ptr_value(conf->upstream, prev->upstream, nullptr);
    mergeValues(conf, prev);
    fillOptions(conf);

    if (conf->upstream == nullptr) {
        return NGX_CONF_OK;
    }

    if (own && conf->pingInterval >= conf->heartbeatTimeout) {
        ngx_conf_log_error(NGX_LOG_WARN, cf, 0,
                           "\"chat_ping_interval\" should be less than "
                           "\"chat_heartbeat_timeout\"");
    }

    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
    if (core->handler == nullptr) {
        core->handler = handleUpgrade;
    }

    conf->relay = findRelay(cf, conf);
    return conf->relay == nullptr ? static_cast<char*>(NGX_CONF_ERROR)
                                  : NGX_CONF_OK;
}

}  // namespace chat
