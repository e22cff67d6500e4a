#include "hub.hpp"

#include <vector>

namespace chat {

Hub::Hub(Inbox& inbox, Timers& timers, const ChatSettings& settings,
         std::size_t maxSessions, Counters& counters)
    : inbox_(inbox),
      settings_(settings),
      maxSessions_(maxSessions),
      counters_(counters),
      table_(budget_),
      catchUp_(table_, inbox, timers, settings, counters,
               [this](Session& session) { live_.settle(*session.user); }),
      live_(table_, catchUp_, budget_, timers, settings, counters)
{
    applySettings();
    inbox_.onDoorbell([this](const Doorbell& bell) { live_.ring(bell); });
    inbox_.onResync([this] { resync(); });
}

void Hub::applySettings()
{
    budget_.maxBytes = settings_.maxHeldBytes;
    budget_.maxMessages = settings_.maxHeldMessages;
}

void Hub::openLink(relay::RelayLink& relay)
{
    table_.open(relay);
}

void Hub::closeLink(relay::RelayLink& relay)
{
    Link* link = table_.find(relay.serial());
    if (link == nullptr) {
        return;
    }
    for (auto& [id, session] : link->sessions) {
        leave(session);
    }
    while (!link->sessions.empty()) {
        table_.detach(link->sessions.begin()->second);
    }
    table_.close(*link);
}

void Hub::drainedLink(relay::RelayLink& relay)
{
    if (Link* link = table_.find(relay.serial())) {
        catchUp_.unblock(*link);
    }
}

Session* Hub::attach(relay::RelayLink& relay, std::uint64_t id,
                     std::uint64_t mark)
{
    Link* link = table_.find(relay.serial());
    if (link == nullptr) {
        return nullptr;
    }
    detach({relay.serial(), id});
    if (table_.sessions() >= maxSessions_) {
        ++counters_.refusedSessions;
        return nullptr;
    }
    Session& session = table_.attach(*link, id);
    session.mark = mark;
    ++counters_.attached;
    return &session;
}

void Hub::detach(SessionRef ref)
{
    if (Session* session = table_.find(ref)) {
        leave(*session);
        table_.detach(*session);
    }
}

void Hub::identify(Session& session, const Identity& identity)
{
    session.numberForm = identity.number;
    if (session.user != nullptr) {
        if (session.user->name() == identity.user) {
            return;
        }
        leave(session);
        session.mark = 0;
    }
    if (table_.join(session, identity.user)) {
        inbox_.arrive(identity.user);
    }
    catchUp_.begin(session);
}

void Hub::written(SessionRef ref)
{
    if (Session* session = table_.find(ref)) {
        catchUp_.written(*session);
    }
}

void Hub::leave(Session& session)
{
    if (session.user == nullptr) {
        return;
    }
    User& user = *session.user;
    const std::string name = user.name();
    if (table_.part(session)) {
        inbox_.leave(name);
    } else {
        live_.settle(user);
    }
}

void Hub::resync()
{
    ++counters_.resyncs;
    table_.eachLink([this](Link& link) {
        for (auto& [id, session] : link.sessions) {
            if (session.user != nullptr) {
                catchUp_.begin(session);
            }
        }
    });
}

}  // namespace chat
