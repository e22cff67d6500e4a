#include "ngx_chat_module/deflate.hpp"

#include <cstring>

#include "ngx_chat_module/output.hpp"

namespace chat {

namespace {

// Reused from message to message; given back when one was very large.
constexpr std::size_t kKeep = 256U << 10;

ws::Buffer& scratch()
{
    static ws::Buffer buffer;
    if (buffer.capacity() > kKeep) {
        buffer.release();
    }
    buffer.clear();
    return buffer;
}

ws::HoledBody& holedBody()
{
    static ws::HoledBody body;
    return body;
}

ws::HoledBody& nextHoledBody()
{
    ws::HoledBody& body = holedBody();
    if (body.size(0) > kKeep) {
        body.release();
    }
    return body;
}

void countDeflated(std::size_t before, std::size_t after)
{
    counters().deflateIn += before;
    counters().deflateOut += after;
}

}  // namespace

ws::DeflatePool& deflatePool()
{
    static ws::DeflatePool pool;
    return pool;
}

std::string_view deflateMessage(Session* session, std::string_view message,
                                bool* deflated)
{
    const LocConf* conf = session->conf;
    *deflated = false;

    if (message.size() < conf->compressionMinLength) {
        return message;
    }

    ws::Buffer& out = scratch();
    auto result = session->compressor.compress(conf->deflate, deflatePool(),
                                               message, out);
    if (result != ws::Compressor::Result::Compressed) {
        return message;
    }

    *deflated = true;
    countDeflated(message.size(), out.size());
    return out.view();
}

bool DeflatedFanout::build(const Session* session)
{
    if (built_ == Built::NotYet) {
        built_ = Built::Failed;
        windowBits_ = session->compressor.params().serverWindowBits;

        const ws::DeflateOptions& options = session->conf->deflate;
        ws::Deflater* deflater = deflatePool().deflater(
            windowBits_, options.level, options.memLevel);

        std::uint32_t offsets[relay::kMaxHoles];
        std::size_t offset = 0;
        for (std::size_t i = 0; i < fanout_.holes(); ++i) {
            offset += fanout_.piece(i).size();
            offsets[i] = static_cast<std::uint32_t>(offset);
        }

        if (deflater != nullptr &&
            nextHoledBody().build(*deflater, fanout_.body(), offsets,
                                  fanout_.holes())) {
            built_ = Built::Done;
        }
    }
    return built_ == Built::Done;
}

bool DeflatedFanout::shares(const Session* session) const
{
    const ws::DeflateParams& params = session->compressor.params();
    return !params.serverContext && params.serverWindowBits >= windowBits_;
}

// With a context that is kept, or with a smaller window, each for itself.
bool DeflatedFanout::writeOwn(Session* session,
                              const relay::FanoutView::Recipient& to,
                              ws::Opcode opcode)
{
    static ws::Buffer whole;
    whole.clear();
    if (!whole.reserve(to.messageSize())) {
        return false;
    }

    to.compose(reinterpret_cast<char*>(whole.data()));
    whole.resize(to.messageSize());
    sendMessage(session, whole.view(), opcode == ws::Opcode::Binary);

    if (whole.capacity() > kKeep) {
        whole.release();
    }
    return true;
}

bool DeflatedFanout::write(Session* session,
                           const relay::FanoutView::Recipient& to,
                           ws::Opcode opcode)
{
    if (to.messageSize() < session->conf->compressionMinLength) {
        return false;
    }
    if (session->compressor.params().serverContext) {
        return writeOwn(session, to, opcode);
    }
    if (!build(session)) {
        return false;
    }
    if (!shares(session)) {
        return writeOwn(session, to, opcode);
    }

    const ws::HoledBody& body = holedBody();
    std::size_t size = body.size(to.messageSize() - fanout_.body().size());
    if (size >= to.messageSize()) {
        return false;
    }

    std::size_t header = ws::headerSize(size);
    unsigned char* room = reserve(session, header + size);
    if (room == nullptr) {
        return true;
    }

    ws::encodeHeader(room, opcode, size, true);
    const char* text = to.texts();
    body.write(room + header, [&](std::size_t hole) {
        std::string_view view(text, to.textSize(hole));
        text += view.size();
        return view;
    });
    commit(session, header + size);

    countDeflated(to.messageSize(), size);
    ++session->messagesOut;
    ++counters().messagesOut;
    return true;
}

}  // namespace chat
