#include "inbox_memory.hpp"

#include <utility>

namespace chat {

namespace {

constexpr char kAway[] = "the message store cannot be reached";

std::string quote(std::string_view text)
{
    static constexpr char kHex[] = "0123456789abcdef";
    std::string out = "\"";

    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);

        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\u00";
            out += kHex[byte >> 4];
            out += kHex[byte & 15];
        } else {
            out += c;
        }
    }

    return out + '"';
}

}  // namespace

std::string composeNews(const News& news, const Member& recipient)
{
    return news.before +
           (recipient.isNumber ? recipient.user : quote(recipient.user)) +
           news.after;
}

InboxMemory::InboxMemory(std::shared_ptr<Store> store)
    : store_(store ? std::move(store) : std::make_shared<Store>())
{
    store_->nodes.insert(this);
}

InboxMemory::~InboxMemory()
{
    store_->nodes.erase(this);
}

void InboxMemory::run(std::function<void()> step)
{
    open_.reset();

    if (holding_) {
        held_.push_back(std::move(step));
    } else {
        step();
    }
}

void InboxMemory::hold(bool held)
{
    holding_ = held;

    if (!held) {
        release();
    }
}

void InboxMemory::release()
{
    const auto steps = std::exchange(held_, {});
    open_.reset();

    for (const auto& step : steps) {
        step();
    }
}

void InboxMemory::setAvailable(bool available)
{
    const bool back = available && !available_;
    available_ = available;

    if (back && resync_) {
        resync_();
    }
}

bool InboxMemory::present(std::string_view user) const
{
    return here_.count(user) != 0;
}

void InboxMemory::store(StoreRequest request, StoreCallback callback)
{
    if (open_ && open_->back().request.chat == request.chat &&
        open_->back().request.recipients == request.recipients) {
        open_->push_back({std::move(request), std::move(callback)});
        return;
    }

    auto group = std::make_shared<Group>();
    group->push_back({std::move(request), std::move(callback)});
    run([this, group] { storeGroup(*group); });

    if (holding_) {
        open_ = std::move(group);
    }
}

void InboxMemory::storeGroup(const Group& group)
{
    Doorbell doorbell;
    std::vector<StoreResult> results;

    for (const auto& one : group) {
        results.push_back(write(one.request, doorbell));
    }

    for (std::size_t i = 0; i < group.size(); ++i) {
        group[i].callback(results[i]);
    }

    if (!doorbell.news.empty()) {
        ring(doorbell);
    }
}

StoreResult InboxMemory::write(const StoreRequest& request, Doorbell& doorbell)
{
    if (!available_) {
        return {StoreStatus::Failed, kAway};
    }

    if (store_->sent.count({request.sender, request.sendId}) != 0) {
        return {StoreStatus::Duplicate, {}};
    }

    for (const auto& recipient : request.recipients->list) {
        const auto found = store_->boxes.find(recipient.user);

        if (found != store_->boxes.end() &&
            found->second.entries.size() >= store_->maxMessages) {
            return {StoreStatus::Full,
                    "the inbox of " + recipient.user + " is full"};
        }
    }

    const bool first = doorbell.news.empty();

    for (const auto& recipient : request.recipients->list) {
        auto& box = store_->boxes[recipient.user];
        box.last = box.last == 0 ? store_->firstSequence : box.last + 1;
        box.entries[box.last] = {
            std::to_string(box.last) + "-" + request.news->messageId,
            composeNews(*request.news, recipient)};

        if (first) {
            doorbell.recipients.push_back(recipient);
            doorbell.sequences.push_back(box.last);
        }
    }

    doorbell.news.push_back(request.news);
    store_->sent.insert({request.sender, request.sendId});
    return {StoreStatus::Stored, {}};
}

void InboxMemory::ring(const Doorbell& doorbell)
{
    if (doorbell_ && !here_.empty()) {
        doorbell_(doorbell);
    }

    // A doorbell may make nodes come and go.
    const auto nodes = store_->nodes;

    for (auto* node : nodes) {
        if (node == this || store_->nodes.count(node) == 0 ||
            !node->available_ || !node->doorbell_) {
            continue;
        }

        Doorbell part{doorbell.news, {}, {}};

        for (std::size_t i = 0; i < doorbell.sequences.size(); ++i) {
            if (node->present(doorbell.recipients[i].user)) {
                part.recipients.push_back(doorbell.recipients[i]);
                part.sequences.push_back(doorbell.sequences[i]);
            }
        }

        if (!part.recipients.empty()) {
            node->doorbell_(part);
        }
    }
}

void InboxMemory::acknowledge(std::string_view user,
                              const std::vector<std::string>& keys,
                              AckCallback callback)
{
    run([this, user = std::string(user), keys, callback = std::move(callback)] {
        if (!available_) {
            callback(false, kAway);
            return;
        }

        for (const auto& key : keys) {
            auto& entries = store_->boxes[user].entries;
            std::erase_if(entries, [&](const auto& entry) {
                return entry.second.key == key;
            });
        }

        callback(true, {});
    });
}

void InboxMemory::list(std::string_view user, std::uint64_t after,
                       SnapshotCallback callback)
{
    run([this, user = std::string(user), after,
         callback = std::move(callback)] {
        Snapshot snapshot;

        if (!available_) {
            snapshot.reason = kAway;
            callback(std::move(snapshot));
            return;
        }

        snapshot.ok = true;
        const auto found = store_->boxes.find(user);

        if (found != store_->boxes.end()) {
            const auto& box = found->second;
            snapshot.last = box.last;

            for (auto entry = box.entries.upper_bound(after);
                 entry != box.entries.end(); ++entry) {
                snapshot.keys.push_back(entry->second.key);
            }
        }

        callback(std::move(snapshot));
    });
}

void InboxMemory::read(std::string_view user, std::vector<std::string> keys,
                       ReadCallback callback)
{
    run([this, user = std::string(user), keys = std::move(keys),
         callback = std::move(callback)] {
        ReadResult result;
        result.ok = available_;
        result.reason = available_ ? "" : kAway;

        for (std::size_t i = 0; available_ && i < keys.size(); ++i) {
            result.entries.push_back({keys[i], {}});

            for (const auto& entry : store_->boxes[user].entries) {
                if (entry.second.key == keys[i]) {
                    result.entries.back() = entry.second;
                }
            }
        }

        callback(std::move(result));
    });
}

void InboxMemory::arrive(std::string_view user)
{
    here_.emplace(user);
}

void InboxMemory::leave(std::string_view user)
{
    const auto found = here_.find(user);

    if (found != here_.end()) {
        here_.erase(found);
    }
}

void InboxMemory::onDoorbell(DoorbellHandler handler)
{
    doorbell_ = std::move(handler);
}

void InboxMemory::onResync(ResyncHandler handler)
{
    resync_ = std::move(handler);
}

}  // namespace chat
