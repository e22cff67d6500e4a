#include "assembler.hpp"

#include <algorithm>
#include <new>

#include "close_code.hpp"

namespace chat::ws {
namespace {

std::string_view viewOf(const unsigned char* data, std::size_t size)
{
    return {reinterpret_cast<const char*>(data), size};
}

const unsigned char* bytesOf(std::string_view view)
{
    return reinterpret_cast<const unsigned char*>(view.data());
}

Event::Type typeOf(Opcode opcode)
{
    switch (opcode) {
    case Opcode::Text:
        return Event::Type::Text;
    case Opcode::Ping:
        return Event::Type::Ping;
    case Opcode::Pong:
        return Event::Type::Pong;
    case Opcode::Close:
        return Event::Type::Close;
    default:
        return Event::Type::Binary;
    }
}

}  // namespace

Assembler::Assembler(const ReceiveOptions* options,
                     const DeflateParams& deflate)
    : options_(options),
      windowBits_(deflate.clientWindowBits),
      compression_(deflate.enabled),
      keepsContext_(deflate.enabled && deflate.clientContext),
      ended_(false)
{
}

Assembler::~Assembler()
{
    dropAll();
}

void Assembler::dropAll()
{
    delete partial_;
    partial_ = nullptr;
    delete inflater_;
    inflater_ = nullptr;
}

// What the last event pointed to is no longer needed.
void Assembler::dropDelivered()
{
    if (partial_ == nullptr) {
        return;
    }
    if (partial_->delivered) {
        delete partial_;
        partial_ = nullptr;
    } else if (partial_->controlDelivered) {
        partial_->control.release();
        partial_->controlDelivered = false;
        if (decoder_.idle()) {
            delete partial_;
            partial_ = nullptr;
        }
    }
}

bool Assembler::needPartial()
{
    if (partial_ == nullptr) {
        partial_ = new (std::nothrow) Partial();
    }
    return partial_ != nullptr;
}

Inflater* Assembler::needInflater()
{
    if (!keepsContext_) {
        return options_->pool->inflater();
    }
    if (inflater_ == nullptr) {
        inflater_ = Inflater::create(windowBits_);
    }
    return inflater_;
}

bool Assembler::fail(Fault fault, Event& event)
{
    event.type = Event::Type::Fault;
    event.fault = fault;
    event.code = closeCodeOf(fault);
    event.data = {};
    ended_ = true;
    dropAll();
    return true;
}

Fault Assembler::checkText(const Chunk& chunk, const unsigned char* data,
                           std::size_t size)
{
    if (chunk.opcode != Opcode::Text) {
        return Fault::None;
    }
    return utf8_.feed(data, size) ? Fault::None : Fault::InvalidUtf8;
}

Fault Assembler::onPlain(const Chunk& chunk, std::string_view& message)
{
    Fault fault = checkText(chunk, chunk.data, chunk.size);
    if (fault != Fault::None) {
        return fault;
    }
    bool nothingBefore = partial_ == nullptr || partial_->message.empty();
    if (chunk.messageEnd && nothingBefore) {
        message = viewOf(chunk.data, chunk.size);
        return Fault::None;
    }
    if (chunk.size != 0 &&
        (!needPartial() ||
         !partial_->message.append(chunk.data, chunk.size,
                                   options_->limits.maxMessage))) {
        return Fault::NoMemory;
    }
    if (chunk.messageEnd) {
        partial_->delivered = true;
        message = partial_->message.view();
    }
    return Fault::None;
}

// Inflates a run and checks what came out; in this order, so that the verdict
// does not depend on how the bytes were cut into runs.
Fault Assembler::inflateRun(const Chunk& chunk, std::string_view run)
{
    Inflater* inflater = needInflater();
    if (inflater == nullptr || !needPartial()) {
        return Fault::NoMemory;
    }
    Buffer& out = partial_->message;
    std::size_t limit = options_->limits.maxMessage;
    std::size_t before = out.size();

    Fault fault = inflater->feed(bytesOf(run), run.size(), out, limit);
    if (fault == Fault::None && chunk.messageEnd) {
        fault = inflater->finish(out, limit);
    }
    std::size_t after = std::min(out.size(), limit);
    Fault text = checkText(chunk, out.data() + before, after - before);
    return text != Fault::None ? text : fault;
}

Fault Assembler::onCompressed(const Chunk& chunk, std::string_view& message)
{
    std::string_view run = viewOf(chunk.data, chunk.size);
    if (!keepsContext_) {
        // The inflater is shared: it must see the message in one go.
        bool nothingBefore = partial_ == nullptr || partial_->packed.empty();
        if (!chunk.messageEnd || !nothingBefore) {
            if (!needPartial() ||
                !partial_->packed.append(chunk.data, chunk.size)) {
                return Fault::NoMemory;
            }
            run = partial_->packed.view();
        }
        if (!chunk.messageEnd) {
            return Fault::None;
        }
    }
    Fault fault = inflateRun(chunk, run);
    if (fault == Fault::None && chunk.messageEnd) {
        partial_->delivered = true;
        message = partial_->message.view();
    }
    return fault;
}

bool Assembler::onData(const Chunk& chunk, Event& event)
{
    std::string_view message;
    Fault fault = chunk.compressed ? onCompressed(chunk, message)
                                   : onPlain(chunk, message);
    if (fault == Fault::None && chunk.messageEnd && !utf8_.complete()) {
        fault = Fault::InvalidUtf8;
    }
    if (fault != Fault::None) {
        return fail(fault, event);
    }
    if (!chunk.messageEnd) {
        return false;
    }
    event.type = typeOf(chunk.opcode);
    event.compressed = chunk.compressed;
    event.wire = decoder_.messageSize();
    event.data = message;
    return true;
}

Fault Assembler::readClose(std::string_view payload, Event& event)
{
    event.code = kCloseNoStatus;
    if (payload.empty()) {
        return Fault::None;
    }
    if (payload.size() == 1) {
        return Fault::ClosePayloadTooShort;
    }
    const unsigned char* bytes = bytesOf(payload);
    event.code = static_cast<std::uint16_t>(bytes[0] << 8 | bytes[1]);
    if (!closeCodeAllowed(event.code)) {
        return Fault::CloseCodeInvalid;
    }
    event.data = payload.substr(2);
    return isUtf8(event.data) ? Fault::None : Fault::InvalidUtf8;
}

bool Assembler::onControl(const Chunk& chunk, Event& event)
{
    std::string_view payload = viewOf(chunk.data, chunk.size);
    bool nothingBefore = partial_ == nullptr || partial_->control.empty();
    if (!chunk.frameEnd || !nothingBefore) {
        if (!needPartial() || !partial_->control.append(chunk.data, chunk.size,
                                                        kMaxControlPayload)) {
            return fail(Fault::NoMemory, event);
        }
        payload = partial_->control.view();
        partial_->controlDelivered = chunk.frameEnd;
    }
    if (!chunk.frameEnd) {
        return false;
    }
    event.type = typeOf(chunk.opcode);
    event.data = payload;
    if (chunk.opcode == Opcode::Close) {
        Fault fault = readClose(payload, event);
        if (fault != Fault::None) {
            return fail(fault, event);
        }
        ended_ = true;
    }
    return true;
}

bool Assembler::onChunk(const Chunk& chunk, Event& event)
{
    return isControl(chunk.opcode) ? onControl(chunk, event)
                                   : onData(chunk, event);
}

Event Assembler::next(unsigned char*& pos, unsigned char* end)
{
    Event event;
    Chunk chunk;

    dropDelivered();
    if (ended_) {
        dropAll();
        pos = end;
        return event;
    }
    for (;;) {
        switch (
            decoder_.next(options_->limits, compression_, pos, end, chunk)) {
        case Decoder::Result::NeedMore:
            return event;
        case Decoder::Result::Fault:
            fail(decoder_.fault(), event);
            return event;
        case Decoder::Result::Chunk:
            if (onChunk(chunk, event)) {
                return event;
            }
        }
    }
}

}  // namespace chat::ws
