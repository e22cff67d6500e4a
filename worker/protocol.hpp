// The wire protocol between browsers and chat-worker, version 1: what client
// messages say, and the frames that go back. docs/wire-protocol.md is the
// same for people. No state, no sessions: chat.cpp decides what to do.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "inbox.hpp"
#include "json.hpp"

namespace chat {

// Who a session is. The form matters: 7 comes back as 7 and "7" as "7", but
// both are the same user.
struct Identity {
    std::string user;  // text form
    bool number = false;
};

namespace protocol {

enum Code : int {
    kInit = 230,         // C->S  names the user
    kAskInit = 231,      // S->C  asks for 230
    kSend = 234,         // C->S  a message to a chat
    kSent = 235,         // S->C  it is stored for every recipient
    kNews = 236,         // S->C  new messages
    kAcknowledge = 237,  // C->S  delete from my inbox
    kIdentified = 240,   // S->C  answers 230
    kError = 300,        // S->C  could not be served
};

// Longest send_id, chat_id and user in bytes. They become parts of keys.
inline constexpr std::size_t kMaxId = 256;

struct Field {
    std::string_view key;    // raw, with quotes
    std::string_view value;  // raw
};

// One client message taken apart in one pass. Views into its text.
struct Envelope {
    int code = 0;
    std::string_view data;               // raw; empty if there is none
    std::vector<Field> fields;           // of data, if it is an object
    std::vector<std::string_view> list;  // of data, if it is an array

    // The last field of that name, as in JavaScript; empty if there is none.
    [[nodiscard]] std::string_view field(std::string_view name) const;
};

// Fills the envelope, whose vectors are used again. Gives the reason for a
// 300 if the text is no such message.
[[nodiscard]] std::optional<std::string> parseEnvelope(std::string_view text,
                                                       Envelope& envelope);

// What a 230 says. Falsy (0, "", null, false): no identity and no reason,
// 231 goes on.
struct Init {
    std::optional<Identity> identity;
    std::string reason;  // for a 300
};
[[nodiscard]] Init parseInit(const Envelope& envelope);

// What routing needs of a 234.
struct Sending {
    std::string_view sendId;  // raw JSON
    std::string chatId;       // text form
    std::string reason;       // for a 300; empty: all is well
};
[[nodiscard]] Sending parseSending(const Envelope& envelope);

// The keys of a 237, or the reason for a 300.
[[nodiscard]] std::optional<std::string> parseKeys(
    const Envelope& envelope, std::vector<std::string>& keys);

// The news of a 234: the sender's fields in their order and with their
// values, send_user_id and receive_user_id put in.
[[nodiscard]] News makeNews(const Envelope& envelope, const Identity& sender,
                            std::string messageId);

// An identity or a member as JSON.
void appendUser(std::string& out, std::string_view user, bool number);

// Frames. sendId is raw JSON; empty stands for null.
[[nodiscard]] std::string_view askInitFrame();
[[nodiscard]] std::string identifiedFrame(const Identity& identity,
                                          std::uint64_t serverTimeMs,
                                          std::uint32_t heartbeatMs);
[[nodiscard]] std::string sentFrame(std::string_view sendId);
[[nodiscard]] std::string errorFrame(std::string_view sendId,
                                     std::string_view reason);

// A 236 with the same messages for many sessions: the body with two holes for
// each message, its sequence number in decimal and receive_user_id in JSON.
class NewsBody {
  public:
    void clear();
    void add(const News& news);
    void finish();  // then the body is complete
    [[nodiscard]] const std::string& text() const { return text_; }
    [[nodiscard]] const std::vector<std::uint32_t>& holes() const
    {
        return holes_;
    }

  private:
    std::string text_;
    std::vector<std::uint32_t> holes_;
};

// A 236 with several messages for one session.
class NewsFrame {
  public:
    void add(std::string_view key, std::string_view news);
    void add(std::uint64_t sequence, const News& news, std::string_view user,
             bool number);
    [[nodiscard]] bool empty() const { return count_ == 0; }
    [[nodiscard]] std::size_t count() const { return count_; }
    [[nodiscard]] std::size_t size() const { return text_.size(); }
    [[nodiscard]] const std::string& finish();

  private:
    void separate();

    std::string text_;
    std::size_t count_ = 0;
};

}  // namespace protocol
}  // namespace chat
