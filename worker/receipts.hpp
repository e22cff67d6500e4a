// Which MESSAGE frames of one relay connection are dealt with. They are
// finished in any order; RECEIPT tells the count without a gap.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

namespace chat::relay {

class Receipts {
  public:
    // Called whenever a MESSAGE is finished. Reset it before what it refers
    // to goes away.
    std::function<void()> onFinish;

    // The number of the MESSAGE, that many bytes long, that has just come.
    std::uint64_t open(std::size_t bytes)
    {
        done_.push_back(false);
        bytes_ += bytes;
        return completed_ + done_.size();
    }

    // The MESSAGE with that number is dealt with.
    void finish(std::uint64_t number, std::size_t bytes)
    {
        ++finished_;
        bytes_ -= bytes;
        done_[static_cast<std::size_t>(number - completed_ - 1)] = true;

        while (!done_.empty() && done_.front()) {
            done_.pop_front();
            ++completed_;
        }
        if (onFinish) {
            onFinish();
        }
    }

    // What RECEIPT says: this many, counted from the first.
    std::uint64_t completed() const { return completed_; }

    // MESSAGE frames that are not finished yet, and their bytes.
    std::size_t pending() const
    {
        return static_cast<std::size_t>(completed_ + done_.size() - finished_);
    }
    std::size_t pendingBytes() const { return bytes_; }

    // The span from the first unfinished MESSAGE to the last one that came.
    std::size_t window() const { return done_.size(); }

  private:
    std::uint64_t completed_ = 0;
    std::uint64_t finished_ = 0;
    std::size_t bytes_ = 0;
    std::deque<bool> done_;  // of the MESSAGE frames after completed_
};

// Stands for one MESSAGE that has to be covered by a RECEIPT. It is finished
// by done() or by its destructor, whichever comes first, and may outlive the
// relay connection. Not thread-safe.
class MessageTicket {
  public:
    MessageTicket() = default;
    MessageTicket(std::shared_ptr<Receipts> receipts, std::size_t bytes)
        : receipts_(std::move(receipts)),
          number_(receipts_->open(bytes)),
          bytes_(bytes)
    {
    }
    MessageTicket(MessageTicket&& other) noexcept = default;
    MessageTicket& operator=(MessageTicket&& other) noexcept
    {
        if (this != &other) {
            done();
            receipts_ = std::move(other.receipts_);
            number_ = other.number_;
            bytes_ = other.bytes_;
        }
        return *this;
    }
    MessageTicket(const MessageTicket&) = delete;
    MessageTicket& operator=(const MessageTicket&) = delete;
    ~MessageTicket() { done(); }

    // The message needs nothing more: it was answered, or needs no answer.
    void done()
    {
        if (auto receipts = std::exchange(receipts_, nullptr)) {
            receipts->finish(number_, bytes_);
        }
    }

    explicit operator bool() const { return receipts_ != nullptr; }

  private:
    std::shared_ptr<Receipts> receipts_;
    std::uint64_t number_ = 0;
    std::size_t bytes_ = 0;
};

}  // namespace chat::relay
