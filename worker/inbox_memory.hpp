// The inbox without Redis, for unit tests: the same promises, kept in maps of
// this process. Several InboxMemory over one Store are nodes of one system.
// Every answer comes before the call returns, unless hold(true). Requests of
// one chat to the same recipients that are held one after another are carried
// out as a group.

#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "inbox.hpp"

namespace chat {

class InboxMemory : public Inbox {
  public:
    struct Box {
        std::map<std::uint64_t, Entry> entries;  // by sequence
        std::uint64_t last = 0;
    };

    // What Redis would hold.
    struct Store {
        std::map<std::string, Box, std::less<>> boxes;
        std::set<std::pair<std::string, std::string>> sent;
        std::set<InboxMemory*> nodes;
        std::size_t maxMessages = 100000;
        std::uint64_t firstSequence = 1000;
    };

    explicit InboxMemory(std::shared_ptr<Store> store = {});
    ~InboxMemory() override;
    InboxMemory(const InboxMemory&) = delete;
    InboxMemory& operator=(const InboxMemory&) = delete;

    void store(StoreRequest request, StoreCallback callback) override;
    void acknowledge(std::string_view user,
                     const std::vector<std::string>& keys,
                     AckCallback callback) override;
    void list(std::string_view user, std::uint64_t after,
              SnapshotCallback callback) override;
    void read(std::string_view user, std::vector<std::string> keys,
              ReadCallback callback) override;
    void arrive(std::string_view user) override;
    void leave(std::string_view user) override;
    void onDoorbell(DoorbellHandler handler) override;
    void onResync(ResyncHandler handler) override;
    [[nodiscard]] bool available() const override { return available_; }

    // For tests. While unavailable every call fails; coming back resyncs.
    void setAvailable(bool available);
    // Keeps everything back, in order, until release().
    void hold(bool held);
    void release();
    [[nodiscard]] Store& data() { return *store_; }
    [[nodiscard]] bool present(std::string_view user) const;

  private:
    struct Storing {
        StoreRequest request;
        StoreCallback callback;
    };
    using Group = std::vector<Storing>;

    void run(std::function<void()> step);
    void storeGroup(const Group& group);
    StoreResult write(const StoreRequest& request, Doorbell& doorbell);
    void ring(const Doorbell& doorbell);

    std::shared_ptr<Store> store_;
    std::set<std::string, std::less<>> here_;
    std::deque<std::function<void()>> held_;
    std::shared_ptr<Group> open_;  // the last step of held_, if it stores
    DoorbellHandler doorbell_;
    ResyncHandler resync_;
    bool available_ = true;
    bool holding_ = false;
};

// news = before + receive_user_id as JSON + after
std::string composeNews(const News& news, const Member& recipient);

}  // namespace chat
