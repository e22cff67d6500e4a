#include "shared/relay_reader.hpp"

#include <algorithm>
#include <cassert>
#include <new>

#include "shared/relay_bytes.hpp"

namespace chat::relay {

namespace {

// A buffer that one large frame has blown up is given back after it.
constexpr std::size_t kKeepCapacity = 64U << 10;

bool isKnown(std::uint8_t kind)
{
    return kind >= static_cast<std::uint8_t>(Kind::Hello) &&
           kind <= static_cast<std::uint8_t>(Kind::Pong);
}

bool travelsTo(Kind kind, Side side)
{
    switch (kind) {
    case Kind::Hello:
    case Kind::Ping:
    case Kind::Pong:
        return true;
    case Kind::Attach:
    case Kind::Message:
    case Kind::Detach:
    case Kind::Written:
    case Kind::Request:
        return side == Side::Worker;
    default:
        return side == Side::Nginx;
    }
}

}  // namespace

const char* errorText(Error error)
{
    switch (error) {
    case Error::None:
        return "no error";
    case Error::NotHello:
        return "first frame is not a HELLO";
    case Error::BadHello:
        return "invalid HELLO";
    case Error::Version:
        return "unsupported protocol version";
    case Error::TooLong:
        return "frame is too long";
    case Error::UnknownKind:
        return "unknown kind of frame";
    case Error::Direction:
        return "kind of frame that does not travel in this direction";
    case Error::ShortPayload:
        return "payload is too short for its kind";
    case Error::Malformed:
        return "malformed payload";
    case Error::NoMemory:
        return "out of memory";
    }
    return "unknown error";
}

void Reader::feed(std::string_view bytes)
{
    assert(input_.empty() || error_ != Error::None);
    input_ = bytes;
}

Reader::Status Reader::next(Frame* out)
{
    if (error_ != Error::None) {
        return Status::Failed;
    }

    if (partialDone_) {
        partialDone_ = false;
        partial_.clear();

        if (partial_.capacity() > kKeepCapacity) {
            partial_ = std::string();
        }
    }

    bool split = !partial_.empty();

    if (split && !fill(kHeaderSize)) {
        return error_ == Error::None ? Status::More : Status::Failed;
    }

    if (!split && input_.size() < kHeaderSize) {
        return keepTail();
    }

    std::uint32_t length = 0;

    if (!parseHeader(split ? partial_.data() : input_.data(), out, &length)) {
        return Status::Failed;
    }

    std::size_t size = kHeaderSize + length;

    if (split) {
        if (!fill(size)) {
            return error_ == Error::None ? Status::More : Status::Failed;
        }
        out->payload = std::string_view(partial_).substr(kHeaderSize);
        partialDone_ = true;

    } else {
        if (input_.size() < size) {
            return keepTail();
        }
        out->payload = input_.substr(kHeaderSize, length);
        input_.remove_prefix(size);
    }

    return checkFrame(*out) ? Status::Frame : Status::Failed;
}

// Keeps the unfinished frame at the end of what was fed.
Reader::Status Reader::keepTail()
{
    return fill(input_.size()) ? Status::More : Status::Failed;
}

// Moves input to partial_ until that holds size bytes; false if it does not.
bool Reader::fill(std::size_t size)
{
    if (partial_.size() < size) {
        std::size_t count = std::min(size - partial_.size(), input_.size());

        try {
            partial_.append(input_.data(), count);
        } catch (const std::bad_alloc&) {
            refuse(Error::NoMemory);
            return false;
        }
        input_.remove_prefix(count);
    }
    return partial_.size() >= size;
}

// Refuses a frame by its header alone: nothing of its payload is waited for.
bool Reader::parseHeader(const char* from, Frame* out, std::uint32_t* length)
{
    *length = load<std::uint32_t>(from);
    auto kind = load<std::uint8_t>(from + 4);

    out->kind = static_cast<Kind>(kind);
    out->flags = load<std::uint8_t>(from + 5);
    out->code = load<std::uint16_t>(from + 6);
    out->id = load<std::uint64_t>(from + 8);

    Error error = Error::None;

    if (!isKnown(kind)) {
        error = Error::UnknownKind;

    } else if (!helloSeen_ && out->kind != Kind::Hello) {
        error = Error::NotHello;

    } else if (helloSeen_ && out->kind == Kind::Hello) {
        error = Error::BadHello;

    } else if (!travelsTo(out->kind, side_)) {
        error = Error::Direction;

    } else if (*length > (helloSeen_ ? maxPayload_ : kMaxHelloPayload)) {
        error = Error::TooLong;

    } else if (*length < minPayload(out->kind, out->flags)) {
        error = Error::ShortPayload;
    }

    if (error != Error::None) {
        refuse(error);
    }
    return error == Error::None;
}

bool Reader::checkFrame(const Frame& frame)
{
    if (frame.kind != Kind::Hello) {
        return true;
    }

    // The version first: later versions may change all but the magic.
    if (load<std::uint32_t>(frame.payload.data()) != kMagic) {
        refuse(Error::BadHello);
        return false;
    }

    if (frame.code != kVersion) {
        refuse(Error::Version);
        return false;
    }

    Hello hello;

    if (!decode(frame, &hello)) {
        refuse(Error::BadHello);
        return false;
    }

    helloSeen_ = true;
    peerMaxPayload_ = hello.maxPayload;
    peerInstance_ = hello.instance;
    return true;
}

Reader::Status Reader::refuse(Error error)
{
    error_ = error;
    input_ = {};
    return Status::Failed;
}

}  // namespace chat::relay
