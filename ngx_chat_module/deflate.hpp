// permessage-deflate of what goes out. What is kept between messages belongs
// to the session; everything else is shared by the process.

#pragma once

#include <string_view>

#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/ws/deflate.hpp"
#include "ngx_chat_module/ws/frame.hpp"
#include "ngx_chat_module/ws/holed_body.hpp"
#include "shared/relay_fanout.hpp"

namespace chat {

// Contexts of this process that no session keeps.
ws::DeflatePool& deflatePool();

// The message as it goes out to this session, with *deflated telling which
// form it is; good until the next call.
std::string_view deflateMessage(Session* session, std::string_view message,
                                bool* deflated);

// A FANOUT's body, deflated once for all sessions with which no context is
// kept.
class DeflatedFanout {
  public:
    explicit DeflatedFanout(const relay::FanoutView& fanout) : fanout_(fanout)
    {
    }

    // Sends it to a session that has agreed on compression. False: nothing was
    // sent, the message should go as it is.
    bool write(Session* session, const relay::FanoutView::Recipient& to,
               ws::Opcode opcode);

  private:
    enum class Built : std::uint8_t { NotYet, Done, Failed };

    bool build(const Session* session);
    bool shares(const Session* session) const;
    bool writeOwn(Session* session, const relay::FanoutView::Recipient& to,
                  ws::Opcode opcode);

    const relay::FanoutView& fanout_;
    Built built_ = Built::NotYet;
    std::uint8_t windowBits_ = 0;
};

}  // namespace chat
