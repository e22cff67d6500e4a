// nginx reloads or quits: the sessions of the old process are closed with
// 1012, one by one over chat_drain_timeout, so that the clients do not all come
// back in the same moment.

#pragma once

namespace chat {

struct Session;

// nginx wants to be rid of the connection: it shuts down, or
// worker_shutdown_timeout is over. May drop the session.
void onNginxClose(Session* session);

// Gives the session its moment.
void scheduleDrain(Session* session);

// The moment has come.
void drainSession(Session* session);

}  // namespace chat
