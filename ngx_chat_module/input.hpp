// What comes from a client: one receive buffer for the whole process, decoded
// in place; a message that lies in it whole goes from there into the relay.

#pragma once

#include "ngx_chat_module/ngx.hpp"
#include "ngx_chat_module/session.hpp"

namespace chat {

// Handler of a session's read event: bytes, end of file, the session's timer,
// and nginx' wish to get rid of the connection.
void onReadable(ngx_event_t* event);

// Bytes that were read already. They are changed in place.
void consume(Session* session, unsigned char* bytes, std::size_t size);

// The relay takes messages again: those held back first. False: full again.
bool resumeInput(Session* session);

// Gives back what is held back of a session.
void dropStash(Session* session);

}  // namespace chat
