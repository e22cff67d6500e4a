#include "catch_up.hpp"

#include <algorithm>
#include <utility>

#include "log.hpp"

namespace chat {

namespace {

using Step = Replay::Step;

// Keys of an inbox that are kept at once for a session; the rest is listed
// when these have gone out.
constexpr std::size_t kMaxPlan = 16384;

constexpr std::size_t kSpareTurns = 64;

constexpr std::uint64_t kRetryDelay = 1000;  // ms

std::string keyOf(std::uint64_t sequence, const News& news)
{
    return std::to_string(sequence) + "-" + news.messageId;
}

const Held::Item* heldFor(const Session& session, std::uint64_t sequence)
{
    const Held* held = session.user->held.get();
    return held == nullptr ? nullptr : held->find(sequence);
}

void plan(Replay& replay, std::uint64_t sequence, std::string key)
{
    auto& all = replay.plan;
    const auto at = std::lower_bound(
        all.begin() + static_cast<std::ptrdiff_t>(replay.next), all.end(),
        sequence, [](const Replay::Planned& p, std::uint64_t s) {
            return p.sequence < s;
        });
    if (at == all.end() || at->sequence != sequence) {
        all.insert(at, {sequence, std::move(key)});
    }
}

}  // namespace

CatchUp::CatchUp(SessionTable& table, Inbox& inbox, Timers& timers,
                 const ChatSettings& settings, Counters& counters,
                 std::function<void(Session&)> onLive)
    : table_(table),
      inbox_(inbox),
      settings_(settings),
      counters_(counters),
      onLive_(std::move(onLive)),
      retry_(timers.create([this] { retryFailed(); }))
{
}

void CatchUp::begin(Session& session)
{
    const bool fresh = !session.replay;
    if (fresh) {
        session.replay = std::make_unique<Replay>();
    }
    Replay& replay = *session.replay;
    replay.listed = false;
    replay.plan.clear();
    replay.next = 0;
    const bool goesOnLater =
        replay.step == Step::Writing || replay.step == Step::Blocked;
    if (fresh || !goesOnLater) {
        wait(session);
    }
}

void CatchUp::block(Session& session)
{
    if (!session.replay) {
        session.replay = std::make_unique<Replay>();
        ++counters_.fellBehind;
    }
    Replay& replay = *session.replay;
    replay = Replay();
    replay.step = Step::Blocked;
}

void CatchUp::unblock(Link& link)
{
    for (auto& [id, session] : link.sessions) {
        if (session.replay && session.replay->step == Step::Blocked) {
            wait(session);
        }
    }
}

void CatchUp::written(Session& session)
{
    if (session.replay && session.replay->step == Step::Writing) {
        advance(session);
    }
}

void CatchUp::expect(Session& session, std::uint64_t sequence, const News& news)
{
    Replay& replay = *session.replay;
    if (replay.listed && sequence > session.mark && sequence <= replay.last) {
        plan(replay, sequence, keyOf(sequence, news));
    }
}

void CatchUp::wait(Session& session)
{
    Replay& replay = *session.replay;
    if (session.link->relay->congested()) {
        block(session);
        return;
    }
    replay.step = Step::Waiting;
    replay.turn = ++turns_;
    queue_.push_back({refOf(session), replay.turn});
    if (queue_.size() > kSpareTurns + 2 * table_.sessions()) {
        dropOldTurns();
    }
    pump();
}

bool CatchUp::waitsFor(const Turn& turn)
{
    const Session* session = table_.find(turn.session);
    return session != nullptr && session->replay &&
           session->replay->turn == turn.number &&
           session->replay->step == Step::Waiting;
}

// A session that begins again and again leaves turns behind that nobody waits
// for: never more of them than sessions.
void CatchUp::dropOldTurns()
{
    std::erase_if(queue_, [this](const Turn& turn) { return !waitsFor(turn); });
}

// Not recursive: an inbox that answers at once comes back here.
void CatchUp::pump()
{
    if (std::exchange(pumping_, true)) {
        return;
    }
    while (asking_ < settings_.replayConcurrency && !queue_.empty()) {
        const Turn turn = queue_.front();
        queue_.pop_front();
        if (waitsFor(turn)) {
            ask(*table_.find(turn.session));
        }
    }
    pumping_ = false;
}

void CatchUp::ask(Session& session)
{
    session.replay->step = Step::Asking;
    ++asking_;
    if (session.replay->listed) {
        askPage(session);
    } else {
        askList(session);
    }
}

void CatchUp::askList(Session& session)
{
    ++counters_.replays;
    inbox_.list(session.user->name(), session.mark,
                [this, ref = refOf(session),
                 turn = session.replay->turn](const Snapshot& snapshot) {
                    --asking_;
                    if (Session* found = current(ref, turn)) {
                        onListed(*found, snapshot);
                    }
                    pump();
                });
}

void CatchUp::askPage(Session& session)
{
    const Replay& replay = *session.replay;
    const std::size_t end =
        std::min(replay.plan.size(), replay.next + replay.pageKeys);
    std::vector<std::string> keys;
    keys.reserve(end - replay.next);
    for (std::size_t i = replay.next; i < end; ++i) {
        keys.push_back(replay.plan[i].key);
    }
    inbox_.read(session.user->name(), std::move(keys),
                [this, ref = refOf(session),
                 turn = replay.turn](const ReadResult& result) {
                    --asking_;
                    if (Session* found = current(ref, turn)) {
                        onRead(*found, result);
                    }
                    pump();
                });
}

// The session, if it still waits for the answer to the question of that turn.
Session* CatchUp::current(SessionRef ref, std::uint64_t turn)
{
    Session* session = table_.find(ref);
    const bool waits = session != nullptr && session->replay &&
                       session->replay->turn == turn &&
                       session->replay->step == Step::Asking;
    return waits ? session : nullptr;
}

void CatchUp::onListed(Session& session, const Snapshot& snapshot)
{
    if (!snapshot.ok) {
        fail(session, snapshot.reason);
        return;
    }
    Replay& replay = *session.replay;
    replay.plan.clear();
    replay.next = 0;
    replay.partial = false;
    replay.last = std::max(snapshot.last, kFirstMark);
    replay.pageKeys = settings_.replayMessages;
    if (replay.last < session.mark) {
        session.mark = replay.last;  // Redis has lost its newest writes
    }
    for (const std::string& key : snapshot.keys) {
        const std::uint64_t sequence = sequenceOf(key);
        if (sequence <= session.mark && session.mark != 0) {
            continue;
        }
        const bool full = replay.plan.size() >= kMaxPlan;
        if (full && replay.plan.back().sequence != 0) {
            replay.partial = true;
            replay.last = replay.plan.back().sequence;
            break;
        }
        replay.plan.push_back({sequence, key});
    }
    replay.listed = true;
    if (session.user->held) {
        session.user->held->each(
            session.mark, replay.last,
            [&replay](std::uint64_t sequence, const Held::Item& item) {
                plan(replay, sequence, keyOf(sequence, *item.news));
            });
    }
    advance(session);
}

void CatchUp::onRead(Session& session, const ReadResult& result)
{
    if (!result.ok) {
        fail(session, result.reason);
        return;
    }
    Replay& replay = *session.replay;
    protocol::NewsFrame page;
    bool full = false;
    const std::size_t first = replay.next;
    for (const Entry& entry : result.entries) {
        if (!page.empty() &&
            page.size() + entry.news.size() > settings_.replayBytes) {
            full = true;
            break;
        }
        // Doorbells may have put another key in between since the question.
        const auto& planned = replay.plan[replay.next];
        if (planned.key != entry.key) {
            break;
        }
        const Held::Item* held = heldFor(session, planned.sequence);
        if (!entry.news.empty()) {
            page.add(entry.key, entry.news);
        } else if (held != nullptr) {
            page.add(planned.sequence, *held->news, session.user->name(),
                     held->number);
        }
        session.mark = planned.sequence;
        ++replay.next;
    }
    const std::size_t taken = replay.next - first;
    replay.pageKeys = full ? std::max<std::size_t>(taken, 1)
                           : std::min<std::size_t>(replay.pageKeys * 2,
                                                   settings_.replayMessages);
    const bool more = !replay.planDone() || replay.partial;
    if (!more) {
        session.mark = std::max(session.mark, replay.last);
    }
    if (page.empty()) {
        advance(session);
    } else {
        sendPage(session, page, more);
    }
}

// With `more` the session goes on when nginx has written this page, else now.
void CatchUp::sendPage(Session& session, protocol::NewsFrame& page, bool more)
{
    const auto flags = static_cast<std::uint8_t>(
        relay::kHasMark | (more ? relay::kReportWritten : 0));
    counters_.deliveredReplayed += page.count();
    if (!session.link->relay->send(session.id, page.finish(), flags,
                                   session.mark)) {
        countUndeliverable(counters_);
        more = false;
    }
    if (!more) {
        advance(session);
        return;
    }
    if (!session.replay) {
        session.replay = std::make_unique<Replay>();
        session.replay->listed = true;
    }
    session.replay->step = Step::Writing;
}

void CatchUp::advance(Session& session)
{
    Replay* replay = session.replay.get();
    if (replay != nullptr) {
        if (!replay->listed || !replay->planDone()) {
            wait(session);
            return;
        }
        session.mark = std::max(session.mark, replay->last);
        if (replay->partial) {
            replay->listed = false;
            wait(session);
            return;
        }
        if (heldFor(session, session.mark + 1) == nullptr) {
            session.replay.reset();
            onLive_(session);
            return;
        }
    }
    sendHeld(session);
}

void CatchUp::sendHeld(Session& session)
{
    protocol::NewsFrame page;
    const Held::Item* item = heldFor(session, session.mark + 1);
    while (item != nullptr && page.count() < settings_.replayMessages &&
           (page.empty() || page.size() + item->news->before.size() +
                                    item->news->after.size() <=
                                settings_.replayBytes)) {
        page.add(++session.mark, *item->news, session.user->name(),
                 item->number);
        item = heldFor(session, session.mark + 1);
    }
    if (!page.empty()) {
        sendPage(session, page, item != nullptr);
    }
}

void CatchUp::fail(Session& session, const std::string& reason)
{
    ++counters_.replayFailures;
    log::debug("the inbox of user {} cannot be read now: {}",
               session.user->name(), reason);
    session.replay->step = Step::Failed;
    failed_.push_back(refOf(session));
    if (!retry_->running()) {
        retry_->start(kRetryDelay);
    }
}

void CatchUp::retryFailed()
{
    const auto refs = std::exchange(failed_, {});
    for (const SessionRef& ref : refs) {
        Session* session = table_.find(ref);
        if (session != nullptr && session->replay &&
            session->replay->step == Step::Failed) {
            wait(*session);
        }
    }
}

}  // namespace chat
