#include "t/bench/load/traffic.hpp"

#include <algorithm>
#include <stdexcept>

namespace bench {

void TrafficScenario::run()
{
    connectMembers();
    connectIdle();
    for (const Phase& phase : options_.phases) {
        runPhase(phase);
    }
    announce("end");
}

void TrafficScenario::connectMembers()
{
    std::vector<Client*> online;
    std::vector<Client*> away;
    std::vector<std::vector<Client*>> sending;
    uint32_t every = options_.offlineEvery;

    for (uint32_t i = 0; i < options_.members; i++) {
        uint32_t group = i / options_.group;
        Client& client =
            addClient(options_.firstUser + i, options_.firstChat + group);
        if (every > 0 && i % every == every - 1) {
            away.push_back(&client);
            continue;
        }
        online.push_back(&client);
        client.sequences.resize(options_.senders);
        online_.resize(group + 1);
        online_[group]++;
        sending.resize(group + 1);
        if (sending[group].size() < options_.senders) {
            sending[group].push_back(&client);
        }
    }

    // First one sender of each group, then the second of each: neighbours in
    // time belong to different chats.
    for (uint16_t k = 0; k < options_.senders; k++) {
        for (const auto& group : sending) {
            if (k < group.size()) {
                senders_.push_back({group[k], k, 0});
            }
        }
    }
    if (options_.protocol == "mqtt") {
        enroll(away);
    }
    openAll(online);
}

// A broker keeps messages only for sessions it knows: they come once.
void TrafficScenario::enroll(const std::vector<Client*>& clients)
{
    openAll(clients);
    for (Client* client : clients) {
        client->abort();
        client->ready = false;
    }
}

void TrafficScenario::connectIdle()
{
    constexpr uint64_t kElsewhere = 10'000'000;
    std::vector<Client*> idle;

    for (uint32_t i = 0; i < options_.idle; i++) {
        idle.push_back(&addClient(kElsewhere + i, kElsewhere + i));
    }
    openAll(idle);
}

void TrafficScenario::runPhase(const Phase& phase)
{
    announce(phase.name);

    auto first = static_cast<uint32_t>(messages_.size());
    uint64_t before = deliveries_;
    latency_.clear();
    storedLatency_.clear();

    int64_t start = now();
    auto length = static_cast<int64_t>(phase.seconds * 1e9);
    auto total = static_cast<uint32_t>(phase.rate * phase.seconds);
    auto interval = phase.rate > 0 ? static_cast<int64_t>(1e9 / phase.rate) : 0;
    bool sending = true;

    auto done = [&] {
        if (sending) {
            sendDue(phase, start, first);
            sending = phase.rate > 0 ? messages_.size() - first < total
                                     : now() - start < length;
        }
        return !sending && underWay_ == 0;
    };
    auto next = [&] {
        return phase.rate > 0 && sending
                   ? start + interval *
                                 static_cast<int64_t>(messages_.size() - first)
                   : INT64_MAX;
    };
    auto patience = static_cast<int64_t>(options_.patience * 1e9);
    bool complete = turnUntil(done, start + length + patience, next);
    int64_t took = now() - start;

    if (!complete) {
        countMissing(phase.name);
    }
    acknowledgeAll();

    char fields[160];
    snprintf(fields, sizeof(fields),
             "\"messages\": %zu, \"deliveries\": %llu, "
             "\"stored_p50_us\": %.1f, \"stored_p99_us\": %.1f",
             messages_.size() - first,
             static_cast<unsigned long long>(deliveries_ - before),
             static_cast<double>(storedLatency_.quantile(0.5)) / 1e3,
             static_cast<double>(storedLatency_.quantile(0.99)) / 1e3);
    // With members away, a message stored for one of them is an operation too.
    uint64_t operations = (messages_.size() - first) * options_.group;
    report(phase.name, options_.group == 2 ? operations / 2 : operations, took,
           latency_, fields);
}

void TrafficScenario::sendDue(const Phase& phase, int64_t start, uint32_t first)
{
    auto wanted = [&] {
        if (phase.rate == 0) {
            return underWay_ < phase.window;
        }
        auto sent = static_cast<double>(messages_.size() - first);
        return sent < phase.rate * phase.seconds &&
               static_cast<double>(now() - start) * phase.rate >= sent * 1e9;
    };

    while (wanted()) {
        Sender& sender = senders_[turn_++ % senders_.size()];
        uint64_t group = sender.client->group - options_.firstChat;
        int64_t due = now();
        if (phase.rate > 0) {
            auto sent = static_cast<double>(messages_.size() - first);
            due = start + static_cast<int64_t>(sent * 1e9 / phase.rate);
        }
        sendOne(sender, due, online_[group]);
    }
}

void TrafficScenario::sendOne(Sender& sender, int64_t due, uint32_t online)
{
    auto number = static_cast<uint32_t>(messages_.size());
    Stamp stamp = {number, sender.index, ++sender.sequence, due};

    messages_.push_back({due, online + 1});
    underWay_++;
    sender.client->sendMessage(number, makeContent(stamp, options_.size));
}

bool TrafficScenario::check(Client& client, std::string_view content,
                            Stamp* stamp)
{
    size_t size = std::max<size_t>(options_.size, kStampLength);

    if (content.size() != size || !readContent(content, stamp) ||
        stamp->number >= messages_.size() ||
        stamp->sender >= client.sequences.size()) {
        fault("changed", std::string(content.substr(0, 60)));
        return false;
    }

    uint32_t& last = client.sequences[stamp->sender];
    if (stamp->sequence <= last) {
        fault("repeated or out of order");
        return false;
    }
    if (stamp->sequence != last + 1) {
        fault("gap");
    }
    last = stamp->sequence;
    return true;
}

void TrafficScenario::onContent(Client& client, std::string_view content)
{
    Stamp stamp;

    if (!check(client, content, &stamp)) {
        return;
    }
    latency_.record(now() - stamp.due);
    deliveries_++;
    Message& message = messages_[stamp.number];
    if (message.missing > 0 && --message.missing == 0) {
        underWay_--;
    }
}

void TrafficScenario::onStored(Client&, uint32_t number)
{
    if (number >= messages_.size()) {
        fault("answer for an unknown message");
        return;
    }
    Message& message = messages_[number];
    storedLatency_.record(now() - message.due);
    if (message.missing > 0 && --message.missing == 0) {
        underWay_--;
    }
}

void TrafficScenario::countMissing(const std::string& phase)
{
    uint64_t missing = 0;

    for (Message& message : messages_) {
        missing += message.missing;
        message.missing = 0;
    }
    underWay_ = 0;
    fault("missing", std::to_string(missing) + " in " + phase);
}

}  // namespace bench
