// chat_max_user_connections: how many sessions each user has in this nginx
// worker. Costs nothing where the limit is off.

#pragma once

#include <string_view>

#include "ngx_chat_module/session.hpp"

namespace chat {

// Whether one more session of the user may begin here.
bool userMayConnect(const LocConf* conf, std::string_view user);

// The session's user counts from now on; forgetUser() undoes it.
void countUser(Session* session);
void forgetUser(Session* session);

// The session's user is now known. False: over the limit, or no memory;
// nothing has changed then.
bool identifyUser(Session* session, std::string_view user, bool number);

}  // namespace chat
