// The counters as text: Prometheus' exposition format 0.0.4, and JSON.

#pragma once

#include <string>
#include <string_view>

#include "ngx_chat_module/metrics.hpp"

namespace chat {

void appendPrometheus(std::string* out, const Counters& counters);

// Without the closing brace, so that more may follow.
void appendJson(std::string* out, const Counters& counters);

// What a chat-worker tells, each value with a label that says which one it is.
void appendLabelled(std::string* out, std::string_view text,
                    std::string_view worker);

}  // namespace chat
