// What goes to a client. Frames are queued during a turn of the event loop and
// leave at its end, so that several messages for one session cost one system
// call. A queue has memory only while something is in it.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/session.hpp"
#include "ngx_chat_module/ws/frame.hpp"

namespace chat {

// Room for one frame of `size` bytes behind what is queued, to be filled at
// once and made valid by commit(). Null: the client is too slow
// (chat_send_buffer) or there is no memory; the session is closing then. An
// empty queue takes a frame of any size.
unsigned char* reserve(Session* session, std::size_t size);
void commit(Session* session, std::size_t size);

// One unfragmented frame. Opcodes for data compress where that was agreed.
void sendControl(Session* session, ws::Opcode opcode, std::string_view payload);
void sendMessage(Session* session, std::string_view message, bool binary);

// The close frame has room in every queue.
void sendClose(Session* session, std::uint16_t code, std::string_view reason);

// Sends what the socket takes. False: it is broken, drop the session.
bool flushOutput(Session* session);

void discardOutput(Session* session);

void onWritable(ngx_event_t* event);

}  // namespace chat
