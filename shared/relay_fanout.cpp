#include "shared/relay_fanout.hpp"

#include <cassert>
#include <cstring>

#include "shared/relay_writer.hpp"

namespace chat::relay {

namespace {

constexpr std::size_t kRecipientFixed = 10;  // mark and session count
constexpr std::size_t kMaxCount = 65535;

}  // namespace

FanoutBuilder::FanoutBuilder(std::string* out, std::string_view body,
                             const std::uint32_t* offsets, std::size_t holes,
                             std::uint8_t flags)
    : out_(out), start_(out->size()), holes_(holes)
{
    assert(holes <= kMaxHoles);

    appendFrame(out, Kind::Fanout, flags, 0, 0);
    put(out, static_cast<std::uint32_t>(body.size()));
    put(out, std::uint32_t{0});
    put(out, static_cast<std::uint16_t>(holes));
    put(out, std::uint16_t{0});

    for (std::size_t i = 0; i < holes; ++i) {
        assert(offsets[i] <= body.size());
        assert(i == 0 || offsets[i - 1] <= offsets[i]);
        put(out, offsets[i]);
    }
    out->append(body);
}

void FanoutBuilder::add(std::uint64_t mark, const std::uint64_t* sessions,
                        std::size_t count, const std::string_view* texts)
{
    assert(count <= kMaxCount);

    std::size_t start = out_->size();
    out_->resize(start + recipientSize(count, texts));
    char* to = &(*out_)[start];

    store(to, mark);
    store(to + 8, static_cast<std::uint16_t>(count));
    to += kRecipientFixed;

    for (std::size_t i = 0; i < holes_; ++i, to += 2) {
        assert(texts[i].size() <= kMaxCount);
        store(to, static_cast<std::uint16_t>(texts[i].size()));
    }
    for (std::size_t i = 0; i < count; ++i, to += 8) {
        store(to, sessions[i]);
    }
    for (std::size_t i = 0; i < holes_; ++i) {
        to += texts[i].copy(to, texts[i].size());
    }
    ++recipients_;
}

std::size_t FanoutBuilder::payloadSize() const
{
    return out_->size() - start_ - kHeaderSize;
}

std::size_t FanoutBuilder::recipientSize(std::size_t sessions,
                                         const std::string_view* texts) const
{
    std::size_t size = kRecipientFixed + 2 * holes_ + 8 * sessions;

    for (std::size_t i = 0; i < holes_; ++i) {
        size += texts[i].size();
    }
    return size;
}

bool FanoutBuilder::finish()
{
    if (recipients_ == 0) {
        out_->resize(start_);
        return false;
    }

    char* frame = &(*out_)[start_];
    store(frame, static_cast<std::uint32_t>(payloadSize()));
    store(frame + kHeaderSize + 4, recipients_);
    return true;
}

bool FanoutView::parse(std::string_view payload)
{
    if (payload.size() < kFanoutFixed) {
        return false;
    }

    std::size_t body = load<std::uint32_t>(payload.data());
    recipients_ = load<std::uint32_t>(payload.data() + 4);
    holes_ = load<std::uint16_t>(payload.data() + 8);

    if (holes_ > kMaxHoles || load<std::uint16_t>(payload.data() + 10) != 0) {
        return false;
    }
    payload.remove_prefix(kFanoutFixed);

    if (payload.size() < 4 * holes_) {
        return false;
    }
    offsets_ = payload.data();
    payload.remove_prefix(4 * holes_);

    if (payload.size() < body) {
        return false;
    }
    body_ = payload.substr(0, body);
    list_ = payload.substr(body);

    return checkOffsets() && checkRecipients();
}

bool FanoutView::checkOffsets() const
{
    std::size_t last = 0;

    for (std::size_t i = 0; i < holes_; ++i) {
        if (offset(i) < last || offset(i) > body_.size()) {
            return false;
        }
        last = offset(i);
    }
    return true;
}

// Every recipient takes at least its fixed bytes, so a large declared count
// ends at the first one that is not there.
bool FanoutView::checkRecipients() const
{
    std::string_view rest = list_;
    std::size_t fixed = kRecipientFixed + 2 * holes_;

    for (std::uint32_t n = 0; n < recipients_; ++n) {
        if (rest.size() < fixed) {
            return false;
        }

        std::size_t size = fixed;
        size += std::size_t{8} * load<std::uint16_t>(rest.data() + 8);

        for (std::size_t i = 0; i < holes_; ++i) {
            size += load<std::uint16_t>(rest.data() + kRecipientFixed + 2 * i);
        }

        if (rest.size() < size) {
            return false;
        }
        rest.remove_prefix(size);
    }
    return rest.empty();
}

FanoutView::Recipient FanoutView::first() const
{
    return {this, list_.data(), recipients_};
}

FanoutView::Recipient::Recipient(const FanoutView* fanout, const char* at,
                                 std::uint32_t left)
    : fanout_(fanout), at_(at), left_(left)
{
    if (left_ > 0) {
        measure();
    }
}

void FanoutView::Recipient::measure()
{
    ids_ = at_ + kRecipientFixed + 2 * fanout_->holes_;
    textsSize_ = 0;

    for (std::size_t i = 0; i < fanout_->holes_; ++i) {
        textsSize_ += textSize(i);
    }
}

void FanoutView::Recipient::next()
{
    at_ = texts() + textsSize_;

    if (--left_ > 0) {
        measure();
    }
}

char* FanoutView::Recipient::compose(char* to) const
{
    const char* body = fanout_->body_.data();
    const char* text = texts();
    std::size_t done = 0;

    for (std::size_t i = 0; i < fanout_->holes_; ++i) {
        std::size_t offset = fanout_->offset(i);
        std::size_t size = textSize(i);

        std::memcpy(to, body + done, offset - done);
        to += offset - done;
        std::memcpy(to, text, size);
        to += size;
        text += size;
        done = offset;
    }

    std::size_t rest = fanout_->body_.size() - done;
    std::memcpy(to, body + done, rest);
    return to + rest;
}

}  // namespace chat::relay
