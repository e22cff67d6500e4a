// Two nodes over one store, and calls that wait for their answer.

#pragma once

#include <algorithm>
#include <array>
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

    // What rang for a user, in order.
    [[nodiscard]] std::vector<std::uint64_t> rung(std::string_view user) const
    {
        std::vector<std::uint64_t> sequences;

        for (const auto& bell : bells) {
            for (std::size_t i = 0; i < bell.recipients.size(); ++i) {
                if (bell.recipients[i].user == user && bell.sequences[i] != 0) {
                    sequences.push_back(bell.sequences[i]);
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

    ~World()
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
        inbox(node).store({sender, sendId, makeNews(id), recipients},
                          [&](const StoreResult& r) { answer = r; });
        ck_assert(loop.until([&] { return answer.has_value(); }));
        return *answer;
    }

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
