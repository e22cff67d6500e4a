// One body for many sessions: a frame is written straight into each session's
// queue, its holes filled on the way.

#include <algorithm>

#include "ngx_chat_module/deflate.hpp"
#include "ngx_chat_module/output.hpp"
#include "ngx_chat_module/relay.hpp"
#include "ngx_chat_module/turn.hpp"
#include "shared/relay_fanout.hpp"

namespace chat {

namespace {

using Recipient = relay::FanoutView::Recipient;

void writePlain(Session* session, const Recipient& to, ws::Opcode opcode)
{
    std::size_t size = to.messageSize();
    std::size_t header = ws::headerSize(size);

    unsigned char* room = reserve(session, header + size);
    if (room == nullptr) {
        return;
    }

    ws::encodeHeader(room, opcode, size);
    to.compose(reinterpret_cast<char*>(room + header));
    commit(session, header + size);

    ++session->messagesOut;
    ++counters().messagesOut;
}

}  // namespace

bool applyFanout(RelayLink* link, const relay::Frame& frame)
{
    relay::FanoutView fanout;
    if (!fanout.parse(frame.payload)) {
        return false;
    }

    ws::Opcode opcode =
        frame.has(relay::kBinary) ? ws::Opcode::Binary : ws::Opcode::Text;
    DeflatedFanout deflated(fanout);
    ++counters().fanouts;

    for (Recipient to = fanout.first(); !to.atEnd(); to.next()) {
        for (std::size_t i = 0; i < to.sessions(); ++i) {
            Session* session = findSession(to.session(i));

            if (session == nullptr || session->link != link) {
                continue;
            }
            session->mark = std::max(session->mark, to.mark());

            if (!session->compressor.params().enabled ||
                !deflated.write(session, to, opcode)) {
                writePlain(session, to, opcode);
            }
            flushIfMany();
        }
    }
    return true;
}

}  // namespace chat
