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
    counters_.doorbells += doorbell.news.size();
    Part part{&doorbell};
    while (part.from < doorbell.news.size()) {
        take(part);
        for (std::size_t i = 0; i < doorbell.recipients.size(); ++i) {
            const Member& member = doorbell.recipients[i];
            if (doorbell.sequences[i] == 0) {
                continue;
            }
            if (User* user = table_.findUser(member.user)) {
                deliver(*user, member, part, doorbell.sequences[i] + part.from);
            }
        }
        finishFanouts();
        part.from += part.count;
    }
    for (User* user : std::exchange(unsettled_, {})) {
        settle(*user);
    }
}

// From part.from on what fits in a page, at least one; makes its body.
void Live::take(Part& part)
{
    const auto& news = part.doorbell->news;
    const std::size_t most = std::clamp<std::size_t>(settings_.replayMessages,
                                                     1, relay::kMaxHoles / 2);
    body_.clear();
    for (part.count = 0;
         part.from + part.count < news.size() && part.count < most;
         ++part.count) {
        const News& next = *part.news(part.count);
        if (part.count > 0 &&
            body_.text().size() + next.before.size() + next.after.size() >
                settings_.replayBytes) {
            break;
        }
        body_.add(next);
    }
    body_.finish();
}

void Live::deliver(User& user, const Member& member, const Part& part,
                   std::uint64_t sequence)
{
    bool wanted = false;
    const std::uint64_t last = sequence + part.count - 1;
    user.highest = std::max(user.highest, last);
    for (Session* at = user.first; at != nullptr; at = at->nextOfUser) {
        Session& session = *at;
        if (last <= session.mark) {
            continue;
        }
        if (session.replay) {
            for (std::size_t k = 0; k < part.count; ++k) {
                catchUp_.expect(session, sequence + k, *part.news(k));
            }
            wanted |= session.replay->step != Replay::Step::Blocked;
        } else if (session.link->relay->congested()) {
            catchUp_.block(session);
        } else if (sequence == session.mark + 1) {
            send(session, member, part, sequence);
        } else {
            wanted = true;
        }
    }
    if (wanted) {
        hold(user, member, part, sequence);
    }
    if (wanted || user.held) {
        unsettled_.push_back(&user);
    }
}

// To this session and those after it of the same link that are as far.
void Live::send(Session& first, const Member& member, const Part& part,
                std::uint64_t sequence)
{
    relay::RelayLink& relay = *first.link->relay;
    const std::uint64_t last = sequence + part.count - 1;
    ids_.clear();
    for (Session* at = &first; at != nullptr && ids_.size() < kMaxIds;
         at = at->nextOfUser) {
        if (at->live() && at->mark + 1 == sequence &&
            at->link->relay == &relay) {
            at->mark = last;
            ids_.push_back(at->id);
        }
    }
    fillHoles(member, part.count, sequence);
    if (auto* fanout = fanoutFor(relay)) {
        fanout->add(last, ids_.data(), ids_.size(), texts_.data());
        counters_.deliveredLive += ids_.size() * part.count;
    } else if (part.count > 1) {
        sendSingly(member, part, sequence, relay);
    } else {
        countUndeliverable(counters_);
    }
}

// The whole part is longer than this nginx takes.
void Live::sendSingly(const Member& member, const Part& part,
                      std::uint64_t sequence, relay::RelayLink& relay)
{
    for (const std::uint64_t id : ids_) {
        for (std::size_t k = 0; k < part.count; ++k) {
            protocol::NewsFrame page;
            page.add(sequence + k, *part.news(k), member.user, member.isNumber);
            if (relay.send(id, page.finish(), relay::kHasMark, sequence + k)) {
                ++counters_.deliveredLive;
            } else {
                countUndeliverable(counters_);
            }
        }
    }
}

void Live::fillHoles(const Member& member, std::size_t count,
                     std::uint64_t sequence)
{
    constexpr std::size_t kDigits = 20;
    receiver_.clear();
    protocol::appendUser(receiver_, member.user, member.isNumber);
    digits_.resize(kDigits * count);
    texts_.clear();
    for (std::size_t k = 0; k < count; ++k) {
        char* start = digits_.data() + kDigits * k;
        const auto end = std::to_chars(start, start + kDigits, sequence + k);
        texts_.emplace_back(start, static_cast<std::size_t>(end.ptr - start));
        texts_.emplace_back(receiver_);
    }
}

// The frame that has room for a recipient with ids_ and texts_; null: no frame
// has.
relay::FanoutBuilder* Live::fanoutFor(relay::RelayLink& relay)
{
    const auto fits = [&](const relay::FanoutBuilder& builder) {
        return builder.payloadSize() +
                   builder.recipientSize(ids_.size(), texts_.data()) <=
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
    open_.push_back({&relay, relay::FanoutBuilder(relay.output(), body_.text(),
                                                  body_.holes().data(),
                                                  body_.holes().size())});
    if (fits(open_.back().builder)) {
        return &open_.back().builder;
    }
    open_.back().builder.finish();  // empty: taken back
    open_.pop_back();
    return nullptr;
}

void Live::finishFanouts()
{
    for (OpenFanout& open : open_) {
        counters_.fanouts += open.builder.finish() ? 1 : 0;
    }
    open_.clear();
}

void Live::hold(User& user, const Member& member, const Part& part,
                std::uint64_t sequence)
{
    if (!user.held) {
        user.held = std::make_unique<Held>();
    }
    for (std::size_t k = 0; k < part.count; ++k) {
        if (!user.held->add(budget_, sequence + k,
                            {part.news(k), member.isNumber})) {
            ++counters_.heldOverflows;
        }
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
            // Below the first number ever there is nothing to miss.
            counters_.gaps += session->mark > kFirstMark ? 1 : 0;
            catchUp_.begin(*session);
        }
    }
}

}  // namespace chat
