#include "shared/relay_payload.hpp"

#include "shared/relay_bytes.hpp"

namespace chat::relay {

namespace {

constexpr std::size_t kMarkSize = 8;
constexpr std::size_t kLengthSize = 2;

// A text with a u16 length before it, and whatever follows.
bool splitText(std::string_view payload, std::string_view* text,
               std::string_view* rest)
{
    if (payload.size() < kLengthSize) {
        return false;
    }

    std::size_t length = load<std::uint16_t>(payload.data());
    payload.remove_prefix(kLengthSize);

    if (payload.size() < length) {
        return false;
    }

    *text = payload.substr(0, length);
    *rest = payload.substr(length);
    return true;
}

}  // namespace

bool decode(const Frame& frame, Hello* out)
{
    std::string_view in = frame.payload;

    if (in.size() < kHelloFixed || load<std::uint32_t>(in.data()) != kMagic) {
        return false;
    }

    out->instance = frame.id;
    out->maxPayload = load<std::uint32_t>(in.data() + 4);
    out->name = in.substr(kHelloFixed);

    // A peer that could not even take an ATTACH of ours cannot be served.
    return out->name.size() <= kMaxHelloName && out->maxPayload >= kMinPayload;
}

bool decode(const Frame& frame, Attach* out)
{
    std::string_view in = frame.payload;

    if (in.size() < kAttachFixed) {
        return false;
    }

    out->mark = load<std::uint64_t>(in.data());
    out->heartbeatTimeoutMs = load<std::uint32_t>(in.data() + 8);
    out->trustInit = frame.has(kTrustInit);
    out->resumed = frame.has(kResumed);
    out->claimed = frame.has(kClaimed);
    out->number = frame.has(kNumber);

    std::size_t user = load<std::uint16_t>(in.data() + 12);
    std::size_t address = load<std::uint16_t>(in.data() + 14);

    if (in.size() != kAttachFixed + user + address) {
        return false;
    }

    out->user = in.substr(kAttachFixed, user);
    out->address = in.substr(kAttachFixed + user);
    return true;
}

bool decode(const Frame& frame, Send* out)
{
    out->mark = 0;
    out->message = frame.payload;

    if (!frame.has(kHasMark)) {
        return true;
    }

    if (frame.payload.size() < kMarkSize) {
        return false;
    }

    out->mark = load<std::uint64_t>(frame.payload.data());
    out->message.remove_prefix(kMarkSize);
    return true;
}

bool decode(const Frame& frame, Request* out)
{
    return splitText(frame.payload, &out->path, &out->body);
}

bool decode(const Frame& frame, Response* out)
{
    return splitText(frame.payload, &out->contentType, &out->body);
}

std::size_t minPayload(Kind kind, std::uint8_t flags)
{
    switch (kind) {
    case Kind::Hello:
        return kHelloFixed;
    case Kind::Attach:
        return kAttachFixed;
    case Kind::Send:
        return (flags & kHasMark) != 0 ? kMarkSize : 0;
    case Kind::Fanout:
        return kFanoutFixed;
    case Kind::Request:
    case Kind::Response:
        return kLengthSize;
    default:
        return 0;
    }
}

}  // namespace chat::relay
