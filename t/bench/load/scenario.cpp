#include "t/bench/load/scenario.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <stdexcept>

namespace bench {

namespace {

constexpr int64_t kOpenLimit = 60 * kSecond;

std::string quoted(const std::string& text)
{
    std::string out = "\"";
    for (char ch : text) {
        if (ch == '"' || ch == '\\') {
            out += '\\';
        }
        out += static_cast<unsigned char>(ch) < 0x20 ? ' ' : ch;
    }
    return out + "\"";
}

}  // namespace

Scenario::Scenario(const Options& options, const Target& target)
    : options_(options), target_(target)
{
}

Client& Scenario::addClient(uint64_t user, uint64_t group)
{
    clients_.push_back(makeClient(options_.protocol, loop_, *this, target_));
    Client& client = *clients_.back();
    client.index = static_cast<uint32_t>(clients_.size() - 1);
    client.user = user;
    client.group = group;
    return client;
}

void Scenario::onReady(Client& client)
{
    if (!client.ready) {
        client.ready = true;
        opening_--;
    }
}

void Scenario::onClosed(Client& client, const std::string& why)
{
    if (!client.ready && opening_ > 0) {
        opening_--;
    }
    fault("closed", why);
}

void Scenario::onError(Client&, const std::string& why)
{
    fault("refused", why);
}

void Scenario::fault(const std::string& kind, const std::string& detail)
{
    auto& entry = errors_[kind];
    if (entry.first++ == 0) {
        entry.second = detail;
    }
}

void Scenario::openAll(const std::vector<Client*>& clients)
{
    size_t next = 0;
    int64_t limit = now() + kOpenLimit;

    while (next < clients.size() || opening_ > 0) {
        while (next < clients.size() && opening_ < options_.concurrency) {
            opening_++;
            clients[next++]->open();
        }
        loop_.turn(now() + 10 * kMillisecond);
        acknowledgeDue();
        if (now() > limit || errors_.count("closed") > 0) {
            std::string why = errors_.count("closed") > 0
                                  ? errors_["closed"].second
                                  : "no answer";
            throw std::runtime_error(
                std::to_string(opening_ + clients.size() - next) + " of " +
                std::to_string(clients.size()) + " cannot connect: " + why);
        }
    }
}

bool Scenario::turnUntil(const std::function<bool()>& done, int64_t limit,
                         const std::function<int64_t()>& next)
{
    while (!done()) {
        int64_t time = now();
        if (time >= limit) {
            return false;
        }
        int64_t until = std::min(limit, time + 100 * kMillisecond);
        if (next) {
            until = std::min(until, next());
        }
        if (!acknowledgements_.empty()) {
            until = std::min(until, acknowledgements_.front().due);
        }
        loop_.turn(until);
        acknowledgeDue();
    }
    return true;
}

void Scenario::onAcknowledgeable(Client& client)
{
    int64_t due = now() + options_.ackWindow * kMillisecond;
    acknowledgements_.push_back({due, &client});
}

void Scenario::acknowledgeDue()
{
    int64_t time = acknowledgements_.empty() ? 0 : now();

    while (!acknowledgements_.empty() &&
           acknowledgements_.front().due <= time) {
        acknowledgements_.front().client->acknowledge();
        acknowledgements_.pop_front();
    }
}

void Scenario::acknowledgeAll()
{
    while (!acknowledgements_.empty()) {
        acknowledgements_.front().client->acknowledge();
        acknowledgements_.pop_front();
    }
}

void Scenario::announce(const std::string& phase)
{
    printf("{\"phase\": %s, \"connections\": %zu}\n", quoted(phase).c_str(),
           clients_.size());
    fflush(stdout);

    // Pings of the servers must be answered while the runner measures.
    bool told = options_.byHand;
    turnUntil(
        [&told] {
            char line[64];
            pollfd input = {STDIN_FILENO, POLLIN, 0};
            if (!told && poll(&input, 1, 0) > 0) {
                if (read(STDIN_FILENO, line, sizeof(line)) <= 0) {
                    throw std::runtime_error("the runner has gone");
                }
                told = true;
            }
            return told;
        },
        now() + 600 * kSecond, [] { return now() + 5 * kMillisecond; });
    before_ = Transport::traffic();
}

void Scenario::report(const std::string& phase, uint64_t operations,
                      int64_t took, const Histogram& latency,
                      const std::string& fields)
{
    const Traffic& traffic = Transport::traffic();
    double seconds = static_cast<double>(took) / 1e9;
    std::string faults;

    for (const auto& [kind, entry] : errors_) {
        faults += (faults.empty() ? "" : ", ") + quoted(kind) + ": [" +
                  std::to_string(entry.first) + ", " + quoted(entry.second) +
                  "]";
    }

    printf(
        "{\"result\": %s, \"operations\": %llu, \"seconds\": %.4f, "
        "\"per_second\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
        "\"p999_us\": %.1f, \"max_us\": %.1f, \"bytes_received\": %llu, "
        "\"bytes_sent\": %llu, \"reads\": %llu, %s%s\"faults\": {%s}}\n",
        quoted(phase).c_str(), static_cast<unsigned long long>(operations),
        seconds, static_cast<double>(operations) / seconds,
        static_cast<double>(latency.quantile(0.5)) / 1e3,
        static_cast<double>(latency.quantile(0.99)) / 1e3,
        static_cast<double>(latency.quantile(0.999)) / 1e3,
        static_cast<double>(latency.max()) / 1e3,
        static_cast<unsigned long long>(traffic.received - before_.received),
        static_cast<unsigned long long>(traffic.sent - before_.sent),
        static_cast<unsigned long long>(traffic.reads - before_.reads),
        fields.c_str(), fields.empty() ? "" : ", ", faults.c_str());
    fflush(stdout);
}

}  // namespace bench
