#include "decoder.hpp"

#include <algorithm>
#include <cstring>

#include "mask.hpp"

namespace chat::ws {
namespace {

std::uint64_t bigEndian(const unsigned char* bytes, std::size_t size)
{
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        value = value << 8 | bytes[i];
    }
    return value;
}

// Bytes of the length field, the seven bits in the second byte included.
std::size_t lengthEnd(unsigned char second)
{
    switch (second & kLengthBits) {
    case kLength16:
        return 4;
    case kLength64:
        return 10;
    default:
        return 2;
    }
}

}  // namespace

Fault Decoder::beginMessage(bool rsv1)
{
    if (inMessage_) {
        return Fault::MessageNotFinished;
    }
    inMessage_ = true;
    compressed_ = rsv1;
    messageOpcode_ = frameOpcode();
    messageSize_ = 0;
    fragments_ = 0;
    return Fault::None;
}

Fault Decoder::checkFirstByte(const Limits& limits, bool compression)
{
    bool rsv1 = (header_[0] & kRsv1) != 0;
    if ((header_[0] & (kRsv2 | kRsv3)) != 0 || (rsv1 && !compression)) {
        return Fault::ReservedBit;
    }
    switch (frameOpcode()) {
    case Opcode::Text:
    case Opcode::Binary: {
        Fault fault = beginMessage(rsv1);
        if (fault != Fault::None) {
            return fault;
        }
        break;
    }
    case Opcode::Continuation:
        if (rsv1) {
            return Fault::ReservedBit;
        }
        if (!inMessage_) {
            return Fault::NothingToContinue;
        }
        break;
    case Opcode::Close:
    case Opcode::Ping:
    case Opcode::Pong:
        if (rsv1) {
            return Fault::ReservedBit;
        }
        return fin() ? Fault::None : Fault::ControlFragmented;
    default:
        return Fault::ReservedOpcode;
    }
    if (limits.maxFragments != 0 && fragments_ >= limits.maxFragments) {
        return Fault::TooManyFragments;
    }
    ++fragments_;
    return Fault::None;
}

Fault Decoder::checkSecondByte()
{
    if ((header_[1] & kMaskBit) == 0) {
        return Fault::NotMasked;
    }
    if (isControl(frameOpcode()) &&
        (header_[1] & kLengthBits) > kMaxControlPayload) {
        return Fault::ControlTooLong;
    }
    return Fault::None;
}

Fault Decoder::checkLength(const Limits& limits)
{
    std::uint64_t length = header_[1] & kLengthBits;
    if (length == kLength16) {
        length = bigEndian(header_ + 2, 2);
        if (length < kLength16) {
            return Fault::LengthNotMinimal;
        }
    } else if (length == kLength64) {
        length = bigEndian(header_ + 2, 8);
        if ((length >> 63) != 0) {
            return Fault::LengthTooLarge;
        }
        if (length <= 0xffff) {
            return Fault::LengthNotMinimal;
        }
    }
    if (!isControl(frameOpcode())) {
        std::uint64_t limit =
            compressed_ ? maxCompressed(limits.maxMessage) : limits.maxMessage;
        limit = std::min<std::uint64_t>(limit, UINT32_MAX);
        if (messageSize_ > limit || length > limit - messageSize_) {
            return Fault::MessageTooBig;
        }
        messageSize_ += static_cast<std::uint32_t>(length);
    }
    remaining_ = static_cast<std::uint32_t>(length);
    return Fault::None;
}

// need_ has just been reached: checks what is certain by now and says in need_
// where the next check comes.
Fault Decoder::checkHeaderPart(const Limits& limits, bool compression)
{
    if (need_ == 1) {
        need_ = 2;
        return checkFirstByte(limits, compression);
    }
    std::size_t end = lengthEnd(header_[1]);
    if (need_ == 2) {
        Fault fault = checkSecondByte();
        if (fault != Fault::None || end != 2) {
            need_ = static_cast<std::uint8_t>(end);
            return fault;
        }
    }
    if (need_ == end) {
        need_ = static_cast<std::uint8_t>(end + 4);
        return checkLength(limits);
    }
    std::memcpy(&mask_, header_ + end, 4);
    beginFrame();
    return Fault::None;
}

void Decoder::beginFrame()
{
    fill_ = 0;
    need_ = 1;
    inPayload_ = true;
    frameStart_ = true;
    ++frames_;
}

// True when a whole header is there and good.
bool Decoder::readHeader(const Limits& limits, bool compression,
                         unsigned char*& pos, unsigned char* end)
{
    while (!inPayload_) {
        while (fill_ < need_) {
            if (pos == end) {
                return false;
            }
            header_[fill_++] = *pos++;
        }
        fault_ = checkHeaderPart(limits, compression);
        if (fault_ != Fault::None) {
            return false;
        }
    }
    return true;
}

Decoder::Result Decoder::next(const Limits& limits, bool compression,
                              unsigned char*& pos, unsigned char* end,
                              Chunk& chunk)
{
    if (fault_ != Fault::None) {
        return Result::Fault;
    }
    if (!inPayload_ && !readHeader(limits, compression, pos, end)) {
        return fault_ == Fault::None ? Result::NeedMore : Result::Fault;
    }
    if (pos == end && remaining_ != 0) {
        return Result::NeedMore;
    }
    std::size_t size =
        std::min<std::size_t>(remaining_, static_cast<std::size_t>(end - pos));
    mask_ = applyMask(pos, size, mask_);
    remaining_ -= static_cast<std::uint32_t>(size);

    bool control = isControl(frameOpcode());
    chunk.data = pos;
    chunk.size = size;
    chunk.remaining = remaining_;
    chunk.opcode = control ? frameOpcode() : messageOpcode_;
    chunk.compressed = !control && compressed_;
    chunk.frameStart = frameStart_;
    chunk.frameEnd = remaining_ == 0;
    chunk.messageEnd = chunk.frameEnd && !control && fin();
    pos += size;
    frameStart_ = false;
    inPayload_ = !chunk.frameEnd;
    if (chunk.messageEnd) {
        inMessage_ = false;
    }
    return Result::Chunk;
}

}  // namespace chat::ws
