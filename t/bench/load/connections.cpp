// Scenarios about connections: idle, heartbeat, handshake, replay.
#include "t/bench/load/traffic.hpp"

namespace bench {

namespace {

// Opens the members and leaves them alone.
class IdleScenario : public Scenario {
  public:
    using Scenario::Scenario;

    void onContent(Client&, std::string_view) override {}

    void run() override
    {
        std::vector<Client*> clients;
        for (uint32_t i = 0; i < options_.members; i++) {
            clients.push_back(
                &addClient(options_.firstUser + i, options_.firstChat + i));
        }

        announce("idle");
        int64_t start = now();
        openAll(clients);
        report("idle", clients.size(), now() - start, Histogram());
        announce("end");
    }
};

// Pings all members in turn.
class HeartbeatScenario : public Scenario {
  public:
    using Scenario::Scenario;

    void onContent(Client&, std::string_view) override {}

    void run() override
    {
        std::vector<Client*> clients;
        for (uint32_t i = 0; i < options_.members; i++) {
            clients.push_back(
                &addClient(options_.firstUser + i, options_.firstChat + i));
        }
        openAll(clients);
        for (const Phase& phase : options_.phases) {
            runPhase(phase);
        }
        announce("end");
    }

    void onPong(Client& client) override
    {
        latency_.record(now() - client.since);
        client.since = 0;
        answered_++;
    }

  private:
    void runPhase(const Phase& phase)
    {
        announce(phase.name);
        latency_.clear();
        sent_ = answered_ = 0;

        int64_t start = now();
        auto length = static_cast<int64_t>(phase.seconds * 1e9);
        auto interval =
            phase.rate > 0 ? static_cast<int64_t>(1e9 / phase.rate) : 0;
        bool sending = true;
        auto done = [&] {
            while (sending && wanted(phase, start, interval)) {
                sendNext(phase, start + static_cast<int64_t>(sent_) * interval);
            }
            sending = now() - start < length;
            return !sending && answered_ == sent_;
        };
        auto next = [&] {
            return interval > 0 && sending
                       ? start + static_cast<int64_t>(sent_) * interval
                       : INT64_MAX;
        };
        auto patience = static_cast<int64_t>(options_.patience * 1e9);
        if (!turnUntil(done, start + length + patience, next)) {
            fault("missing", std::to_string(sent_ - answered_) + " pongs");
        }
        report(phase.name, answered_, now() - start, latency_);
    }

    bool wanted(const Phase& phase, int64_t start, int64_t interval) const
    {
        // One ping under way for each client, as real clients have it.
        if (clients_[turn_ % clients_.size()]->since != 0) {
            return false;
        }
        return interval > 0
                   ? start + static_cast<int64_t>(sent_) * interval <= now()
                   : sent_ - answered_ < phase.window;
    }

    void sendNext(const Phase& phase, int64_t due)
    {
        Client& client = *clients_[turn_++ % clients_.size()];
        client.since = phase.rate > 0 ? due : now();
        sent_++;
        client.ping();
    }

    Histogram latency_;
    uint64_t sent_ = 0;
    uint64_t answered_ = 0;
    size_t turn_ = 0;
};

// Connects, and disconnects as soon as the session could be used.
class HandshakeScenario : public Scenario {
  public:
    using Scenario::Scenario;

    void onContent(Client&, std::string_view) override {}

    void run() override
    {
        for (uint32_t i = 0; i < options_.concurrency; i++) {
            addClient(options_.firstUser + i, options_.firstChat + i);
            free_.push_back(clients_.back().get());
        }
        runPhase("warm-up", options_.total / 10);
        runPhase("handshake", options_.total);
        announce("end");
    }

    void onReady(Client& client) override
    {
        latency_.record(now() - client.since);
        client.abort();
        free_.push_back(&client);
        finished_++;
    }

    void onClosed(Client& client, const std::string& why) override
    {
        fault("closed", why);
        free_.push_back(&client);
        finished_++;
    }

  private:
    void runPhase(const std::string& name, uint32_t total)
    {
        announce(name);
        latency_.clear();
        started_ = finished_ = 0;

        int64_t start = now();
        auto done = [&] {
            while (started_ < total && !free_.empty()) {
                Client* client = free_.back();
                free_.pop_back();
                started_++;
                client->since = now();
                client->open();
            }
            return finished_ == total;
        };
        if (!turnUntil(done, start + 60 * kSecond)) {
            fault("missing", std::to_string(total - finished_) + " handshakes");
        }
        report(name, finished_, now() - start, latency_);
    }

    Histogram latency_;
    std::vector<Client*> free_;
    uint32_t started_ = 0;
    uint32_t finished_ = 0;
};

// One member sends while the others are away, then they all return.
class ReplayScenario : public TrafficScenario {
  public:
    using TrafficScenario::TrafficScenario;

    void run() override
    {
        Client& first = addClient(options_.firstUser, options_.firstChat);
        first.sequences.resize(1);
        std::vector<Client*> away;
        for (uint32_t i = 1; i < options_.members; i++) {
            Client& client =
                addClient(options_.firstUser + i, options_.firstChat);
            client.sequences.resize(1);
            away.push_back(&client);
        }
        if (options_.protocol == "mqtt") {
            openAll(away);
            for (Client* client : away) {
                client->abort();
                client->ready = false;
            }
        }
        openAll({&first});
        fill(&first);
        comeBack(away);
        announce("end");
    }

  private:
    void fill(Client* client)
    {
        Sender sender = {client, 0, 0};
        auto done = [&] {
            while (messages_.size() < options_.pending && underWay_ < 8) {
                sendOne(sender, now(), 1);
            }
            return messages_.size() == options_.pending && underWay_ == 0;
        };
        announce("fill");
        int64_t start = now();
        if (!turnUntil(done, start + 60 * kSecond)) {
            fault("missing", "while the inboxes were filled");
        }
        acknowledgeAll();
        report("fill", uint64_t{options_.pending} * options_.members,
               now() - start, latency_);
    }

    void comeBack(const std::vector<Client*>& away)
    {
        announce("replay");
        latency_.clear();
        returning_ = true;
        deliveries_ = 0;

        int64_t start = now();
        uint64_t wanted = uint64_t{options_.pending} * away.size();
        for (Client* client : away) {
            client->since = start;
        }
        openAll(away);
        auto patience = static_cast<int64_t>(options_.patience * 1e9);
        if (!turnUntil([&] { return deliveries_ >= wanted; },
                       start + patience)) {
            fault("missing", std::to_string(wanted - deliveries_) +
                                 " deliveries in replay");
        }
        int64_t took = now() - start;
        acknowledgeAll();
        report("replay", deliveries_, took, latency_);
    }

    void onContent(Client& client, std::string_view content) override
    {
        if (!returning_) {
            TrafficScenario::onContent(client, content);
            return;
        }

        Stamp stamp;
        if (check(client, content, &stamp)) {
            deliveries_++;
            if (stamp.sequence == options_.pending) {
                latency_.record(now() - client.since);
            }
        }
    }

    bool returning_ = false;
};

}  // namespace

std::unique_ptr<Scenario> makeScenario(const Options& options,
                                       const Target& target)
{
    if (options.scenario == "traffic") {
        return std::make_unique<TrafficScenario>(options, target);
    }
    if (options.scenario == "idle") {
        return std::make_unique<IdleScenario>(options, target);
    }
    if (options.scenario == "heartbeat") {
        return std::make_unique<HeartbeatScenario>(options, target);
    }
    if (options.scenario == "handshake") {
        return std::make_unique<HandshakeScenario>(options, target);
    }
    if (options.scenario == "replay") {
        return std::make_unique<ReplayScenario>(options, target);
    }
    return nullptr;
}

}  // namespace bench
