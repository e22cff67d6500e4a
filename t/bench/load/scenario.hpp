// What all scenarios share: the loop, the connections, acknowledging, and the
// conversation with the runner.
//
// The runner reads one JSON object a line from stdout. Before each phase the
// client says {"phase": name} and goes on when it is sent a line; after it
// comes {"result": name, …}. Connections stay open in between, so that the
// runner can take the servers' CPU time and memory on both sides of a phase.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "t/bench/load/client.hpp"
#include "t/bench/load/histogram.hpp"
#include "t/bench/load/options.hpp"

namespace bench {

class Scenario : public Sink {
  public:
    Scenario(const Options& options, const Target& target);

    virtual void run() = 0;

    // False when anything was lost, repeated, out of order, changed, refused
    // or closed.
    bool clean() const { return errors_.empty(); }

    void onStored(Client&, uint32_t) override {}
    void onPong(Client&) override {}
    void onReady(Client& client) override;
    void onAcknowledgeable(Client& client) override;
    void onError(Client& client, const std::string& why) override;
    void onClosed(Client& client, const std::string& why) override;

  protected:
    Client& addClient(uint64_t user, uint64_t group);

    // Opens those clients, at most options.concurrency at a time, and returns
    // when all are ready; throws when they are not within a minute.
    void openAll(const std::vector<Client*>& clients);

    // Turns the loop until `done`, at most until the monotonic time `limit`;
    // returns whether it was done. `next` gives the time at which it wants to
    // be called again.
    bool turnUntil(const std::function<bool()>& done, int64_t limit,
                   const std::function<int64_t()>& next = nullptr);

    void acknowledgeAll();

    // Counts one fault; the first of each kind is told with the result.
    void fault(const std::string& kind, const std::string& detail = "");

    void announce(const std::string& phase);
    // `fields` is `"name": value, …`; operations are what the CPU time is
    // divided by.
    void report(const std::string& phase, uint64_t operations, int64_t took,
                const Histogram& latency, const std::string& fields = "");

    const Options& options_;
    const Target& target_;
    Loop loop_;
    std::vector<std::unique_ptr<Client>> clients_;

  private:
    struct Acknowledgement {
        int64_t due;
        Client* client;
    };

    void acknowledgeDue();

    std::deque<Acknowledgement> acknowledgements_;
    size_t opening_ = 0;
    std::map<std::string, std::pair<uint64_t, std::string>> errors_;
    Traffic before_;
};

std::unique_ptr<Scenario> makeScenario(const Options& options,
                                       const Target& target);

}  // namespace bench
