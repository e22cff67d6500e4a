#include "sessions.hpp"

#include <algorithm>

#include "log.hpp"

namespace chat {

SessionRef refOf(const Session& session)
{
    return {session.link->relay->serial(), session.id};
}

void countUndeliverable(Counters& counters)
{
    if (counters.undeliverable++ == 0) {
        log::error(
            "a message is longer than nginx accepts; it stays in the inbox, "
            "further ones are only counted");
    }
}

Link& SessionTable::open(relay::RelayLink& relay)
{
    auto& link = links_[relay.serial()];
    link = std::make_unique<Link>();
    link->relay = &relay;
    return *link;
}

void SessionTable::close(Link& link)
{
    links_.erase(link.relay->serial());
}

Link* SessionTable::find(std::uint64_t serial)
{
    const auto it = links_.find(serial);
    return it == links_.end() ? nullptr : it->second.get();
}

Session* SessionTable::find(SessionRef ref)
{
    Link* link = find(ref.link);
    if (link == nullptr) {
        return nullptr;
    }
    const auto it = link->sessions.find(ref.id);
    return it == link->sessions.end() ? nullptr : it->second.get();
}

User* SessionTable::findUser(std::string_view name)
{
    const auto it = users_.find(name);
    return it == users_.end() ? nullptr : it->second.get();
}

Session& SessionTable::attach(Link& link, std::uint64_t id)
{
    auto& session = link.sessions[id];
    if (!session) {
        session = std::make_unique<Session>();
        session->link = &link;
        session->id = id;
        ++sessions_;
    }
    return *session;
}

void SessionTable::detach(Session& session)
{
    session.link->sessions.erase(session.id);
    --sessions_;
}

bool SessionTable::join(Session& session, std::string_view name)
{
    User* user = findUser(name);
    const bool first = user == nullptr;
    if (first) {
        auto made = std::make_unique<User>();
        made->name = name;
        user = made.get();
        users_.emplace(user->name, std::move(made));
    }
    user->sessions.push_back(&session);
    session.user = user;
    return first;
}

bool SessionTable::part(Session& session)
{
    User* user = session.user;
    session.user = nullptr;
    session.replay.reset();
    auto& all = user->sessions;
    all.erase(std::find(all.begin(), all.end(), &session));
    if (!all.empty()) {
        return false;
    }
    user->held.clear(budget_);
    users_.erase(users_.find(user->name));
    return true;
}

void SessionTable::eachLink(const std::function<void(Link&)>& visit)
{
    for (auto& [serial, link] : links_) {
        visit(*link);
    }
}

}  // namespace chat
