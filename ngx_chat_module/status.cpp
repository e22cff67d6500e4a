#include "ngx_chat_module/status.hpp"

#include <new>
#include <string>

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/metrics_text.hpp"
#include "ngx_chat_module/relay_group.hpp"
#include "ngx_chat_module/status_zone.hpp"
#include "shared/relay_bytes.hpp"

namespace chat {

namespace {

// A chat-worker that has not answered by then is left out.
constexpr ngx_msec_t kPatience = 500;

// What chat-workers have said so far.
struct Told {
    std::string json;
    WorkerMetrics metrics;
};

// A request for the status that waits for chat-workers. Lives in the
// request's memory; its cleanup takes it from the list.
struct Query {
    Query* next;
    ngx_http_request_t* request;
    std::uint64_t id;
    std::uint32_t pending;
    bool json;
    Told* told;
    ngx_event_t timer;
    TimerData timerData;
};

static_assert(std::is_trivially_destructible_v<Query>);

Query* queries;
std::uint64_t lastId;

// Nobody is waited for any more.
void stopWaiting(Query* query)
{
    for (Query** at = &queries; *at != nullptr; at = &(*at)->next) {
        if (*at == query) {
            *at = query->next;
            break;
        }
    }
    if (query->timer.timer_set) {
        ngx_del_timer(&query->timer);
    }
}

void forget(void* data)
{
    auto* query = static_cast<Query*>(data);

    stopWaiting(query);
    delete query->told;
    query->told = nullptr;
}

std::string render(ngx_http_request_t* r, const Query& query)
{
    auto* conf = static_cast<MainConf*>(
        ngx_http_get_module_main_conf(r, ngx_http_chat_module));
    Counters sum;
    sumCounters(conf->zone, &sum);

    std::string text;
    if (query.json) {
        appendJson(&text, sum);
        text.append(",\"workers\":{").append(query.told->json).append("}}\n");

    } else {
        appendPrometheus(&text, sum);
        query.told->metrics.append(&text);
    }
    return text;
}

ngx_int_t answer(ngx_http_request_t* r, const Query& query)
{
    ngx_str_t type = query.json
                         ? toStr("application/json")
                         : toStr("text/plain; version=0.0.4; charset=utf-8");
    ngx_http_complex_value_t body;
    ngx_memzero(&body, sizeof(body));

    try {
        std::string text = render(r, query);

        body.value.data =
            static_cast<u_char*>(ngx_pnalloc(r->pool, text.size()));
        if (body.value.data == nullptr) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
        ngx_memcpy(body.value.data, text.data(), text.size());
        body.value.len = text.size();

    } catch (const std::bad_alloc&) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    return ngx_http_send_response(r, NGX_HTTP_OK, &type, &body);
}

void finish(Query* query)
{
    ngx_http_request_t* r = query->request;
    ngx_connection_t* c = r->connection;

    stopWaiting(query);
    ngx_http_finalize_request(r, answer(r, *query));
    ngx_http_run_posted_requests(c);
}

void onPatience(ngx_event_t* event)
{
    finish(static_cast<Query*>(static_cast<TimerData*>(event->data)->owner));
}

Query* makeQuery(ngx_http_request_t* r)
{
    ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Query));
    if (cleanup == nullptr) {
        return nullptr;
    }

    auto* query = new (cleanup->data) Query();
    query->told = new (std::nothrow) Told;
    if (query->told == nullptr) {
        return nullptr;
    }

    query->request = r;
    query->id = ++lastId;
    query->timerData = {query, {}, static_cast<ngx_socket_t>(-1)};
    query->timer.data = &query->timerData;
    query->timer.handler = onPatience;
    query->timer.log = r->connection->log;
    query->next = queries;
    queries = query;
    cleanup->handler = forget;
    return query;
}

// A server may stand behind several locations with settings of their own.
bool isAsked(const RelayLink& link, RelayConf** relays, ngx_uint_t before)
{
    for (ngx_uint_t i = 0; i < before; ++i) {
        RelayGroup* group = relays[i]->group;

        for (std::uint32_t n = 0; group != nullptr && n < group->links(); ++n) {
            RelayLink& other = group->link(n);
            if (other.up() && toView(other.name()) == toView(link.name())) {
                return true;
            }
        }
    }
    return false;
}

// Asks every chat-worker that this process is connected to.
void ask(ngx_http_request_t* r, Query* query)
{
    auto* conf = static_cast<MainConf*>(
        ngx_http_get_module_main_conf(r, ngx_http_chat_module));
    auto** relays = static_cast<RelayConf**>(conf->relays->elts);

    std::string_view path = query->json ? "/metrics?format=json" : "/metrics";
    char payload[64];
    relay::store(payload, static_cast<std::uint16_t>(path.size()));
    path.copy(payload + 2, path.size());

    for (ngx_uint_t i = 0; i < conf->relays->nelts; ++i) {
        RelayGroup* group = RelayGroup::of(relays[i]);

        for (std::uint32_t n = 0; group != nullptr && n < group->links(); ++n) {
            RelayLink& link = group->link(n);
            if (link.up() && !isAsked(link, relays, i)) {
                link.send(relay::Kind::Request, 0, 0, query->id,
                          {payload, 2 + path.size()});
                ++query->pending;
            }
        }
    }
}

bool wantsJson(ngx_http_request_t* r)
{
    ngx_str_t name = ngx_string("format");
    ngx_str_t format;
    if (ngx_http_arg(r, name.data, name.len, &format) == NGX_OK) {
        return toView(format) == "json";
    }
    return locConf(r)->statusFormat == kJson;
}

bool isUsable(const Query& query, const relay::Frame& frame,
              const relay::Response& response)
{
    std::string_view type = query.json ? "application/json" : "text/plain";
    return frame.code == NGX_HTTP_OK && !response.body.empty() &&
           response.contentType.substr(0, type.size()) == type;
}

void add(Query* query, const RelayLink* link, std::string_view body)
{
    std::string_view name = toView(link->name());

    if (!query->json) {
        query->told->metrics.add(body, name);
        return;
    }

    std::string& out = query->told->json;
    out.append(out.empty() ? "\"" : ",\"").append(name).append("\":");
    out.append(body);
}

}  // namespace

ngx_int_t handleStatus(ngx_http_request_t* r)
{
    if ((r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) == 0) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    ngx_int_t rc = ngx_http_discard_request_body(r);
    if (rc != NGX_OK) {
        return rc;
    }

    Query* query = makeQuery(r);
    if (query == nullptr) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }
    query->json = wantsJson(r);
    ask(r, query);

    if (query->pending == 0) {
        return answer(r, *query);
    }

    r->read_event_handler = ngx_http_test_reading;
    ++r->main->count;
    ngx_add_timer(&query->timer, kPatience);
    return NGX_DONE;
}

bool onResponse(RelayLink* link, const relay::Frame& frame)
{
    relay::Response response;
    if (!decode(frame, &response)) {
        return false;
    }

    for (Query* query = queries; query != nullptr; query = query->next) {
        if (query->id != frame.id) {
            continue;
        }

        try {
            if (isUsable(*query, frame, response)) {
                add(query, link, response.body);
            }
        } catch (const std::bad_alloc&) {
            *query->told = {};
        }

        if (--query->pending == 0) {
            finish(query);
        }
        return true;
    }
    return true;
}

}  // namespace chat
