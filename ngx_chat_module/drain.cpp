#include "ngx_chat_module/drain.hpp"

#include "ngx_chat_module/conf.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/ws/close_code.hpp"

namespace chat {

void onNginxClose(Session* session)
{
    if (session->connection->error) {
        dropSession(session, Cause::Shutdown);
        return;
    }
    scheduleDrain(session);
}

// The timer is one that the old process waits for before it exits.
void scheduleDrain(Session* session)
{
    if (session->draining || session->state != State::Open ||
        session->ending != nullptr) {
        return;
    }

    auto span = static_cast<ngx_uint_t>(session->conf->drainTimeout);
    auto wait = static_cast<ngx_msec_t>(
        span == 0 ? 0 : static_cast<ngx_uint_t>(ngx_random()) % span);

    session->draining = true;
    ngx_add_timer(session->connection->read, wait);
}

void drainSession(Session* session)
{
    closeSession(session, ws::kCloseServiceRestart, Cause::Drain,
                 "service restart");
}

}  // namespace chat
