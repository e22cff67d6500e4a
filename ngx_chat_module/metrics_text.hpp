// The counters as text: Prometheus' exposition format 0.0.4, and JSON.

#pragma once

#include <string>
#include <string_view>

#include <vector>

#include "ngx_chat_module/metrics.hpp"

namespace chat {

void appendPrometheus(std::string* out, const Counters& counters);

// Without the closing brace, so that more may follow.
void appendJson(std::string* out, const Counters& counters);

// What chat-workers tell, as Prometheus wants it: the samples of one metric
// together, its comments once. Each sample gets a label that says whose it is.
class WorkerMetrics {
  public:
    void add(std::string_view text, std::string_view worker);
    void append(std::string* out) const;

  private:
    struct Metric {
        std::string name;
        std::string comments;
        std::string samples;
    };

    Metric& metric(std::string_view name);

    std::vector<Metric> metrics_;
};

}  // namespace chat
