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

void releaseMemory(Session* session)
{
    ngx_connection_t* c = session->connection;

    if (keepsRequest(session)) {
        return;
    }
    freeRequest(session);

    // c->log stands in the pool and is no longer used.
    useLog(c, &session->log);
    if (needsPool(c)) {
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
    }
}

void takeOver(Session* session)
{
    ngx_connection_t* c = session->connection;

    c->data = session;
    c->read->handler = onReadable;
    c->write->handler = onWritable;

    if (c->write->timer_set) {
        ngx_del_timer(c->write);
    }
    c->write->delayed = 0;
    useLog(c, &session->log);

    // nginx tells when it wants to be rid of idle connections.
    c->idle = 1;

    session->state = State::Open;
    attachSession(session);
    watch(session);
}

}  // namespace

void adoptSession(Session* session)
{
    ngx_connection_t* c = session->connection;

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

    if (c->pool != nullptr) {
        // Ends TLS, which may take a while: the session is gone by then.
        useLog(c, c->pool->log);
        ngx_http_close_connection(c);
        return;
    }

#if (NGX_STAT_STUB)
    (void)ngx_atomic_fetch_add(ngx_stat_active, -1);
#endif
    c->destroyed = 1;
    ngx_close_connection(c);
}

}  // namespace chat
