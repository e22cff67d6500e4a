#include "init_reminder.hpp"

#include "protocol.hpp"

namespace chat {

namespace {

// Sessions that are gone stand in the list for a while; not more than this
// and as many as there are sessions.
constexpr std::size_t kSpare = 64;

}  // namespace

InitReminder::InitReminder(Hub& hub, Timers& timers,
                           const ChatSettings& settings)
    : hub_(hub),
      timers_(timers),
      settings_(settings),
      timer_(timers.create([this] { onTimer(); }))
{
}

void InitReminder::add(const Session& session)
{
    ask(session);
}

void InitReminder::ask(const Session& session)
{
    relay::RelayLink& relay = *session.link->relay;
    if (!relay.congested()) {
        relay.send(session.id, protocol::askInitFrame());
    }
    const auto wait =
        static_cast<std::uint64_t>(settings_.initInterval.count());
    due_.push_back({refOf(session), timers_.now() + wait});
    if (due_.size() > kSpare + 2 * hub_.sessions()) {
        std::erase_if(due_, [this](const Due& due) {
            const Session* known = hub_.find(due.session);
            return known == nullptr || known->user != nullptr;
        });
    }
    if (!timer_->running()) {
        timer_->start(wait);
    }
}

void InitReminder::onTimer()
{
    const std::uint64_t now = timers_.now();
    while (!due_.empty() && due_.front().at <= now) {
        const SessionRef ref = due_.front().session;
        due_.pop_front();
        const Session* session = hub_.find(ref);
        if (session != nullptr && session->user == nullptr) {
            ask(*session);
        }
    }
    if (!due_.empty()) {  // also when ask() has started it for a later one
        timer_->start(due_.front().at - now);
    }
}

}  // namespace chat
