#include "t/bench/load/websocket.hpp"

#include <strings.h>

#include <cstring>

namespace bench {

namespace {

// The key and its answer from RFC 6455 section 1.3: what is measured does not
// depend on its being random.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr unsigned char kMask[4] = {0x37, 0xfa, 0x21, 0x3d};

void mask(char* data, size_t size)
{
    uint64_t wide;
    size_t i = 0;

    memcpy(&wide, kMask, 4);
    wide |= wide << 32;
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, data + i, 8);
        word ^= wide;
        memcpy(data + i, &word, 8);
    }
    for (; i < size; i++) {
        data[i] = static_cast<char>(data[i] ^ kMask[i & 3]);
    }
}

std::string_view extensionLine(std::string_view response)
{
    static constexpr std::string_view kName = "sec-websocket-extensions:";
    size_t at = 0;

    while ((at = response.find("\r\n", at)) != std::string_view::npos) {
        at += 2;
        if (response.size() - at > kName.size() &&
            strncasecmp(response.data() + at, kName.data(), kName.size()) ==
                0) {
            return response.substr(at, response.find("\r\n", at) - at);
        }
    }
    return {};
}

}  // namespace

WebSocketClient::~WebSocketClient()
{
    if (inflate_ != nullptr) {
        inflateEnd(inflate_);
        delete inflate_;
    }
}

void WebSocketClient::onConnected()
{
    std::string request = "GET " + requestTarget() +
                          " HTTP/1.1\r\n"
                          "Host: " +
                          target_.host +
                          "\r\n"
                          "Upgrade: websocket\r\n"
                          "Connection: Upgrade\r\n"
                          "Sec-WebSocket-Version: 13\r\n"
                          "Sec-WebSocket-Key: ";
    request += kKey;
    if (target_.deflate) {
        request +=
            "\r\nSec-WebSocket-Extensions: permessage-deflate; "
            "client_max_window_bits";
    }
    request += "\r\n\r\n";
    upgraded_ = false;
    write(request);
}

size_t WebSocketClient::onBytes(std::string_view bytes)
{
    return upgraded_ ? readFrame(bytes) : readUpgrade(bytes);
}

size_t WebSocketClient::readUpgrade(std::string_view bytes)
{
    size_t end = bytes.find("\r\n\r\n");
    if (end == std::string_view::npos) {
        return 0;
    }

    std::string_view response = bytes.substr(0, end + 2);
    if (response.substr(0, 12) != "HTTP/1.1 101" ||
        response.find(kAccept) == std::string_view::npos) {
        sink_.onError(
            *this, "handshake refused: " + std::string(response.substr(0, 40)));
        abort();
        return bytes.size();
    }

    if (target_.deflate && !startInflate(response)) {
        sink_.onError(*this, "permessage-deflate was not agreed");
    }
    upgraded_ = true;
    onUpgraded();
    return end + 4;
}

bool WebSocketClient::startInflate(std::string_view response)
{
    std::string_view line = extensionLine(response);
    if (line.find("permessage-deflate") == std::string_view::npos) {
        return false;
    }

    resetInflate_ =
        line.find("server_no_context_takeover") != std::string_view::npos;
    if (inflate_ == nullptr) {
        inflate_ = new z_stream();
        inflateInit2(inflate_, -15);
    } else {
        inflateReset(inflate_);
    }
    return true;
}

size_t WebSocketClient::readFrame(std::string_view bytes)
{
    if (bytes.size() < 2) {
        return 0;
    }

    auto byte = [&](size_t i) {
        return static_cast<uint8_t>(bytes[i]);
    };
    size_t header = 2;
    uint64_t length = byte(1) & 0x7f;
    if (length >= 126) {
        size_t wide = length == 126 ? 2 : 8;
        header += wide;
        if (bytes.size() < header) {
            return 0;
        }
        length = 0;
        for (size_t i = 0; i < wide; i++) {
            length = length << 8 | byte(2 + i);
        }
    }
    if (bytes.size() - header < length) {
        return 0;
    }

    onFrame(byte(0), bytes.substr(header, length));
    return header + length;
}

void WebSocketClient::onFrame(uint8_t first, std::string_view payload)
{
    switch (first & 0x8f) {
    case 0x81:
        onText(first & 0x40 ? inflateText(payload) : payload);
        break;
    case 0x88:
        abort();
        onEnd("close frame" +
              (payload.size() < 2
                   ? std::string()
                   : " " +
                         std::to_string(static_cast<uint8_t>(payload[0]) * 256 +
                                        static_cast<uint8_t>(payload[1])) +
                         " " + std::string(payload.substr(2))));
        break;
    case 0x89:
        sendFrame(0xa, payload);
        break;
    case 0x8a:
        sink_.onPong(*this);
        break;
    default:
        sink_.onError(*this, "unexpected frame " + std::to_string(first));
    }
}

std::string_view WebSocketClient::inflateText(std::string_view payload)
{
    static char out[4 << 20];
    static std::string in;

    if (inflate_ == nullptr) {
        return {};
    }
    in.assign(payload);
    in.append("\x00\x00\xff\xff", 4);
    inflate_->next_in = reinterpret_cast<Bytef*>(in.data());
    inflate_->avail_in = static_cast<uInt>(in.size());
    inflate_->next_out = reinterpret_cast<Bytef*>(out);
    inflate_->avail_out = sizeof(out);
    int result = inflate(inflate_, Z_SYNC_FLUSH);
    if (result != Z_OK && result != Z_BUF_ERROR) {
        sink_.onError(*this, "a compressed message cannot be read");
    }
    std::string_view text(out, sizeof(out) - inflate_->avail_out);
    if (resetInflate_) {
        inflateReset(inflate_);
    }
    return text;
}

void WebSocketClient::sendFrame(uint8_t opcode, std::string_view payload)
{
    static std::string frame;

    frame.clear();
    frame += static_cast<char>(0x80 | opcode);
    if (payload.size() < 126) {
        frame += static_cast<char>(0x80 | payload.size());
    } else if (payload.size() < 65536) {
        frame += static_cast<char>(0x80 | 126);
        frame += static_cast<char>(payload.size() >> 8);
        frame += static_cast<char>(payload.size());
    } else {
        frame += static_cast<char>(0x80 | 127);
        for (int shift = 56; shift >= 0; shift -= 8) {
            frame += static_cast<char>(payload.size() >> shift);
        }
    }
    frame.append(reinterpret_cast<const char*>(kMask), 4);
    size_t start = frame.size();
    frame.append(payload);
    mask(frame.data() + start, payload.size());
    write(frame);
}

}  // namespace bench
