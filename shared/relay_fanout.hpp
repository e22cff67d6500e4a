// FANOUT: one body for many sessions, with holes that each recipient fills
// with its own texts. The layout stands in relay_format.hpp.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/relay_bytes.hpp"
#include "shared/relay_format.hpp"

namespace chat::relay {

// Appends one FANOUT frame to a byte string. Between the constructor and
// finish() nothing else may be appended to it. The only exception that can
// leave is std::bad_alloc of the string.
//
//     FanoutBuilder fanout(&out, body, offsets, 2);
//     fanout.add(mark, ids, count, texts);
//     fanout.finish();
class FanoutBuilder {
  public:
    // offsets: where in the body the holes are, ascending, each at most
    // body.size(); at most kMaxHoles of them (asserted). flags: kBinary or 0.
    FanoutBuilder(std::string* out, std::string_view body,
                  const std::uint32_t* offsets, std::size_t holes,
                  std::uint8_t flags = 0);

    // One recipient: the mark, its sessions (at most 65535) and one text
    // (at most 65535 bytes) for each hole; asserted. `texts` may be null when
    // there are no holes.
    void add(std::uint64_t mark, const std::uint64_t* sessions,
             std::size_t count, const std::string_view* texts);

    // The payload so far. A sender finishes the frame and begins another
    // before this would exceed the peer's max_payload; recipientSize() is
    // what add() would add.
    std::size_t payloadSize() const;
    std::size_t recipientSize(std::size_t sessions,
                              const std::string_view* texts) const;

    std::uint32_t recipients() const { return recipients_; }

    // Completes the frame. Without any recipient the frame is taken back, and
    // the result is false.
    bool finish();

  private:
    std::string* out_;
    std::size_t start_;  // of the frame in *out_
    std::size_t holes_;
    std::uint32_t recipients_ = 0;
};

// A FANOUT payload, checked as a whole by parse() and then walked without
// allocation. Views into the payload, which must outlive this.
//
//     FanoutView fanout;
//     if (!fanout.parse(frame.payload)) { close the relay connection }
//     for (FanoutView::Recipient to = fanout.first(); !to.atEnd(); to.next()) {
//         for each i < to.sessions(): to.session(i)
//         to.messageSize(), to.compose(buffer)
//     }
class FanoutView {
  public:
    class Recipient;

    // False: malformed in some way; nothing of it may be used.
    bool parse(std::string_view payload);

    std::string_view body() const { return body_; }
    std::uint32_t recipients() const { return recipients_; }
    std::size_t holes() const { return holes_; }

    // The piece of the body before hole i; i == holes(): the rest.
    std::string_view piece(std::size_t i) const
    {
        std::size_t from = i == 0 ? 0 : offset(i - 1);
        std::size_t to = i == holes_ ? body_.size() : offset(i);
        return body_.substr(from, to - from);
    }

    Recipient first() const;

  private:
    std::size_t offset(std::size_t hole) const
    {
        return load<std::uint32_t>(offsets_ + 4 * hole);
    }

    bool checkOffsets() const;
    bool checkRecipients() const;

    const char* offsets_ = nullptr;
    std::size_t holes_ = 0;
    std::uint32_t recipients_ = 0;
    std::string_view body_;
    std::string_view list_;  // the recipients
};

class FanoutView::Recipient {
  public:
    bool atEnd() const { return left_ == 0; }
    void next();

    std::uint64_t mark() const { return load<std::uint64_t>(at_); }
    std::size_t sessions() const { return load<std::uint16_t>(at_ + 8); }

    // Connection id number i, i < sessions().
    std::uint64_t session(std::size_t i) const
    {
        return load<std::uint64_t>(ids_ + 8 * i);
    }

    // Length of the text for a hole. The texts follow one another at texts().
    std::size_t textSize(std::size_t hole) const
    {
        return load<std::uint16_t>(at_ + 10 + 2 * hole);
    }
    const char* texts() const { return ids_ + 8 * sessions(); }

    // The recipient's whole message: its size in bytes, and the message
    // itself written to `to`; returns the end of what was written.
    std::size_t messageSize() const
    {
        return fanout_->body_.size() + textsSize_;
    }
    char* compose(char* to) const;

  private:
    friend class FanoutView;

    Recipient(const FanoutView* fanout, const char* at, std::uint32_t left);
    void measure();

    const FanoutView* fanout_;
    const char* at_;  // this recipient's first byte
    const char* ids_ = nullptr;
    std::size_t textsSize_ = 0;
    std::uint32_t left_;  // recipients from this one on
};

}  // namespace chat::relay
