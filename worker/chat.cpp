#include "chat.hpp"

#include <chrono>
#include <utility>

namespace chat {

namespace {

constexpr std::uint16_t kUnsupportedData = 1003;
constexpr std::uint16_t kTryAgainLater = 1013;

constexpr std::string_view kUnknownUser =
    "the user of this connection is not known yet, send 230 first";

std::uint64_t wallClockMs()
{
    using std::chrono::milliseconds;
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return static_cast<std::uint64_t>(
        std::chrono::duration_cast<milliseconds>(now).count());
}

std::string chatReason(std::string_view before, std::string_view chatId,
                       std::string_view after)
{
    return std::string(before).append(chatId).append(after);
}

}  // namespace

Chat::Chat(Hub& hub, Inbox& inbox, Membership& membership, Timers& timers,
           const ChatSettings& settings, Counters& counters,
           MetricsSource metrics)
    : hub_(hub),
      inbox_(inbox),
      membership_(membership),
      settings_(settings),
      counters_(counters),
      metrics_(std::move(metrics)),
      reminder_(hub, timers, settings),
      acknowledger_(inbox, timers, counters)
{
}

void Chat::onOpen(relay::RelayLink& link)
{
    hub_.openLink(link);
}

void Chat::onClosed(relay::RelayLink& link)
{
    hub_.closeLink(link);
}

void Chat::onDrained(relay::RelayLink& link)
{
    hub_.drainedLink(link);
}

void Chat::onDetach(relay::RelayLink& link, std::uint64_t id, std::uint16_t)
{
    hub_.detach({link.serial(), id});
}

void Chat::onWritten(relay::RelayLink& link, std::uint64_t id)
{
    hub_.written({link.serial(), id});
}

void Chat::onAttach(relay::RelayLink& link, std::uint64_t id,
                    const relay::Attach& attach)
{
    Session* session = hub_.attach(link, id, attach.mark);
    if (session == nullptr) {
        link.close(id, kTryAgainLater, "too many sessions");
        return;
    }
    session->heartbeatMs = attach.heartbeatTimeoutMs;
    session->mayInit = attach.trustInit;
    if (attach.user.empty()) {
        reminder_.add(*session);
        return;
    }
    const Identity identity{std::string(attach.user), attach.number};
    session->named = !attach.claimed;
    if (!attach.resumed) {
        link.send(id, protocol::identifiedFrame(identity, wallClockMs(),
                                                session->heartbeatMs));
    }
    hub_.identify(*session, identity);
}

void Chat::onMessage(relay::RelayLink& link, std::uint64_t id,
                     std::string_view message, bool binary,
                     relay::MessageTicket ticket)
{
    ++counters_.messages;
    Session* session = hub_.find({link.serial(), id});
    if (session == nullptr) {
        return;
    }
    if (binary) {
        link.close(id, kUnsupportedData, "text messages only");
        return;
    }
    if (const auto reason = protocol::parseEnvelope(message, envelope_)) {
        error(*session, {}, *reason);
        return;
    }
    switch (envelope_.code) {
    case protocol::kInit:
        init(*session);
        break;
    case protocol::kSend:
        send(*session, std::move(ticket));
        break;
    case protocol::kAcknowledge:
        acknowledge(*session, std::move(ticket));
        break;
    default:
        error(*session, {},
              "code " + std::to_string(envelope_.code) + " is not known");
    }
}

void Chat::init(Session& session)
{
    const protocol::Init init = protocol::parseInit(envelope_);
    if (!init.reason.empty()) {
        error(session, {}, init.reason);
        return;
    }
    if (!init.identity) {
        return;
    }
    const bool same =
        session.user != nullptr && session.user->name() == init.identity->user;
    if (session.named) {
        if (same) {  // the form that nginx gave stays
            identified(session, {session.user->name(), session.numberForm});
        } else {
            error(session, {},
                  "this connection belongs to another user than the one that "
                  "230 names");
        }
        return;
    }
    if (!session.mayInit) {
        error(session, {}, "230 is not accepted here: the site names the user");
        return;
    }
    if (!same) {
        session.link->relay->identify(session.id, init.identity->user,
                                      init.identity->number);
    }
    identified(session, *init.identity);
}

void Chat::identified(Session& session, const Identity& identity)
{
    session.link->relay->send(session.id,
                              protocol::identifiedFrame(identity, wallClockMs(),
                                                        session.heartbeatMs));
    hub_.identify(session, identity);
}

void Chat::send(Session& session, relay::MessageTicket ticket)
{
    protocol::Sending parsed = protocol::parseSending(envelope_);
    if (!parsed.reason.empty()) {
        error(session, parsed.sendId, parsed.reason);
        return;
    }
    if (session.user == nullptr) {
        error(session, parsed.sendId, kUnknownUser);
        return;
    }
    if (session.pendingSends >= settings_.maxPending) {
        ++counters_.overPending;
        error(session, parsed.sendId,
              "too many messages are on their way, wait for 235");
        return;
    }
    ++counters_.sends;
    ++session.pendingSends;
    const Identity sender{session.user->name(), session.numberForm};
    auto sending = std::make_shared<Sending>();
    sending->session = refOf(session);
    sending->ticket = std::move(ticket);
    sending->sendId = parsed.sendId;
    sending->chatId = std::move(parsed.chatId);
    sending->sender = sender.user;
    sending->news = std::make_shared<const News>(
        protocol::makeNews(envelope_, sender, ids_.next()));
    membership_.lookup(sending->chatId,
                       [this, sending](const LookupResult& found) {
                           onMembers(sending, found);
                       });
}

void Chat::onMembers(const SendingPtr& sending, const LookupResult& found)
{
    switch (found.status) {
    case LookupStatus::NoSuchChat:
        refuse(sending,
               chatReason("chat ", sending->chatId, " does not exist"));
        return;
    case LookupStatus::Unavailable:
        ++counters_.lookupFailures;
        refuse(sending, chatReason("the members of chat ", sending->chatId,
                                   " cannot be looked up now, try again"));
        return;
    case LookupStatus::Ok:
        break;
    }
    if (!found.members->contains(sending->sender)) {
        refuse(sending,
               chatReason("you are no member of chat ", sending->chatId, ""));
        return;
    }
    const std::size_t recipients = found.members->list.size();
    inbox_.store({sending->chatId, sending->sender, sending->sendId,
                  sending->news, found.members},
                 [this, sending, recipients](const StoreResult& result) {
                     onStored(sending, recipients, result);
                 });
}

void Chat::onStored(const SendingPtr& sending, std::size_t recipients,
                    const StoreResult& result)
{
    switch (result.status) {
    case StoreStatus::Stored:
        ++counters_.stored;
        counters_.recipients += recipients;
        answer(sending, protocol::sentFrame(sending->sendId));
        return;
    case StoreStatus::Duplicate:
        ++counters_.duplicates;
        answer(sending, protocol::sentFrame(sending->sendId));
        return;
    case StoreStatus::Full:
        refuse(sending, result.reason.empty() ? "a recipient's inbox is full"
                                              : result.reason);
        return;
    case StoreStatus::Failed:
        break;
    }
    ++counters_.storeFailures;
    refuse(sending,
           chatReason("the message could not be stored: ", result.reason, ""));
}

// Also when the session is gone: the message was stored or refused all the
// same, and its ticket ends.
void Chat::answer(const SendingPtr& sending, std::string_view frame)
{
    if (Session* session = hub_.find(sending->session)) {
        session->pendingSends -= session->pendingSends > 0 ? 1 : 0;
        session->link->relay->send(session->id, frame);
    }
    sending->ticket.done();
}

void Chat::refuse(const SendingPtr& sending, std::string_view reason)
{
    ++counters_.errors;
    answer(sending, protocol::errorFrame(sending->sendId, reason));
}

void Chat::error(const Session& session, std::string_view sendId,
                 std::string_view reason)
{
    ++counters_.errors;
    session.link->relay->send(session.id, protocol::errorFrame(sendId, reason));
}

void Chat::acknowledge(Session& session, relay::MessageTicket ticket)
{
    std::vector<std::string> keys;
    if (const auto reason = protocol::parseKeys(envelope_, keys)) {
        error(session, {}, *reason);
        return;
    }
    if (session.user == nullptr) {
        error(session, {}, kUnknownUser);
        return;
    }
    if (keys.empty()) {
        return;
    }
    auto held = std::make_shared<relay::MessageTicket>(std::move(ticket));
    acknowledger_.submit(
        session.user->name(), std::move(keys),
        [this, held, ref = refOf(session)](bool kept,
                                           const std::string& reason) {
            Session* asker = kept ? nullptr : hub_.find(ref);
            if (asker != nullptr) {
                error(*asker, {}, "the keys could not be deleted: " + reason);
            }
            held->done();
        });
}

void Chat::onRequest(relay::RelayLink& link, std::uint64_t request,
                     const relay::Request& content)
{
    const std::string_view path =
        content.path.substr(0, content.path.find('?'));
    if (path != "/metrics") {
        link.respond(request, 404, "text/plain", "not found\n");
        return;
    }
    const bool asJson =
        content.path.find("format=json") != std::string_view::npos;
    if (asJson) {
        link.respond(request, 200, "application/json", metrics_().json());
    } else {
        link.respond(request, 200, "text/plain; version=0.0.4",
                     metrics_().prometheus());
    }
}

}  // namespace chat
