// What chat-worker counts, and how it shows it: Prometheus text (names with
// the prefix chat_worker_) or one flat JSON object. docs/worker-settings.md
// lists every metric.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace chat {

// Since the process started; written by whoever does the thing counted.
struct Counters {
    std::uint64_t messages = 0;        // frames from clients
    std::uint64_t sends = 0;           // 234 that were well-formed
    std::uint64_t stored = 0;          // answered 235, first time
    std::uint64_t duplicates = 0;      // answered 235, stored before
    std::uint64_t recipients = 0;      // inbox entries written
    std::uint64_t errors = 0;          // frames answered 300
    std::uint64_t storeFailures = 0;   // of them: Redis could not store
    std::uint64_t lookupFailures = 0;  // of them: the database was away
    std::uint64_t overPending = 0;     // of them: too many in flight
    std::uint64_t keysAcknowledged = 0;
    std::uint64_t acknowledgeFailures = 0;
    std::uint64_t acknowledgeDropped = 0;  // keys that no retry will delete
    std::uint64_t doorbells = 0;
    std::uint64_t deliveredLive = 0;      // messages x sessions
    std::uint64_t deliveredReplayed = 0;  // messages x sessions
    std::uint64_t fanouts = 0;            // FANOUT frames
    std::uint64_t replays = 0;            // inboxes listed for a session
    std::uint64_t replayFailures = 0;
    std::uint64_t gaps = 0;           // doorbells that did not come in time
    std::uint64_t heldOverflows = 0;  // held messages given back to the inbox
    std::uint64_t fellBehind = 0;     // sessions: their nginx did not read
    std::uint64_t resyncs = 0;
    std::uint64_t attached = 0;
    std::uint64_t refusedSessions = 0;  // over relay.max_sessions
    std::uint64_t undeliverable = 0;    // messages longer than nginx takes
};

// Names are without prefix; names and helps must outlive the list.
class Metrics {
  public:
    void counter(std::string_view name, std::uint64_t value,
                 std::string_view help)
    {
        all_.push_back({name, "counter", help, value});
    }
    void gauge(std::string_view name, std::uint64_t value,
               std::string_view help)
    {
        all_.push_back({name, "gauge", help, value});
    }
    void add(const Counters& counters);

    [[nodiscard]] std::string prometheus() const;
    [[nodiscard]] std::string json() const;

  private:
    struct Metric {
        std::string_view name;
        std::string_view type;
        std::string_view help;
        std::uint64_t value;
    };

    std::vector<Metric> all_;
};

}  // namespace chat
