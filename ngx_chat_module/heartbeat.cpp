#include "ngx_chat_module/heartbeat.hpp"

#include <algorithm>

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/ws/close_code.hpp"

namespace chat {

namespace {

// The timer never runs more often than this.
constexpr ngx_msec_t kGrain = 10;

Session* sessionOf(ngx_queue_t* beat)
{
    return ngx_queue_data(beat, Session, beat);
}

ngx_msec_t silence(const Session* session)
{
    return ngx_current_msec - session->received;
}

// Takes those whose silence has lasted for `limit` from the head of a list.
template <typename Act>
void forEachSilent(ngx_queue_t* list, ngx_msec_t limit, Act&& act)
{
    while (!ngx_queue_empty(list)) {
        Session* session = sessionOf(ngx_queue_head(list));
        if (silence(session) < limit) {
            return;
        }
        act(session);
    }
}

void evict(Session* session)
{
    closeSession(session, ws::kCloseGoingAway, Cause::Heartbeat,
                 "heartbeat timeout");
}

void ping(Session* session)
{
    ngx_queue_remove(&session->beat);
    ngx_queue_insert_tail(&session->conf->heartbeat.pinged, &session->beat);
    session->pinged = true;
    ++counters().pingsOut;
    sendControl(session, ws::Opcode::Ping, {});
}

// When the head of a list will have been silent for `limit`.
ngx_msec_t due(ngx_queue_t* list, ngx_msec_t limit)
{
    if (ngx_queue_empty(list)) {
        return limit;
    }
    ngx_msec_t passed = silence(sessionOf(ngx_queue_head(list)));
    return passed < limit ? limit - passed : 0;
}

void schedule(LocConf* conf)
{
    Heartbeat& beat = conf->heartbeat;

    if (ngx_queue_empty(&beat.fresh) && ngx_queue_empty(&beat.pinged)) {
        return;
    }

    ngx_msec_t next = std::min(due(&beat.fresh, conf->heartbeatTimeout),
                               due(&beat.pinged, conf->heartbeatTimeout));
    if (conf->pingInterval != 0) {
        next = std::min(next, due(&beat.fresh, conf->pingInterval));
    }
    ngx_add_timer(&beat.timer, std::max(next, kGrain));
}

void onBeat(ngx_event_t* event)
{
    auto* data = static_cast<TimerData*>(event->data);
    auto* conf = static_cast<LocConf*>(data->owner);
    Heartbeat& beat = conf->heartbeat;

    forEachSilent(&beat.fresh, conf->heartbeatTimeout, evict);
    forEachSilent(&beat.pinged, conf->heartbeatTimeout, evict);
    if (conf->pingInterval != 0) {
        forEachSilent(&beat.fresh, conf->pingInterval, ping);
    }
    schedule(conf);
}

void start(LocConf* conf)
{
    Heartbeat& beat = conf->heartbeat;
    ngx_queue_init(&beat.fresh);
    ngx_queue_init(&beat.pinged);

    beat.timerData = {conf, {}, static_cast<ngx_socket_t>(-1)};
    beat.timer.data = &beat.timerData;
    beat.timer.handler = onBeat;
    beat.timer.log = ngx_cycle->log;
    beat.timer.cancelable = 1;
    beat.started = true;
}

}  // namespace

void watch(Session* session)
{
    Heartbeat& beat = session->conf->heartbeat;
    if (!beat.started) {
        start(session->conf);
    }

    session->received = ngx_current_msec;
    session->watched = true;
    session->pinged = false;
    ngx_queue_insert_tail(&beat.fresh, &session->beat);

    if (!beat.timer.timer_set) {
        schedule(session->conf);
    }
}

void unwatch(Session* session)
{
    if (session->watched) {
        session->watched = false;
        ngx_queue_remove(&session->beat);
    }
}

void touch(Session* session)
{
    session->received = ngx_current_msec;

    if (session->watched) {
        session->pinged = false;
        ngx_queue_remove(&session->beat);
        ngx_queue_insert_tail(&session->conf->heartbeat.fresh, &session->beat);
    }
}

}  // namespace chat
