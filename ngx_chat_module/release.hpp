// From request to session and back to nothing: who owns the connection's and
// the request's memory when.

#pragma once

namespace chat {

struct Session;

// Called at the end of the turn in which the content handler sent the 101: by
// now the core no longer touches the request. Takes the connection over, gives
// back the pools that nothing needs any more. May drop the session.
void adoptSession(Session* session);

// From now on the session ends with its request, until adoptSession() takes the
// connection over. False: no memory.
bool bindToRequest(Session* session);

// Closes the socket and gives back what the connection still owns.
void closeConnection(Session* session);

}  // namespace chat
