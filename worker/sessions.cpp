#include "sessions.hpp"

#include <utility>

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
    Link& link = links_[relay.serial()];
    link.relay = &relay;
    return link;
}

void SessionTable::close(Link& link)
{
    links_.erase(link.relay->serial());
}

Link* SessionTable::find(std::uint64_t serial)
{
    const auto it = links_.find(serial);
    return it == links_.end() ? nullptr : &it->second;
}

Session* SessionTable::find(SessionRef ref)
{
    Link* link = find(ref.link);
    if (link == nullptr) {
        return nullptr;
    }
    const auto it = link->sessions.find(ref.id);
    return it == link->sessions.end() ? nullptr : &it->second;
}

User* SessionTable::findUser(std::string_view name)
{
    const auto it = users_.find(name);
    return it == users_.end() ? nullptr : &it->second;
}

Session& SessionTable::attach(Link& link, std::uint64_t id)
{
    const auto [it, fresh] = link.sessions.try_emplace(id);
    it->second.link = &link;
    it->second.id = id;
    sessions_ += fresh ? 1 : 0;
    return it->second;
}

void SessionTable::detach(Session& session)
{
    auto& all = session.link->sessions;
    all.erase(all.find(session.id));
    --sessions_;
}

bool SessionTable::join(Session& session, std::string_view name)
{
    User* user = findUser(name);
    const bool first = user == nullptr;
    if (first) {
        const auto it = users_.try_emplace(std::string(name)).first;
        user = &it->second;
        user->key = &it->first;
    }
    session.user = user;
    session.nextOfUser = user->first;
    session.beforeOfUser = nullptr;
    if (user->first != nullptr) {
        user->first->beforeOfUser = &session;
    }
    user->first = &session;
    return first;
}

bool SessionTable::part(Session& session)
{
    User* user = std::exchange(session.user, nullptr);
    session.replay.reset();
    Session* const before = std::exchange(session.beforeOfUser, nullptr);
    Session* const next = std::exchange(session.nextOfUser, nullptr);
    (before != nullptr ? before->nextOfUser : user->first) = next;
    if (next != nullptr) {
        next->beforeOfUser = before;
    }
    if (user->first != nullptr) {
        return false;
    }
    if (user->held) {
        user->held->clear(budget_);
    }
    users_.erase(users_.find(user->name()));
    return true;
}

void SessionTable::eachLink(const std::function<void(Link&)>& visit)
{
    for (auto& [serial, link] : links_) {
        visit(link);
    }
}

}  // namespace chat
