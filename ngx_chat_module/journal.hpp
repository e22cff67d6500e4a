// The frames on their way to one chat-worker, in order, each in one piece.
//
//   confirmed          sent              end
//   |                  |                 |
//   |#M#|.A.|#M#|#M#|.D|##M##|.A.|##M##|
//   `-- kept: a MESSAGE without receipt may have to be sent again --'
//
// Memory: chunks of 32 KiB, given back when everything in them is confirmed
// and sent. The caller bounds unconfirmed() and held(). No exceptions.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "shared/relay_format.hpp"

namespace chat {

class Journal {
  public:
    Journal() = default;
    ~Journal() { clear(); }
    Journal(const Journal&) = delete;
    Journal& operator=(const Journal&) = delete;

    // Appends one whole frame. False: no memory, nothing changed.
    bool append(relay::Kind kind, std::uint8_t flags, std::uint16_t code,
                std::uint64_t id, std::string_view payload = {});
    bool append(std::string_view frame);

    // The next bytes to send, in one piece; empty: none.
    std::string_view next() const;
    void sent(std::size_t bytes);

    // RECEIPT: `count` messages of this connection are dealt with. Calls
    // visit(id) for each that is newly confirmed. False: the count is not
    // possible.
    template <typename Visit>
    bool confirm(std::uint64_t count, Visit&& visit);

    // visit(frame) for each MESSAGE without receipt, in order.
    template <typename Visit>
    void forEachUnconfirmed(Visit&& visit) const;

    // Bytes of MESSAGE frames without receipt, and of all frames not sent.
    std::size_t unconfirmed() const { return unconfirmed_; }
    std::size_t unsent() const { return unsent_; }

    // Bytes of all frames that have memory, confirmed ones among them.
    std::size_t held() const { return held_; }

    void clear();
    void swap(Journal& other);

  private:
    struct Chunk {
        Chunk* next;
        std::size_t capacity;
        std::size_t size;
        char bytes[1];
    };

    struct Position {
        Chunk* chunk = nullptr;
        std::size_t offset = 0;
    };

    static std::size_t frameSize(const char* header);
    static bool isMessage(const char* header);
    static std::uint64_t idOf(const char* header);

    char* room(std::size_t size);
    void appended(const char* frame, std::size_t size);
    const char* frameAt(Position* position) const;
    const char* confirmable();
    void step(const char* frame);
    void release();

    Chunk* first_ = nullptr;
    Chunk* last_ = nullptr;
    Position confirmed_;
    Position sent_;
    std::uint64_t messages_ = 0;  // MESSAGE frames appended
    std::uint64_t receipts_ = 0;  // of them confirmed
    std::size_t unconfirmed_ = 0;
    std::size_t unsent_ = 0;
    std::size_t held_ = 0;
};

template <typename Visit>
bool Journal::confirm(std::uint64_t count, Visit&& visit)
{
    if (count > messages_ || count < receipts_) {
        return false;
    }

    while (const char* frame = confirmable()) {
        if (isMessage(frame)) {
            if (receipts_ == count) {
                break;
            }
            ++receipts_;
            unconfirmed_ -= frameSize(frame);
            visit(idOf(frame));
        }
        step(frame);
    }
    release();
    return receipts_ >= count;
}

template <typename Visit>
void Journal::forEachUnconfirmed(Visit&& visit) const
{
    Position at = confirmed_;

    while (const char* frame = frameAt(&at)) {
        std::size_t size = frameSize(frame);
        if (isMessage(frame)) {
            visit(std::string_view(frame, size));
        }
        at.offset += size;
    }
}

}  // namespace chat
