// Two nodes over one store, and calls that wait for their answer.

#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "loop.hpp"
#include "worker/inbox.hpp"

namespace chat::test {

inline std::shared_ptr<const News> makeNews(const std::string& id)
{
    return std::make_shared<News>(
        News{id, "{\"id\":\"" + id + "\",\"receive_user_id\":", "}"});
}

inline std::shared_ptr<const Members> makeMembers(
    const std::vector<std::string>& users, bool numbers = true)
{
    auto members = std::make_shared<Members>();

    for (const auto& user : users) {
        members->list.push_back({user, numbers});
    }

    return members;
}

// A message to chat 21.
inline StoreRequest makeRequest(
    const std::string& sender, const std::string& sendId, const std::string& id,
    const std::shared_ptr<const Members>& recipients,
    const std::string& chat = "21")
{
    return {chat, sender, sendId, makeNews(id), recipients};
}

struct Node {
    std::unique_ptr<Inbox> inbox;
    std::vector<Doorbell> bells;
    int resyncs = 0;

    void listen()
    {
        inbox->onDoorbell(
            [this](const Doorbell& doorbell) { bells.push_back(doorbell); });
        inbox->onResync([this] { ++resyncs; });
    }

    // What rang for a user, in order, one number for each message.
    [[nodiscard]] std::vector<std::uint64_t> rung(std::string_view user) const
    {
        std::vector<std::uint64_t> sequences;

        for (const auto& bell : bells) {
            for (std::size_t i = 0; i < bell.recipients.size(); ++i) {
                if (bell.recipients[i].user == user && bell.sequences[i] != 0) {
                    for (std::size_t k = 0; k < bell.news.size(); ++k) {
                        sequences.push_back(bell.sequences[i] + k);
                    }
                }
            }
        }

        return sequences;
    }
};

class World {
  public:
    // The nodes are set by whoever knows the back end.
    std::array<Node, 2> nodes;
    Loop loop;

    World() = default;
    World(const World&) = delete;
    World& operator=(const World&) = delete;
    virtual ~World()
    {
        for (auto& node : nodes) {
            node.inbox.reset();
        }
    }

    Inbox& inbox(std::size_t node = 0) { return *nodes.at(node).inbox; }

    StoreResult store(const std::string& sender, const std::string& sendId,
                      const std::string& id,
                      const std::shared_ptr<const Members>& recipients,
                      std::size_t node = 0)
    {
        std::optional<StoreResult> answer;
        inbox(node).store({"21", sender, sendId, makeNews(id), recipients},
                          [&](const StoreResult& r) { answer = r; });
        ck_assert(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }

    // All asked for at once; the answers in the order of the requests, which
    // must be the order in which they come for each chat.
    std::vector<StoreStatus> storeAll(std::vector<StoreRequest> requests,
                                      std::size_t node = 0)
    {
        std::vector<StoreStatus> statuses(requests.size());
        std::map<std::string, std::size_t> last;
        std::size_t answers = 0;

        for (std::size_t i = 0; i < requests.size(); ++i) {
            const auto chat = requests[i].chat;
            inbox(node).store(std::move(requests[i]),
                              [&, i, chat](const StoreResult& result) {
                                  ck_assert_uint_le(last[chat], i);
                                  last[chat] = i;
                                  statuses[i] = result.status;
                                  ++answers;
                              });
        }

        release();
        ck_assert(loop.until([&] { return answers == statuses.size(); }));
        return statuses;
    }

    // Lets go what was kept back, if the back end keeps anything back.
    virtual void release() {}

    Snapshot list(std::string_view user, std::uint64_t after = 0)
    {
        std::optional<Snapshot> answer;
        inbox().list(user, after, [&](Snapshot s) { answer = std::move(s); });
        ck_assert(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }

    ReadResult read(std::string_view user, const std::vector<std::string>& keys)
    {
        std::optional<ReadResult> answer;
        inbox().read(user, keys, [&](ReadResult r) { answer = std::move(r); });
        ck_assert(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }

    bool acknowledge(std::string_view user,
                     const std::vector<std::string>& keys)
    {
        std::optional<bool> answer;
        inbox().acknowledge(user, keys,
                            [&](bool ok, const std::string&) { answer = ok; });
        ck_assert(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }

    // The second halves of the keys, in order.
    std::vector<std::string> ids(std::string_view user)
    {
        auto keys = list(user).keys;

        for (auto& key : keys) {
            key.erase(0, key.find('-') + 1);
        }

        return keys;
    }
};

}  // namespace chat::test
