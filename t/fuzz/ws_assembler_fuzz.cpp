// The message assembler with permessage-deflate: the same events however the
// bytes are cut, never more memory than the limits allow, only valid UTF-8, and
// what our own compressor makes of the input comes back.

#include <cstdint>
#include <string>
#include <string_view>

#include "ngx_chat_module/ws/close_code.hpp"
#include "ngx_chat_module/ws/holed_body.hpp"
#include "ngx_chat_module/ws/mask.hpp"
#include "t/fuzz/ws_fuzz_util.hpp"
#include "t/unit/ws_assembler_memory.hpp"

using namespace chat::ws;

namespace {

DeflatePool& pool()
{
    static DeflatePool instance;
    return instance;
}

void check(const Event& event, const ReceiveOptions& options)
{
    switch (event.type) {
    case Event::Type::Text:
        wsfuzz::require(isUtf8(event.data));
        [[fallthrough]];
    case Event::Type::Binary:
        wsfuzz::require(event.data.size() <= options.limits.maxMessage);
        wsfuzz::require(event.compressed || event.wire == event.data.size());
        break;
    case Event::Type::Close:
        wsfuzz::require(event.code == kCloseNoStatus ||
                        closeCodeAllowed(event.code));
        wsfuzz::require(isUtf8(event.data));
        break;
    case Event::Type::Fault:
        wsfuzz::require(event.code == closeCodeOf(event.fault));
        wsfuzz::require(event.fault != Fault::NoMemory);
        break;
    default:
        wsfuzz::require(event.data.size() <= kMaxControlPayload);
    }
}

std::string record(const Event& event)
{
    std::string out(1, static_cast<char>(event.type));
    out += std::to_string(static_cast<int>(event.fault)) + "," +
           std::to_string(event.code) + "," + std::to_string(event.wire) + "," +
           std::to_string(event.data.size()) + ":";
    return out.append(event.data);
}

std::string receive(std::string_view input, std::uint32_t cuts,
                    const ReceiveOptions& options, const DeflateParams& params)
{
    std::string events;
    Assembler assembler(&options, params);
    std::size_t most = 2 * maxCompressed(options.limits.maxMessage) + 4096;
    wsfuzz::forEachPiece(input, cuts,
                         [&](unsigned char* pos, unsigned char* end) {
                             for (;;) {
                                 Event event = assembler.next(pos, end);
                                 wsfuzz::require(held(assembler) <= most);
                                 if (event.type == Event::Type::None) {
                                     wsfuzz::require(pos == end);
                                     return true;
                                 }
                                 check(event, options);
                                 events += record(event);
                             }
                         });
    return events;
}

std::string clientFrame(std::string_view payload, bool compressed)
{
    unsigned char header[kMaxServerHeader];
    std::size_t size =
        encodeHeader(header, Opcode::Binary, payload.size(), compressed);
    header[1] |= kMaskBit;
    std::string out(reinterpret_cast<char*>(header), size);
    out.append(4, '\0');
    return out.append(payload);
}

// Two messages of the input through our compressor and back.
void roundTrip(std::string_view payload, std::uint32_t cuts,
               DeflateParams params, const DeflateOptions& options)
{
    params.enabled = true;
    Compressor compressor;
    compressor.start(params);
    std::string sent;
    std::string wanted;
    for (int i = 0; i < 2; ++i) {
        Buffer packed;
        Compressor::Result result =
            compressor.compress(options, pool(), payload, packed);
        wsfuzz::require(result != Compressor::Result::NoMemory);
        bool compressed = result == Compressor::Result::Compressed;
        sent += clientFrame(compressed ? packed.view() : payload, compressed);
        wanted += std::string(payload) + "|";
    }
    ReceiveOptions receiveOptions{{1 << 20, 0}, &pool()};
    params.clientContext = params.serverContext;
    params.clientWindowBits = params.serverWindowBits;
    Assembler assembler(&receiveOptions, params);
    std::string got;
    wsfuzz::forEachPiece(
        sent, cuts, [&](unsigned char* pos, unsigned char* end) {
            for (;;) {
                Event event = assembler.next(pos, end);
                if (event.type == Event::Type::None) {
                    return true;
                }
                wsfuzz::require(event.type == Event::Type::Binary);
                got += std::string(event.data) + "|";
            }
        });
    wsfuzz::require(got == wanted);
}

// The input as a body with holes that the input itself fills.
void holes(std::string_view body, std::uint32_t cuts,
           const DeflateParams& params)
{
    std::uint32_t offsets[2] = {
        static_cast<std::uint32_t>(cuts % (body.size() + 1)),
        static_cast<std::uint32_t>(body.size())};
    std::string_view text = body.substr(0, cuts % 300);
    Deflater* deflater = pool().deflater(params.serverWindowBits, 6, 8);
    HoledBody holed;
    wsfuzz::require(deflater != nullptr &&
                    holed.build(*deflater, body, offsets, 2));
    std::string packed(holed.size(2 * text.size()), '\0');
    auto* out = reinterpret_cast<unsigned char*>(packed.data());
    wsfuzz::require(holed.write(out, [&](std::size_t) { return text; }) ==
                    out + packed.size());

    Inflater* inflater = pool().inflater();
    Buffer got;
    std::string wanted =
        std::string(body.substr(0, offsets[0])) + std::string(text) +
        std::string(body.substr(offsets[0])) + std::string(text);
    wsfuzz::require(inflater->feed(out, packed.size(), got, wanted.size()) ==
                        Fault::None &&
                    inflater->finish(got, wanted.size()) == Fault::None);
    wsfuzz::require(got.view() == wanted);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    wsfuzz::Input input(data, size);
    std::uint32_t cuts = input.number();
    std::uint8_t flags = input.byte();
    std::uint8_t bits = input.byte();

    ReceiveOptions options{
        {(flags & 1) != 0 ? 100U : 20000U, (flags & 2) != 0 ? 3U : 0U},
        &pool()};
    DeflateParams params;
    params.enabled = (flags & 4) != 0;
    params.clientContext = (flags & 8) != 0;
    params.serverContext = (flags & 16) != 0;
    params.clientWindowBits = static_cast<std::uint8_t>(8 + bits % 8);
    params.serverWindowBits = static_cast<std::uint8_t>(8 + bits / 8 % 8);
    DeflateOptions deflate;
    deflate.level = static_cast<std::uint8_t>(1 + bits % 9);
    deflate.memLevel = static_cast<std::uint8_t>(1 + bits / 9 % 9);

    std::string whole = receive(input.rest(), 0, options, params);
    for (std::uint32_t seed : {1U, cuts | 2U}) {
        wsfuzz::require(receive(input.rest(), seed, options, params) == whole);
    }
    roundTrip(input.rest(), cuts | 2U, params, deflate);
    holes(input.rest(), cuts, params);
    return 0;
}
