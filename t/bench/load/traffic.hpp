// Chats of `group` members in which `senders` of each send: fan-out (one
// group), pairs (groups of two), echo (groups of one).
#pragma once

#include "t/bench/load/payload.hpp"
#include "t/bench/load/scenario.hpp"

namespace bench {

class TrafficScenario : public Scenario {
  public:
    using Scenario::Scenario;

    void run() override;
    void onContent(Client& client, std::string_view content) override;
    void onStored(Client& client, uint32_t number) override;

  protected:
    struct Sender {
        Client* client;
        uint16_t index;  // within its group
        uint32_t sequence;
    };
    struct Message {
        int64_t due;
        uint32_t missing;  // deliveries, and one for the server's answer
    };

    void sendOne(Sender& sender, int64_t due, uint32_t online);
    // Checks stamp, text and order; false when it is not to be counted.
    bool check(Client& client, std::string_view content, Stamp* stamp);

    std::vector<Message> messages_;
    uint32_t underWay_ = 0;
    uint64_t deliveries_ = 0;
    Histogram latency_;
    Histogram storedLatency_;

  private:
    void connectMembers();
    void connectIdle();
    void enroll(const std::vector<Client*>& clients);
    void runPhase(const Phase& phase);
    void sendDue(const Phase& phase, int64_t start, uint32_t first);
    void countMissing(const std::string& phase);

    std::vector<Sender> senders_;
    std::vector<uint32_t> online_;  // members online, by group
    size_t turn_ = 0;
};

}  // namespace bench
