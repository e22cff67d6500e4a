// MQTT 3.1.1 with QoS 1 and a persistent session: stored and acknowledged.
#pragma once

#include <memory>

#include "t/bench/load/client.hpp"

namespace bench {

std::unique_ptr<Client> makeMqttClient(Loop& loop, Sink& sink,
                                       const Target& target);

}  // namespace bench
