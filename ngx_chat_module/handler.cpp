#include "ngx_chat_module/handler.hpp"

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/release.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/users.hpp"
#include "ngx_chat_module/ws/deflate_offer.hpp"
#include "ngx_chat_module/ws/handshake.hpp"
#include "shared/relay_format.hpp"

namespace chat {

namespace {

constexpr std::size_t kMaxFields = 16;
constexpr ngx_uint_t kUpgradeRequired = 426;

// All fields of one name.
struct Fields {
    std::string_view values[kMaxFields];
    std::size_t count = 0;

    void add(std::string_view value)
    {
        if (count < kMaxFields) {
            values[count] = value;
        }
        ++count;
    }
    bool tooMany() const { return count > kMaxFields; }
    operator ws::FieldValues() const { return {values, count}; }
};

struct Handshake {
    Fields upgrade;
    Fields connection;
    Fields key;
    Fields version;
    Fields protocol;
    Fields extensions;

    // The answer.
    std::string_view subprotocol;
    ws::DeflateParams deflate;
};

Fields* fieldsOf(Handshake* handshake, std::string_view name)
{
    constexpr std::string_view prefix = "sec-websocket-";

    if (name == "upgrade") {
        return &handshake->upgrade;
    }
    if (name == "connection") {
        return &handshake->connection;
    }
    if (name.substr(0, prefix.size()) != prefix) {
        return nullptr;
    }

    name.remove_prefix(prefix.size());
    if (name == "key") {
        return &handshake->key;
    }
    if (name == "version") {
        return &handshake->version;
    }
    if (name == "protocol") {
        return &handshake->protocol;
    }
    return name == "extensions" ? &handshake->extensions : nullptr;
}

void readFields(ngx_http_request_t* r, Handshake* handshake)
{
    for (ngx_list_part_t* part = &r->headers_in.headers.part; part != nullptr;
         part = part->next) {
        auto* header = static_cast<ngx_table_elt_t*>(part->elts);

        for (ngx_uint_t i = 0; i < part->nelts; ++i) {
            std::string_view name(
                reinterpret_cast<const char*>(header[i].lowcase_key),
                header[i].key.len);
            if (Fields* fields = fieldsOf(handshake, name)) {
                fields->add(toView(header[i].value));
            }
        }
    }
}

bool addHeader(ngx_http_request_t* r, std::string_view name,
               std::string_view value)
{
    auto* header =
        static_cast<ngx_table_elt_t*>(ngx_list_push(&r->headers_out.headers));
    if (header == nullptr) {
        return false;
    }

    ngx_memzero(header, sizeof(*header));
    header->hash = 1;
    header->key = toStr(name);
    header->value = toStr(value);
    return true;
}

void logRefusal(ngx_http_request_t* r, const char* why)
{
    ++counters().handshakesRefused;
    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "client sent invalid WebSocket handshake: %s", why);
}

ngx_int_t badRequest(ngx_http_request_t* r, const char* why)
{
    logRefusal(r, why);

    if (!addHeader(r, "Sec-WebSocket-Version", "13")) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return NGX_HTTP_BAD_REQUEST;
}

// nginx has neither reason phrase nor page for this status.
ngx_int_t upgradeRequired(ngx_http_request_t* r, const char* why)
{
    logRefusal(r, why);

    ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    if (!addHeader(r, "Upgrade", "websocket") ||
        !addHeader(r, "Connection", "Upgrade") ||
        !addHeader(r, "Sec-WebSocket-Version", "13")) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    ngx_str_t type = ngx_string("text/plain");
    ngx_http_complex_value_t body;
    ngx_memzero(&body, sizeof(body));
    body.value = toStr("a WebSocket handshake of version 13 is needed\n");

    r->headers_out.status_line = toStr("426 Upgrade Required");
    return ngx_http_send_response(r, kUpgradeRequired, &type, &body);
}

bool hasBody(const ngx_http_request_t* r)
{
    return r->headers_in.content_length_n > 0 || r->headers_in.chunked;
}

const char* findFault(const ngx_http_request_t* r, const Handshake& handshake)
{
    if (r->http_version != NGX_HTTP_VERSION_11) {
        return "HTTP version is not 1.1";
    }
    if (r->method != NGX_HTTP_GET) {
        return "method is not GET";
    }
    if (hasBody(r)) {
        return "request has a body";
    }

    for (const Fields* fields : {&handshake.upgrade, &handshake.connection,
                                 &handshake.protocol, &handshake.extensions}) {
        if (fields->tooMany()) {
            return "too many header fields of the same name";
        }
    }
    return nullptr;
}

const char* findKeyFault(const Handshake& handshake)
{
    if (handshake.key.count != 1) {
        return handshake.key.count == 0 ? "no \"Sec-WebSocket-Key\""
                                        : "repeated \"Sec-WebSocket-Key\"";
    }
    if (!ws::isKey(handshake.key.values[0])) {
        return "invalid \"Sec-WebSocket-Key\"";
    }
    return nullptr;
}

const char* selectSubprotocol(const LocConf* conf, Handshake* handshake)
{
    std::string_view ours[64];
    std::size_t count = 0;

    if (conf->subprotocols != nullptr) {
        auto* names = static_cast<ngx_str_t*>(conf->subprotocols->elts);
        for (; count < conf->subprotocols->nelts && count < 64; ++count) {
            ours[count] = toView(names[count]);
        }
    }

    if (ws::selectSubprotocol(handshake->protocol, ws::FieldValues(ours, count),
                              handshake->subprotocol) ==
        ws::Selection::Malformed) {
        return "invalid \"Sec-WebSocket-Protocol\"";
    }
    return nullptr;
}

const char* negotiate(const LocConf* conf, Handshake* handshake)
{
    if (const char* fault = selectSubprotocol(conf, handshake)) {
        return fault;
    }
    if (ws::negotiateDeflate(handshake->extensions, conf->deflate,
                             handshake->deflate) ==
        ws::Negotiation::Malformed) {
        return "invalid \"Sec-WebSocket-Extensions\"";
    }
    return nullptr;
}

// NGX_OK, or the status to answer with.
ngx_int_t checkHandshake(ngx_http_request_t* r, const LocConf* conf,
                         Handshake* handshake)
{
    if (const char* fault = findFault(r, *handshake)) {
        return badRequest(r, fault);
    }

    if (!ws::hasToken(handshake->upgrade, "websocket") ||
        !ws::hasToken(handshake->connection, "upgrade")) {
        return upgradeRequired(r, "no upgrade to \"websocket\"");
    }

    if (handshake->version.count != 1) {
        return badRequest(r, "no single \"Sec-WebSocket-Version\"");
    }
    switch (ws::readVersion(handshake->version.values[0])) {
    case ws::Version::Supported:
        break;
    case ws::Version::Unsupported:
        return upgradeRequired(r, "unsupported version");
    case ws::Version::Malformed:
        return badRequest(r, "invalid \"Sec-WebSocket-Version\"");
    }

    if (const char* fault = findKeyFault(*handshake)) {
        return badRequest(r, fault);
    }
    if (const char* fault = negotiate(conf, handshake)) {
        return badRequest(r, fault);
    }
    return NGX_OK;
}

// Who it is, as far as nginx knows.
ngx_int_t findUser(ngx_http_request_t* r, const LocConf* conf, ngx_str_t* user)
{
    ngx_str_null(user);
    if (conf->user == nullptr) {
        return NGX_OK;
    }

    if (ngx_http_complex_value(r, conf->user, user) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (user->len == 0 && !conf->trustInit) {
        ++counters().handshakesForbidden;
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "\"chat_user\" is empty");
        return NGX_HTTP_FORBIDDEN;
    }

    if (user->len > relay::kMaxUser) {
        ++counters().handshakesForbidden;
        ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                      "\"chat_user\" is longer than %uz bytes",
                      relay::kMaxUser);
        return NGX_HTTP_FORBIDDEN;
    }

    if (!userMayConnect(conf, toView(*user))) {
        ++counters().limitedUsers;
        ngx_log_error(conf->limitLogLevel, r->connection->log, 0,
                      "too many connections of the user");
        return NGX_HTTP_TOO_MANY_REQUESTS;
    }
    return NGX_OK;
}

std::string_view keep(ngx_pool_t* pool, const char* text, std::size_t size)
{
    void* copy = ngx_pnalloc(pool, size);
    if (copy == nullptr) {
        return {};
    }
    ngx_memcpy(copy, text, size);
    return {static_cast<char*>(copy), size};
}

bool addAnswer(ngx_http_request_t* r, const Handshake& handshake)
{
    char accept[ws::kAcceptSize];
    ws::encodeAccept(accept, handshake.key.values[0]);
    std::string_view kept = keep(r->pool, accept, sizeof(accept));

    if (kept.empty() || !addHeader(r, "Upgrade", "websocket") ||
        !addHeader(r, "Sec-WebSocket-Accept", kept)) {
        return false;
    }

    if (!handshake.subprotocol.empty() &&
        !addHeader(r, "Sec-WebSocket-Protocol", handshake.subprotocol)) {
        return false;
    }

    if (handshake.deflate.enabled) {
        char text[ws::kMaxDeflateResponse];
        std::size_t size = ws::encodeDeflateResponse(text, handshake.deflate);
        kept = keep(r->pool, text, size);
        return !kept.empty() && addHeader(r, "Sec-WebSocket-Extensions", kept);
    }
    return true;
}

// NGX_OK: the 101 is on its way.
ngx_int_t sendSwitching(ngx_http_request_t* r, const Handshake& handshake)
{
    if (!addAnswer(r, handshake)) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    r->headers_out.status = NGX_HTTP_SWITCHING_PROTOCOLS;
    r->headers_out.status_line = toStr("101 Switching Protocols");
    r->keepalive = 0;

    ngx_int_t rc = ngx_http_send_header(r);
    if (rc == NGX_ERROR || rc > NGX_OK) {
        return NGX_ERROR;
    }

    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_get_module_loc_conf(r, ngx_http_core_module));
    if (core->tcp_nodelay && ngx_tcp_nodelay(r->connection) != NGX_OK) {
        return NGX_ERROR;
    }
    return ngx_http_send_special(r, NGX_HTTP_FLUSH) == NGX_ERROR ? NGX_ERROR
                                                                 : NGX_OK;
}

}  // namespace

// Built without OpenSSL's headers the module may still be loaded into an nginx
// that has TLS (--with-compat); it cannot tell OpenSSL what its output queues
// need then.
bool speaksTls(ngx_http_request_t* r)
{
#if (NGX_COMPAT && !NGX_SSL)
    if (r->connection->ssl != nullptr) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "the chat module was built without TLS, configure "
                      "it --with-http_ssl_module");
        return false;
    }
#else
    (void)r;
#endif
    return true;
}

ngx_int_t handleUpgrade(ngx_http_request_t* r)
{
    LocConf* conf = locConf(r);

    if (r != r->main) {
        return NGX_HTTP_BAD_REQUEST;
    }

    if (!speaksTls(r)) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    // What error_page sends here stays refused.
    if (r->err_status != 0) {
        return r->err_status >= NGX_HTTP_BAD_REQUEST
                   ? static_cast<ngx_int_t>(r->err_status)
                   : NGX_HTTP_FORBIDDEN;
    }

    Handshake handshake;
    readFields(r, &handshake);

    ngx_int_t rc = checkHandshake(r, conf, &handshake);
    if (rc != NGX_OK || r->header_sent) {
        return rc;
    }

    ngx_str_t user;
    rc = findUser(r, conf, &user);
    if (rc != NGX_OK) {
        return rc;
    }

    if (RelayGroup::of(conf->relay) == nullptr) {
        return NGX_HTTP_SERVICE_UNAVAILABLE;
    }

    Session* session = createSession(r, conf, toView(user), handshake.deflate);
    if (session == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    rc = sendSwitching(r, handshake);
    if (rc == NGX_OK && !bindToRequest(session)) {
        rc = NGX_ERROR;
    }
    if (rc != NGX_OK) {
        destroySession(session);
        return rc;
    }

    // The rest happens when the core has let go of the request.
    ngx_http_set_ctx(r, session, ngx_http_chat_module);
    countUser(session);
    ++counters().handshakes;
    ++r->main->count;
    markDirty(session);
    return NGX_DONE;
}

}  // namespace chat
