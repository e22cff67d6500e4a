// Frame layer of the receiving side: turns bytes of a client into runs of
// unmasked payload and checks every rule of RFC 6455 section 5 that concerns
// one frame or the order of frames. No heap. The assembler above it knows
// messages.

#pragma once

#include <cstddef>
#include <cstdint>

#include "fault.hpp"
#include "frame.hpp"

namespace chat::ws {

// Shared by many sessions; must outlive them.
struct Limits {
    // Bytes of one message over all its frames, inflated. A compressed message
    // may take maxCompressed(maxMessage) bytes on the wire.
    std::uint32_t maxMessage = 64 * 1024;

    // Frames of one message; 0 = no limit but maxMessage.
    std::uint32_t maxFragments = 0;
};

// What a deflate encoder may need at worst for a message of this size, with
// some room for those that flush often.
constexpr std::uint64_t maxCompressed(std::uint32_t message)
{
    return std::uint64_t{message} + message / 8 + 256;
}

// One run of payload inside the caller's buffer, already unmasked there. Every
// frame yields at least one, an empty frame one of size 0.
struct Chunk {
    unsigned char* data = nullptr;
    std::size_t size = 0;
    std::uint32_t remaining = 0;           // bytes of this frame still to come
    Opcode opcode = Opcode::Continuation;  // Text or Binary for continuations
    bool compressed = false;               // RSV1 on the message's first frame
    bool frameStart = false;
    bool frameEnd = false;
    bool messageEnd = false;  // last bytes of a data message
};

class Decoder {
  public:
    enum class Result : std::uint8_t { NeedMore, Chunk, Fault };

    // Goes on at `pos`, moves it behind what it has dealt with and never reads
    // at or behind `end`. NeedMore: everything up to `end` is taken. Fault: the
    // connection is lost for good; fault() says why, every further call says
    // the same. A fault is found with the first byte that makes it certain: a
    // message that is too big when its header is there, before its payload.
    //
    // `compression`: permessage-deflate has been negotiated.
    Result next(const Limits& limits, bool compression, unsigned char*& pos,
                unsigned char* end, Chunk& chunk);

    Fault fault() const { return fault_; }

    // Frame headers seen so far; wraps around.
    std::uint32_t frames() const { return frames_; }

    // Payload bytes that the frames of the message in progress, or of the one
    // that has just ended, have declared so far.
    std::uint32_t messageSize() const { return messageSize_; }

    // Whether the bytes so far end between two messages.
    bool idle() const { return fill_ == 0 && !inPayload_ && !inMessage_; }

  private:
    bool readHeader(const Limits& limits, bool compression, unsigned char*& pos,
                    unsigned char* end);
    Fault checkFirstByte(const Limits& limits, bool compression);
    Fault checkSecondByte();
    Fault checkLength(const Limits& limits);
    Fault beginMessage(bool rsv1);
    Fault checkHeaderPart(const Limits& limits, bool compression);
    void beginFrame();

    Opcode frameOpcode() const
    {
        return static_cast<Opcode>(header_[0] & kOpcodeBits);
    }
    bool fin() const { return (header_[0] & kFin) != 0; }

    std::uint32_t mask_ = 0;
    std::uint32_t remaining_ = 0;    // payload bytes of this frame to come
    std::uint32_t messageSize_ = 0;  // declared by the message's frames so far
    std::uint32_t fragments_ = 0;
    std::uint32_t frames_ = 0;
    unsigned char header_[kMaxClientHeader] = {};
    std::uint8_t fill_ = 0;  // bytes of header_ there
    std::uint8_t need_ = 1;  // bytes of header_ at which a rule is checked next
    Opcode messageOpcode_ = Opcode::Continuation;
    Fault fault_ = Fault::None;
    bool inMessage_ : 1;   // a data message has begun and not ended
    bool compressed_ : 1;  // that message has RSV1
    bool inPayload_ : 1;   // the header is complete
    bool frameStart_ : 1;  // no payload of this frame has been handed out

  public:
    Decoder()
        : inMessage_(false),
          compressed_(false),
          inPayload_(false),
          frameStart_(false)
    {
    }
};

}  // namespace chat::ws
