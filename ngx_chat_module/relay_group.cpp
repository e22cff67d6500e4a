#include "ngx_chat_module/relay_group.hpp"

#include <cstdlib>
#include <cstring>
#include <new>

#include "ngx_chat_module/input.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/turn.hpp"
#include "ngx_chat_module/ws/close_code.hpp"
#include "shared/relay_bytes.hpp"

namespace chat {

namespace {

// Moving all sessions takes about 20 seconds.
constexpr ngx_msec_t kBalanceInterval = 100;
constexpr std::uint32_t kBalanceSteps = 200;

// Its messages cannot pass one another on the way to two chat-workers.
bool waitsForNothing(const Session* session)
{
    return session->unconfirmed == 0 && session->stash == nullptr &&
           session->unreported == 0;
}

// The servers of an upstream as every balancer of nginx prepares them.
ngx_http_upstream_rr_peers_t* serversOf(const RelayConf* conf)
{
    return static_cast<ngx_http_upstream_rr_peers_t*>(
        conf->upstream->peer.data);
}

template <typename Visit>
void forEachServer(ngx_http_upstream_rr_peers_t* servers, Visit&& visit)
{
    for (bool backup : {false, true}) {
        if (servers == nullptr) {
            return;
        }
        for (auto* peer = servers->peer; peer != nullptr; peer = peer->next) {
            if (!peer->down) {
                visit(peer, backup);
            }
        }
        servers = servers->next;
    }
}

}  // namespace

RelayGroup* RelayGroup::of(RelayConf* conf)
{
    if (conf->group == nullptr) {
        auto* group = new (std::nothrow) RelayGroup;

        if (group == nullptr || !group->init(conf)) {
            delete group;
            return nullptr;
        }
        conf->group = group;

        for (std::uint32_t i = 0; i < group->linkCount_; ++i) {
            group->links_[i].connect();
        }
    }
    return conf->group;
}

bool RelayGroup::init(RelayConf* conf)
{
    conf_ = conf;

    timerData_ = {this, {}, static_cast<ngx_socket_t>(-1)};
    balance_.data = &timerData_;
    balance_.handler = onBalance;
    balance_.log = ngx_cycle->log;
    balance_.cancelable = 1;

    std::uint32_t count = 0;
    forEachServer(serversOf(conf), [&](auto*, bool) { ++count; });

    links_ = count == 0 ? nullptr : new (std::nothrow) RelayLink[count];
    if (links_ == nullptr) {
        return false;
    }

    bool good = true;
    forEachServer(serversOf(conf), [&](auto* peer, bool backup) {
        good = good && links_[linkCount_++].init(this, peer, backup);
    });
    return good;
}

// The least loaded chat-worker; spare ones only while no other is there.
RelayLink* RelayGroup::pick()
{
    RelayLink* best = nullptr;

    for (std::uint32_t i = 0; i < linkCount_; ++i) {
        RelayLink* link = &links_[i];

        if (!link->up()) {
            continue;
        }
        if (best == nullptr || (best->backup() && !link->backup()) ||
            (best->backup() == link->backup() && link->load() < best->load())) {
            best = link;
        }
    }
    return best;
}

bool RelayGroup::mine(const Session* session) const
{
    return session->conf->relay == conf_ && session->state == State::Open;
}

void RelayGroup::attachTo(RelayLink* link, Session* session)
{
    if (session->link == nullptr) {
        --counters().unattached;
    }
    session->link = link;
    session->unreported = 0;
    ++link->sessions;
    link->attach(session);
    session->attached = true;
}

void RelayGroup::attach(Session* session)
{
    ++sessions_;
    ++counters().unattached;

    if (RelayLink* link = pick()) {
        attachTo(link, session);
    }
}

void RelayGroup::detach(Session* session)
{
    --sessions_;

    if (session->link == nullptr) {
        --counters().unattached;
        return;
    }
    --session->link->sessions;
    session->link->send(relay::Kind::Detach, 0, session->closeCode,
                        session->id);
    session->link = nullptr;
}

// Before the chat-worker has said how much it takes, it gets no message.
Journal& RelayGroup::journalOf(const Session* session)
{
    RelayLink* link = session->link;
    return link != nullptr && link->ready() ? link->journal() : waiting_;
}

void RelayGroup::accountWaiting()
{
    counters().relayUnconfirmed += waiting_.unconfirmed() - waitingBytes_;
    waitingBytes_ = waiting_.unconfirmed();
}

Submit RelayGroup::submit(Session* session, std::string_view message,
                          bool binary)
{
    RelayLink* link = session->link;
    Journal& journal = journalOf(session);
    std::size_t size = relay::kHeaderSize + message.size();

    if (&journal != &waiting_ && message.size() > link->maxPayload()) {
        return Submit::TooBig;
    }

    // One message passes whatever the setting.
    if (journal.unconfirmed() != 0 &&
        journal.unconfirmed() + size > conf_->buffer) {
        return Submit::Full;
    }

    if (!journal.append(relay::Kind::Message, binary ? relay::kBinary : 0, 0,
                        session->id, message)) {
        return Submit::NoMemory;
    }

    ++session->unconfirmed;
    ++counters().relayMessages;

    if (&journal != &waiting_) {
        markDirty(link);
    } else {
        accountWaiting();
    }
    return Submit::Done;
}

bool RelayGroup::wait(Session* session)
{
    if (parkedCount_ == parkedCapacity_) {
        std::uint32_t capacity =
            parkedCapacity_ == 0 ? 64 : 2 * parkedCapacity_;
        void* grown = std::realloc(parked_, capacity * sizeof(parked_[0]));
        if (grown == nullptr) {
            return false;
        }
        parked_ = static_cast<std::uint64_t*>(grown);
        parkedCapacity_ = capacity;
    }
    parked_[parkedCount_++] = session->id;
    return true;
}

// Those who waited, in their order; who is refused again goes on waiting.
void RelayGroup::roomMade()
{
    if (parkedCount_ == 0) {
        return;
    }

    std::uint32_t count = parkedCount_;
    std::uint32_t kept = 0;

    for (std::uint32_t i = 0; i < count; ++i) {
        Session* session = findSession(parked_[i]);

        if (session != nullptr && session->stash != nullptr &&
            !resumeInput(session)) {
            parked_[kept++] = parked_[i];
        }
    }

    // Some may have been parked anew meanwhile, behind the old ones.
    std::uint32_t added = parkedCount_ - count;
    if (added != 0) {
        std::memmove(parked_ + kept, parked_ + count,
                     added * sizeof(parked_[0]));
    }
    parkedCount_ = kept + added;
}

// A MESSAGE without receipt whose chat-worker is gone, or that had none.
void RelayGroup::resend(std::string_view frame)
{
    Session* session = findSession(relay::load<std::uint64_t>(&frame[8]));

    if (session == nullptr || session->state != State::Open) {
        return;
    }

    Journal& journal = journalOf(session);

    if (&journal != &waiting_ &&
        frame.size() - relay::kHeaderSize > session->link->maxPayload()) {
        closeSession(session, ws::kCloseTooBig, Cause::Internal,
                     "message too big");
        return;
    }

    if (!journal.append(frame)) {
        closeSession(session, ws::kCloseInternalError, Cause::Internal,
                     "no memory");
        return;
    }

    ++counters().relayReplayed;
    if (&journal != &waiting_) {
        markDirty(session->link);
    }
}

void RelayGroup::linkUp()
{
    forEachSession([&](Session* session) {
        if (mine(session) && session->link == nullptr) {
            attachTo(pick(), session);
        }
    });
}

// Those of sessions whose chat-worker is not ready wait on.
void RelayGroup::resendWaiting()
{
    Journal waited;
    waited.swap(waiting_);
    waited.forEachUnconfirmed([&](std::string_view frame) { resend(frame); });
    accountWaiting();
}

void RelayGroup::linkReady()
{
    resendWaiting();
    roomMade();
    balanceSoon();
}

void RelayGroup::balanceSoon()
{
    if (linkCount_ > 1 && !ngx_exiting && !balance_.timer_set) {
        ngx_add_timer(&balance_, kBalanceInterval);
    }
}

// Whether the move makes the load more even, or frees a spare server.
bool RelayGroup::shouldMove(const Session* session, const RelayLink* to) const
{
    const RelayLink* from = session->link;

    if (!mine(session) || from == nullptr || from == to) {
        return false;
    }
    return from->backup() != to->backup() ||
           from->loadWith(-1) >= to->loadWith(1);
}

void RelayGroup::move(Session* session, RelayLink* to)
{
    RelayLink* from = session->link;
    --from->sessions;
    from->send(relay::Kind::Detach, 0, ws::kCloseGoingAway, session->id);
    attachTo(to, session);
}

void RelayGroup::onBalance(ngx_event_t* event)
{
    auto* data = static_cast<TimerData*>(event->data);
    auto* group = static_cast<RelayGroup*>(data->owner);
    RelayLink* to = group->pick();
    std::uint32_t budget = group->sessions_ / kBalanceSteps + 1;
    bool uneven = false;

    for (std::uint32_t n = sessionSlots();
         to != nullptr && n != 0 && budget != 0; --n) {
        group->cursor_ = (group->cursor_ + 1) % sessionSlots();
        Session* session = sessionAt(group->cursor_);

        if (session != nullptr && group->shouldMove(session, to)) {
            uneven = true;
            if (waitsForNothing(session)) {
                group->move(session, to);
                to = group->pick();
                --budget;
            }
        }
    }

    if (uneven) {
        group->balanceSoon();
    }
}

void RelayGroup::linkDown(RelayLink* link)
{
    forEachSession([&](Session* session) {
        if (session->link != link) {
            return;
        }
        session->link = nullptr;
        ++counters().unattached;

        if (RelayLink* other = pick()) {
            attachTo(other, session);
        }
    });
    link->sessions = 0;

    link->journal().forEachUnconfirmed(
        [&](std::string_view frame) { resend(frame); });
    link->journal().clear();
    resendWaiting();
}

void RelayGroup::close()
{
    for (std::uint32_t i = 0; i < linkCount_; ++i) {
        links_[i].close();
    }
}

void attachSession(Session* session)
{
    session->conf->relay->group->attach(session);
}

void detachSession(Session* session)
{
    session->conf->relay->group->detach(session);
}

Submit submit(Session* session, std::string_view message, bool binary)
{
    return session->conf->relay->group->submit(session, message, binary);
}

bool waitForRelay(Session* session)
{
    return session->conf->relay->group->wait(session);
}

void written(Session* session)
{
    if (session->link != nullptr) {
        session->link->send(relay::Kind::Written, 0, 0, session->id);
    }
}

void closeRelays(ngx_cycle_t* cycle)
{
    auto* conf = static_cast<MainConf*>(
        ngx_http_cycle_get_module_main_conf(cycle, ngx_http_chat_module));
    if (conf == nullptr) {
        return;
    }

    auto** relays = static_cast<RelayConf**>(conf->relays->elts);
    for (ngx_uint_t i = 0; i < conf->relays->nelts; ++i) {
        if (relays[i]->group != nullptr) {
            relays[i]->group->close();
        }
    }
}

}  // namespace chat
