#include "ngx_chat_module/journal.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "shared/relay_bytes.hpp"
#include "shared/relay_writer.hpp"

namespace chat {

namespace {

constexpr std::size_t kChunk = 32U << 10;

}  // namespace

std::size_t Journal::frameSize(const char* header)
{
    return relay::kHeaderSize + relay::load<std::uint32_t>(header);
}

bool Journal::isMessage(const char* header)
{
    return static_cast<relay::Kind>(header[4]) == relay::Kind::Message;
}

std::uint64_t Journal::idOf(const char* header)
{
    return relay::load<std::uint64_t>(header + 8);
}

// Room for one frame behind the last.
char* Journal::room(std::size_t size)
{
    if (last_ == nullptr || last_->capacity - last_->size < size) {
        std::size_t capacity = std::max(kChunk, size);
        auto* chunk =
            static_cast<Chunk*>(std::malloc(offsetof(Chunk, bytes) + capacity));
        if (chunk == nullptr) {
            return nullptr;
        }

        chunk->next = nullptr;
        chunk->capacity = capacity;
        chunk->size = 0;

        if (last_ == nullptr) {
            first_ = chunk;
            confirmed_ = {chunk, 0};
            sent_ = {chunk, 0};
        } else {
            last_->next = chunk;
        }
        last_ = chunk;
    }
    return last_->bytes + last_->size;
}

void Journal::appended(const char* frame, std::size_t size)
{
    last_->size += size;
    unsent_ += size;
    held_ += size;

    if (isMessage(frame)) {
        ++messages_;
        unconfirmed_ += size;
    }
}

bool Journal::append(relay::Kind kind, std::uint8_t flags, std::uint16_t code,
                     std::uint64_t id, std::string_view payload)
{
    std::size_t size = relay::kHeaderSize + payload.size();
    char* to = room(size);
    if (to == nullptr) {
        return false;
    }

    relay::storeHeader(to, kind, flags, code, id,
                       static_cast<std::uint32_t>(payload.size()));
    if (!payload.empty()) {
        payload.copy(to + relay::kHeaderSize, payload.size());
    }
    appended(to, size);
    return true;
}

bool Journal::append(std::string_view frame)
{
    char* to = room(frame.size());
    if (to == nullptr) {
        return false;
    }

    std::memcpy(to, frame.data(), frame.size());
    appended(to, frame.size());
    return true;
}

std::string_view Journal::next() const
{
    const Chunk* chunk = sent_.chunk;
    std::size_t offset = sent_.offset;

    while (chunk != nullptr) {
        if (offset < chunk->size) {
            return {chunk->bytes + offset, chunk->size - offset};
        }
        chunk = chunk->next;
        offset = 0;
    }
    return {};
}

void Journal::sent(std::size_t bytes)
{
    while (sent_.offset == sent_.chunk->size && sent_.chunk->next != nullptr) {
        sent_ = {sent_.chunk->next, 0};
    }
    sent_.offset += bytes;
    unsent_ -= bytes;

    // With nothing left to confirm, what was sent need not wait for a receipt.
    if (unconfirmed_ == 0) {
        while (const char* frame = confirmable()) {
            step(frame);
        }
        release();
    }
}

// The frame at a position, or null at the end. Moves to the next chunk.
const char* Journal::frameAt(Position* position) const
{
    while (position->chunk != nullptr) {
        if (position->offset < position->chunk->size) {
            return position->chunk->bytes + position->offset;
        }
        *position = {position->chunk->next, 0};
    }
    return nullptr;
}

// The first frame that is kept, if it has been sent as a whole.
const char* Journal::confirmable()
{
    while (confirmed_.chunk != nullptr) {
        const Chunk* chunk = confirmed_.chunk;
        std::size_t bound = chunk == sent_.chunk ? sent_.offset : chunk->size;

        if (confirmed_.offset < bound) {
            const char* frame = chunk->bytes + confirmed_.offset;
            return confirmed_.offset + frameSize(frame) <= bound ? frame
                                                                 : nullptr;
        }
        if (chunk == sent_.chunk || chunk->next == nullptr) {
            return nullptr;
        }
        confirmed_ = {chunk->next, 0};
    }
    return nullptr;
}

void Journal::step(const char* frame)
{
    confirmed_.offset += frameSize(frame);
}

// Gives back the chunks in front; the last one is used again.
void Journal::release()
{
    while (first_ != confirmed_.chunk) {
        Chunk* chunk = first_;
        first_ = chunk->next;
        held_ -= chunk->size;
        std::free(chunk);
    }

    if (first_ != nullptr && first_ == last_ && first_->capacity == kChunk &&
        confirmed_.offset == first_->size && unsent_ == 0) {
        held_ -= first_->size;
        first_->size = 0;
        confirmed_ = {first_, 0};
        sent_ = {first_, 0};
    }
}

void Journal::clear()
{
    while (first_ != nullptr) {
        Chunk* chunk = first_;
        first_ = chunk->next;
        std::free(chunk);
    }
    last_ = nullptr;
    confirmed_ = {};
    sent_ = {};
    messages_ = 0;
    receipts_ = 0;
    unconfirmed_ = 0;
    unsent_ = 0;
    held_ = 0;
}

void Journal::swap(Journal& other)
{
    std::swap(first_, other.first_);
    std::swap(last_, other.last_);
    std::swap(confirmed_, other.confirmed_);
    std::swap(sent_, other.sent_);
    std::swap(messages_, other.messages_);
    std::swap(receipts_, other.receipts_);
    std::swap(unconfirmed_, other.unconfirmed_);
    std::swap(unsent_, other.unsent_);
    std::swap(held_, other.held_);
}

}  // namespace chat
