// What each client message does: 230 names the user, 234 goes to the members
// of a chat, 237 deletes from the inbox; everything else is answered 300. One
// Chat serves all relay links of the process.
//
// A 234 goes: parse -> members of the chat -> inbox -> 235. Messages to one
// chat keep their order on that way, because look-ups of one chat are answered
// in order (membership.hpp) and its requests are stored in order (inbox.hpp).

#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "acknowledger.hpp"
#include "config.hpp"
#include "hub.hpp"
#include "inbox.hpp"
#include "init_reminder.hpp"
#include "membership.hpp"
#include "message_ids.hpp"
#include "metrics.hpp"
#include "protocol.hpp"
#include "relay_link.hpp"
#include "timer.hpp"

namespace chat {

class Chat : public relay::RelayHandler {
  public:
    using MetricsSource = std::function<Metrics()>;

    Chat(Hub& hub, Inbox& inbox, Membership& membership, Timers& timers,
         const ChatSettings& settings, Counters& counters,
         MetricsSource metrics);

    void onOpen(relay::RelayLink& link) override;
    void onAttach(relay::RelayLink& link, std::uint64_t id,
                  const relay::Attach& attach) override;
    void onMessage(relay::RelayLink& link, std::uint64_t id,
                   std::string_view message, bool binary,
                   relay::MessageTicket ticket) override;
    void onDetach(relay::RelayLink& link, std::uint64_t id,
                  std::uint16_t code) override;
    void onWritten(relay::RelayLink& link, std::uint64_t id) override;
    void onRequest(relay::RelayLink& link, std::uint64_t request,
                   const relay::Request& content) override;
    void onDrained(relay::RelayLink& link) override;
    void onClosed(relay::RelayLink& link) override;

    [[nodiscard]] std::size_t waitingAcknowledgements() const
    {
        return acknowledger_.waiting();
    }

  private:
    // A 234 on its way. Its ticket ends with it.
    struct Sending {
        SessionRef session;
        relay::MessageTicket ticket;
        std::string sendId;  // raw JSON
        std::string chatId;
        std::string sender;
        std::shared_ptr<const News> news;
    };
    using SendingPtr = std::shared_ptr<Sending>;

    void init(Session& session);
    void identified(Session& session, const Identity& identity);
    void send(Session& session, relay::MessageTicket ticket);
    void acknowledge(Session& session, relay::MessageTicket ticket);

    void onMembers(const SendingPtr& sending, const LookupResult& found);
    void onStored(const SendingPtr& sending, std::size_t recipients,
                  const StoreResult& result);
    void answer(const SendingPtr& sending, std::string_view frame);
    void refuse(const SendingPtr& sending, std::string_view reason);
    void error(const Session& session, std::string_view sendId,
               std::string_view reason);

    Hub& hub_;
    Inbox& inbox_;
    Membership& membership_;
    const ChatSettings& settings_;
    Counters& counters_;
    MetricsSource metrics_;
    InitReminder reminder_;
    Acknowledger acknowledger_;
    MessageIds ids_;
    protocol::Envelope envelope_;  // used again for every message
};

}  // namespace chat
