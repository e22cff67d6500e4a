#include "acknowledger.hpp"

#include <cstdint>
#include <utility>

namespace chat {

namespace {

constexpr std::size_t kMaxWaitingBytes = 64U << 20;
constexpr std::size_t kRetryBatches = 256;  // in one go
constexpr std::uint64_t kRetryDelay = 500;  // ms

std::size_t sizeOf(const std::vector<std::string>& keys)
{
    std::size_t size = 0;
    for (const auto& key : keys) {
        size += sizeof(std::string) + key.size();
    }
    return size;
}

}  // namespace

Acknowledger::Acknowledger(Inbox& inbox, Timers& timers, Counters& counters)
    : inbox_(inbox),
      counters_(counters),
      timer_(timers.create([this] { retry(); }))
{
}

void Acknowledger::submit(std::string_view user, std::vector<std::string> keys,
                          Done done)
{
    counters_.keysAcknowledged += keys.size();
    auto batch =
        std::make_shared<Batch>(Batch{std::string(user), std::move(keys)});
    inbox_.acknowledge(batch->user, batch->keys,
                       [this, batch, done = std::move(done)](
                           bool ok, const std::string& reason) {
                           if (ok) {
                               done(true, {});
                               return;
                           }
                           ++counters_.acknowledgeFailures;
                           done(keep(batch), reason);
                       });
}

bool Acknowledger::keep(std::shared_ptr<Batch> batch)
{
    const std::size_t size = sizeOf(batch->keys);
    if (waitingBytes_ + size > kMaxWaitingBytes) {
        counters_.acknowledgeDropped += batch->keys.size();
        return false;
    }
    waitingBytes_ += size;
    waitingKeys_ += batch->keys.size();
    waiting_.push_back(std::move(batch));
    if (!timer_->running()) {
        timer_->start(kRetryDelay);
    }
    return true;
}

void Acknowledger::retry()
{
    if (inbox_.available()) {
        for (std::size_t i = 0; i < kRetryBatches && !waiting_.empty(); ++i) {
            auto batch = std::move(waiting_.front());
            waiting_.pop_front();
            waitingBytes_ -= sizeOf(batch->keys);
            waitingKeys_ -= batch->keys.size();
            inbox_.acknowledge(batch->user, batch->keys,
                               [this, batch](bool ok, const std::string&) {
                                   if (!ok) {
                                       keep(batch);
                                   }
                               });
        }
    }
    if (!waiting_.empty()) {
        timer_->start(kRetryDelay);
    }
}

}  // namespace chat
