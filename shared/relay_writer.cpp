#include "shared/relay_writer.hpp"

#include "shared/relay_bytes.hpp"

namespace chat::relay {

namespace {

constexpr std::size_t kMaxText = 65535;

void appendHeader(std::string* out, Kind kind, std::uint8_t flags,
                  std::uint16_t code, std::uint64_t id, std::size_t length)
{
    char header[kHeaderSize];
    storeHeader(header, kind, flags, code, id,
                static_cast<std::uint32_t>(length));
    out->append(header, sizeof(header));
}

// Cuts at most at a character, as UTF-8 must stay UTF-8.
std::string_view cut(std::string_view text, std::size_t limit)
{
    if (text.size() <= limit) {
        return text;
    }
    while (limit > 0 && (text[limit] & 0xc0) == 0x80) {
        --limit;
    }
    return text.substr(0, limit);
}

void appendTextAndBody(std::string* out, Kind kind, std::uint16_t code,
                       std::uint64_t id, std::string_view text,
                       std::string_view body)
{
    text = cut(text, kMaxText);
    appendHeader(out, kind, 0, code, id, 2 + text.size() + body.size());
    put(out, static_cast<std::uint16_t>(text.size()));
    out->append(text);
    out->append(body);
}

}  // namespace

void storeHeader(char* to, Kind kind, std::uint8_t flags, std::uint16_t code,
                 std::uint64_t id, std::uint32_t length)
{
    store(to, length);
    store(to + 4, static_cast<std::uint8_t>(kind));
    store(to + 5, flags);
    store(to + 6, code);
    store(to + 8, id);
}

void appendFrame(std::string* out, Kind kind, std::uint8_t flags,
                 std::uint16_t code, std::uint64_t id, std::string_view payload)
{
    appendHeader(out, kind, flags, code, id, payload.size());
    out->append(payload);
}

void appendHello(std::string* out, const Hello& hello)
{
    std::string_view name = cut(hello.name, kMaxHelloName);

    appendHeader(out, Kind::Hello, 0, kVersion, hello.instance,
                 kHelloFixed + name.size());
    put(out, kMagic);
    put(out, hello.maxPayload);
    out->append(name);
}

void appendPing(std::string* out, std::uint64_t id)
{
    appendHeader(out, Kind::Ping, 0, 0, id, 0);
}

void appendPong(std::string* out, std::uint64_t id)
{
    appendHeader(out, Kind::Pong, 0, 0, id, 0);
}

void appendAttach(std::string* out, std::uint64_t id, const Attach& attach)
{
    std::string_view user = cut(attach.user, kMaxText);
    std::string_view address = cut(attach.address, kMaxText);

    unsigned flags = 0;
    flags |= attach.trustInit ? kTrustInit : 0U;
    flags |= attach.resumed ? kResumed : 0U;
    flags |= attach.claimed ? kClaimed : 0U;
    flags |= attach.number ? kNumber : 0U;

    appendHeader(out, Kind::Attach, static_cast<std::uint8_t>(flags), 0, id,
                 kAttachFixed + user.size() + address.size());
    put(out, attach.mark);
    put(out, attach.heartbeatTimeoutMs);
    put(out, static_cast<std::uint16_t>(user.size()));
    put(out, static_cast<std::uint16_t>(address.size()));
    out->append(user);
    out->append(address);
}

void appendMessage(std::string* out, std::uint64_t id, std::string_view message,
                   bool binary)
{
    appendFrame(out, Kind::Message, binary ? kBinary : 0, 0, id, message);
}

void appendDetach(std::string* out, std::uint64_t id, std::uint16_t code)
{
    appendHeader(out, Kind::Detach, 0, code, id, 0);
}

void appendWritten(std::string* out, std::uint64_t id)
{
    appendHeader(out, Kind::Written, 0, 0, id, 0);
}

void appendRequest(std::string* out, std::uint64_t request,
                   std::string_view path, std::string_view body)
{
    appendTextAndBody(out, Kind::Request, 0, request, path, body);
}

void appendSend(std::string* out, std::uint64_t id, std::string_view message,
                std::uint8_t flags, std::uint64_t mark)
{
    if (mark == 0) {
        flags = static_cast<std::uint8_t>(flags & ~kHasMark);
        appendFrame(out, Kind::Send, flags, 0, id, message);
        return;
    }

    flags = static_cast<std::uint8_t>(flags | kHasMark);
    appendHeader(out, Kind::Send, flags, 0, id, sizeof(mark) + message.size());
    put(out, mark);
    out->append(message);
}

void appendClose(std::string* out, std::uint64_t id, std::uint16_t code,
                 std::string_view reason)
{
    appendFrame(out, Kind::Close, 0, code, id, cut(reason, kMaxReason));
}

void appendIdentify(std::string* out, std::uint64_t id, std::string_view user,
                    bool number)
{
    appendFrame(out, Kind::Identify, number ? kNumber : 0, 0, id,
                cut(user, kMaxText));
}

void appendReceipt(std::string* out, std::uint64_t count)
{
    appendHeader(out, Kind::Receipt, 0, 0, count, 0);
}

void appendResponse(std::string* out, std::uint64_t request,
                    std::uint16_t status, std::string_view contentType,
                    std::string_view body)
{
    appendTextAndBody(out, Kind::Response, status, request, contentType, body);
}

}  // namespace chat::relay
