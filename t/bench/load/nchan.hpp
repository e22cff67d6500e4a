// nchan: WebSocket subscribers; messages are published over HTTP by a few
// keep-alive connections, as an application server would do it.
#pragma once

#include <memory>

#include "t/bench/load/client.hpp"

namespace bench {

std::unique_ptr<Client> makeNchanClient(Loop& loop, Sink& sink,
                                        const Target& target);

}  // namespace bench
