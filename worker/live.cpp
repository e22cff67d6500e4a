#include "live.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace chat {

namespace {

// As many sessions as one recipient of a FANOUT can name.
constexpr std::size_t kMaxIds = 65535;

}  // namespace

Live::Live(SessionTable& table, CatchUp& catchUp, HeldBudget& budget,
           Timers& timers, const ChatSettings& settings, Counters& counters)
    : table_(table),
      catchUp_(catchUp),
      budget_(budget),
      timers_(timers),
      settings_(settings),
      counters_(counters),
      gapTimer_(timers.create([this] { onGapTimer(); }))
{
}

void Live::ring(const Doorbell& doorbell)
{
    ++counters_.doorbells;
    protocol::makeNewsBody(*doorbell.news, body_);
    for (std::size_t i = 0; i < doorbell.recipients.size(); ++i) {
        const Member& member = doorbell.recipients[i];
        if (doorbell.sequences[i] == 0) {
            continue;
        }
        if (User* user = table_.findUser(member.user)) {
            deliver(*user, member, doorbell, doorbell.sequences[i]);
        }
    }
    finishFanouts();
    for (User* user : std::exchange(unsettled_, {})) {
        settle(*user);
    }
}

void Live::deliver(User& user, const Member& member, const Doorbell& doorbell,
                   std::uint64_t sequence)
{
    bool wanted = false;
    user.highest = std::max(user.highest, sequence);
    for (Session* at = user.first; at != nullptr; at = at->nextOfUser) {
        Session& session = *at;
        if (sequence <= session.mark) {
            continue;
        }
        if (session.replay) {
            catchUp_.expect(session, sequence, *doorbell.news);
            wanted |= session.replay->step != Replay::Step::Blocked;
        } else if (session.link->relay->congested()) {
            catchUp_.block(session);
        } else if (sequence == session.mark + 1) {
            send(session, member, sequence);
        } else {
            wanted = true;
        }
    }
    if (wanted) {
        hold(user, member, doorbell, sequence);
    }
    if (wanted || user.held) {
        unsettled_.push_back(&user);
    }
}

// To this session and those after it of the same link that are as far.
void Live::send(Session& first, const Member& member, std::uint64_t sequence)
{
    relay::RelayLink& relay = *first.link->relay;
    ids_.clear();
    for (Session* at = &first; at != nullptr && ids_.size() < kMaxIds;
         at = at->nextOfUser) {
        if (at->live() && at->mark + 1 == sequence &&
            at->link->relay == &relay) {
            at->mark = sequence;
            ids_.push_back(at->id);
        }
    }
    char digits[20];
    const auto end =
        std::to_chars(digits, digits + sizeof(digits), sequence).ptr;
    receiver_.clear();
    protocol::appendUser(receiver_, member.user, member.isNumber);
    const std::string_view texts[2] = {
        {digits, static_cast<std::size_t>(end - digits)}, receiver_};
    if (auto* fanout = fanoutFor(relay, ids_.size(), texts)) {
        fanout->add(sequence, ids_.data(), ids_.size(), texts);
        counters_.deliveredLive += ids_.size();
    } else {
        countUndeliverable(counters_);
    }
}

// The frame that has room for one more recipient; null: no frame has.
relay::FanoutBuilder* Live::fanoutFor(relay::RelayLink& relay,
                                      std::size_t sessions,
                                      const std::string_view* texts)
{
    const auto fits = [&](const relay::FanoutBuilder& builder) {
        return builder.payloadSize() + builder.recipientSize(sessions, texts) <=
               relay.maxPayload();
    };
    const auto at = std::find_if(
        open_.begin(), open_.end(),
        [&relay](const OpenFanout& open) { return open.relay == &relay; });
    if (at != open_.end()) {
        if (fits(at->builder)) {
            return &at->builder;
        }
        counters_.fanouts += at->builder.finish() ? 1 : 0;
        open_.erase(at);
    }
    open_.push_back({&relay, relay::FanoutBuilder(relay.output(), body_.text,
                                                  body_.holes, 2)});
    return fits(open_.back().builder) ? &open_.back().builder : nullptr;
}

void Live::finishFanouts()
{
    for (OpenFanout& open : open_) {
        counters_.fanouts += open.builder.finish() ? 1 : 0;
    }
    open_.clear();
}

void Live::hold(User& user, const Member& member, const Doorbell& doorbell,
                std::uint64_t sequence)
{
    if (!user.held) {
        user.held = std::make_unique<Held>();
    }
    if (!user.held->add(budget_, sequence, {doorbell.news, member.isNumber})) {
        ++counters_.heldOverflows;
    }
}

void Live::settle(User& user)
{
    std::uint64_t lowest = UINT64_MAX;
    bool gap = false;
    bool unknown = false;
    for (Session* session = user.first; session != nullptr;
         session = session->nextOfUser) {
        if (session->live() && session->mark < user.highest) {
            catchUp_.sendHeld(*session);
        }
        if (session->replay && session->replay->step == Replay::Step::Blocked) {
            continue;
        }
        lowest = std::min(lowest, session->mark);
        if (session->live() && session->mark < user.highest) {
            gap = true;
            unknown |= session->mark <= kFirstMark;
        }
    }
    if (user.held) {
        user.held->dropUpTo(budget_, lowest);
        if (user.held->empty()) {
            user.held.reset();
        }
    }
    if (unknown) {
        closeGap(user);  // a new counter's first number says nothing
    } else if (gap) {
        watchGap(user);
    }
}

void Live::watchGap(User& user)
{
    if (std::exchange(user.gapWatched, true)) {
        return;
    }
    const auto wait = static_cast<std::uint64_t>(settings_.gapWait.count());
    gaps_.push_back({user.name(), timers_.now() + wait});
    if (!gapTimer_->running()) {
        gapTimer_->start(wait);
    }
}

void Live::onGapTimer()
{
    while (!gaps_.empty() && gaps_.front().deadline <= timers_.now()) {
        const Gap gap = std::move(gaps_.front());
        gaps_.pop_front();
        User* user = table_.findUser(gap.user);
        if (user != nullptr && user->gapWatched) {
            user->gapWatched = false;
            closeGap(*user);
        }
    }
    if (!gaps_.empty()) {
        gapTimer_->start(gaps_.front().deadline - timers_.now());
    }
}

// What did not come is looked for in the inbox.
void Live::closeGap(User& user)
{
    // Not asked for again when the inbox does not know it either.
    const std::uint64_t highest = std::exchange(user.highest, 0);
    for (Session* session = user.first; session != nullptr;
         session = session->nextOfUser) {
        if (session->live() && session->mark < highest) {
            ++counters_.gaps;
            catchUp_.begin(*session);
        }
    }
}

}  // namespace chat
