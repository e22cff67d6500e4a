#include "ngx_chat_module/release.hpp"

#include "ngx_chat_module/drain.hpp"
#include "ngx_chat_module/heartbeat.hpp"
#include "ngx_chat_module/input.hpp"
#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/turn.hpp"

namespace chat {

namespace {

constexpr ngx_msec_t kSubrequestsInterval = 20;
constexpr std::size_t kClosePool = NGX_MIN_POOL_SIZE;

void useLog(ngx_connection_t* c, ngx_log_t* log)
{
    c->log = log;
    c->read->log = log;
    c->write->log = log;
}

// Writes the access log line and runs the request's cleanups. The core finds
// its context in the connection's own log.
void freeRequest(Session* session)
{
    ngx_connection_t* c = session->connection;
    ngx_http_request_t* r = session->request;

    session->request = nullptr;
    useLog(c, c->pool->log);
    ngx_http_free_request(r, 0);
    c->destroyed = 0;
}

// What other modules have attached to the request's memory ends with the
// request: limit_conn counts until then.
bool keepsRequest(const Session* session)
{
    return session->conf->log == kLogClose ||
           session->request->pool->cleanup != nullptr;
}

bool needsPool(const ngx_connection_t* c)
{
#if (NGX_SSL)
    if (c->ssl != nullptr) {
        return true;
    }
#endif
    return c->pool->cleanup != nullptr;
}

void freeChain(ngx_pool_t* pool, ngx_chain_t** chain)
{
    while (ngx_chain_t* link = *chain) {
        *chain = link->next;
        ngx_pfree(pool, link->buf->start);
        ngx_free_chain(pool, link);
    }
}

// What a connection that keeps its pool can do without, as nginx does with an
// idle keepalive connection: see ngx_http_set_keepalive().
void freeBuffers(ngx_connection_t* c, ngx_http_connection_t* http)
{
#if (NGX_SSL)
    if (c->ssl != nullptr) {
        ngx_ssl_free_buffer(c);
    }
#endif
    if (c->buffer != nullptr) {
        ngx_pfree(c->pool, c->buffer->start);
        c->buffer = nullptr;
    }
    freeChain(c->pool, &http->free);
    freeChain(c->pool, &http->busy);
    http->nbusy = 0;
}

void releaseMemory(Session* session)
{
    ngx_connection_t* c = session->connection;

    if (keepsRequest(session)) {
        return;
    }

    ngx_http_connection_t* http = session->request->http_connection;
    freeRequest(session);

    // c->log stands in the pool and is no longer used.
    useLog(c, &session->log);
    if (needsPool(c)) {
        freeBuffers(c, http);
        return;
    }

    ngx_pool_t* pool = c->pool;
    c->pool = nullptr;
    c->buffer = nullptr;
    c->sockaddr = nullptr;
    c->socklen = 0;
    c->addr_text.len = 0;
    c->proxy_protocol = nullptr;
    ngx_destroy_pool(pool);
}

// What the client sent behind its handshake was read together with it.
void consumeEarly(Session* session)
{
    ngx_buf_t* buffer = session->request->header_in;
    auto size = static_cast<std::size_t>(buffer->last - buffer->pos);

    if (size != 0) {
        unsigned char* bytes = buffer->pos;
        buffer->pos = buffer->last;
        session->bytesIn += size;
        counters().bytesIn += size;
        consume(session, bytes, size);
    }
}

bool handshakeSent(Session* session)
{
    ngx_connection_t* c = session->connection;
    return !c->buffered && session->request->out == nullptr;
}

void waitForHandshake(Session* session);

// Until the 101 is sent the connection belongs to the request: nginx's filters
// want to find it there.
Session* openingSession(const ngx_event_t* event)
{
    auto* c = static_cast<ngx_connection_t*>(event->data);
    auto* r = static_cast<ngx_http_request_t*>(c->data);
    return static_cast<Session*>(
        ngx_http_get_module_ctx(r, ngx_http_chat_module));
}

// The rest of a 101 that the socket did not take at once.
void onHandshakeWritable(ngx_event_t* event)
{
    Session* session = openingSession(event);

    // limit_rate holds back responses by the same timer.
    if (event->timedout && !event->delayed) {
        dropSession(session, Cause::SocketError);
        return;
    }
    event->timedout = 0;
    event->delayed = 0;

    if (ngx_http_output_filter(session->request, nullptr) == NGX_ERROR) {
        dropSession(session, Cause::SocketError);
        return;
    }

    if (handshakeSent(session)) {
        adoptSession(session);
        return;
    }

    waitForHandshake(session);
}

// Subrequests that outlive the handshake (mirror, the update of a cache in the
// background) run on as long as the connection belongs to the request.
bool hasSubrequests(const Session* session)
{
    return session->request->main->count > 1;
}

// Nobody tells when the last subrequest is over. The timer is that of the
// read event; what the client sends waits in the kernel.
void onSubrequestsTimer(ngx_http_request_t* r)
{
    ngx_event_t* event = r->connection->read;

    if (event->timedout) {
        // Not at once: the caller still goes by the request.
        event->timedout = 0;
        markDirty(static_cast<Session*>(
            ngx_http_get_module_ctx(r, ngx_http_chat_module)));
        return;
    }
    ngx_http_block_reading(r);
}

void waitForSubrequests(Session* session)
{
    session->request->read_event_handler = onSubrequestsTimer;
    ngx_add_timer(session->connection->read, kSubrequestsInterval);
}

void onReadableWhileOpening(ngx_event_t* event)
{
    auto* c = static_cast<ngx_connection_t*>(event->data);

    if (c->close) {
        dropSession(openingSession(event), Cause::Shutdown);
    }
}

void waitForHandshake(Session* session)
{
    ngx_connection_t* c = session->connection;
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_get_module_loc_conf(session->request, ngx_http_core_module));

    c->read->handler = onReadableWhileOpening;
    c->write->handler = onHandshakeWritable;

    if (!c->write->delayed) {
        ngx_add_timer(c->write, core->send_timeout);
    }
    if (ngx_handle_write_event(c->write, 0) != NGX_OK) {
        dropSession(session, Cause::SocketError);
        return;
    }

    // It became writable while subrequests were waited for.
    if (c->write->ready && !c->write->delayed) {
        ngx_post_event(c->write, &ngx_posted_events);
    }
}

// Output queues move while OpenSSL has a part of one to send again, and what it
// has sent is to count as sent before the rest is.
void allowMoving(ngx_connection_t* c)
{
#if (NGX_SSL)
    if (c->ssl != nullptr) {
        SSL_set_mode(c->ssl->connection, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                             SSL_MODE_ENABLE_PARTIAL_WRITE);
    }
#else
    (void)c;
#endif
}

void takeOver(Session* session)
{
    ngx_connection_t* c = session->connection;

    c->data = session;
    c->read->handler = onReadable;
    c->write->handler = onWritable;

    for (ngx_event_t* event : {c->read, c->write}) {
        if (event->timer_set) {
            ngx_del_timer(event);
        }
    }
    c->write->delayed = 0;
    allowMoving(c);
    useLog(c, &session->log);

    // nginx tells when it wants to be rid of idle connections.
    c->idle = 1;

    session->state = State::Open;
    attachSession(session);
    watch(session);
}

// The core ends a request that has not been taken over: the time that
// worker_shutdown_timeout gives is over.
void onRequestEnd(void* data)
{
    auto* session = static_cast<Session*>(data);

    if (ngx_http_request_t* r = session->request) {
        ngx_http_set_ctx(r, nullptr, ngx_http_chat_module);
        abandonSession(session);
    }
}

}  // namespace

bool bindToRequest(Session* session)
{
    ngx_http_cleanup_t* cleanup = ngx_http_cleanup_add(session->request, 0);
    if (cleanup == nullptr) {
        return false;
    }

    cleanup->handler = onRequestEnd;
    cleanup->data = session;
    return true;
}

void adoptSession(Session* session)
{
    ngx_connection_t* c = session->connection;

    if (hasSubrequests(session)) {
        waitForSubrequests(session);
        return;
    }
    if (c->error) {
        dropSession(session, Cause::SocketError);
        return;
    }
    if (!handshakeSent(session)) {
        waitForHandshake(session);
        return;
    }

    takeOver(session);
    consumeEarly(session);
    releaseMemory(session);

    if (ngx_exiting) {
        scheduleDrain(session);
    }
    if (c->read->ready) {
        ngx_post_event(c->read, &ngx_posted_events);
    }
    if (ngx_handle_read_event(c->read, 0) != NGX_OK) {
        c->error = 1;
        markDirty(session);
    }
}

void closeConnection(Session* session)
{
    ngx_connection_t* c = session->connection;
    c->idle = 0;

    if (session->request != nullptr) {
        freeRequest(session);
    }

    if (c->pool == nullptr) {
        // The core destroys it again; only the core knows whether this nginx
        // counts its connections.
        c->pool = ngx_create_pool(kClosePool, ngx_cycle->log);
    }

    if (c->pool == nullptr) {
        useLog(c, ngx_cycle->log);
        c->destroyed = 1;
        ngx_close_connection(c);
        return;
    }

    // Ends TLS, which may take a while: the session is gone by then.
    useLog(c, c->pool->log);
    ngx_http_close_connection(c);
}

}  // namespace chat
