// The frame decoder: whatever the bytes, it gives the same frames however they
// are cut, and frames that were encoded come back as they were.

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "ngx_chat_module/ws/decoder.hpp"
#include "ngx_chat_module/ws/mask.hpp"
#include "t/fuzz/ws_fuzz_util.hpp"

using namespace chat::ws;

namespace {

// Everything the decoder said, in bytes that do not depend on the cuts.
struct Record {
    std::string frames;
    Fault fault = Fault::None;
    std::size_t taken = 0;
};

void note(Record& record, const Chunk& chunk)
{
    if (chunk.frameStart) {
        record.frames += static_cast<char>(chunk.opcode);
        record.frames += chunk.compressed ? 'C' : 'P';
    }
    record.frames.append(reinterpret_cast<char*>(chunk.data), chunk.size);
    if (chunk.frameEnd) {
        record.frames += chunk.messageEnd ? "\nM" : "\nF";
    }
}

Record decode(std::string_view input, std::uint32_t cuts, const Limits& limits,
              bool compression)
{
    Record record;
    Decoder decoder;
    wsfuzz::forEachPiece(
        input, cuts, [&](unsigned char* pos, unsigned char* end) {
            unsigned char* begin = pos;
            for (;;) {
                Chunk chunk;
                Decoder::Result result =
                    decoder.next(limits, compression, pos, end, chunk);
                wsfuzz::require(pos >= begin && pos <= end);
                if (result == Decoder::Result::Chunk) {
                    wsfuzz::require(chunk.data + chunk.size == pos);
                    wsfuzz::require(chunk.frameEnd == (chunk.remaining == 0));
                    note(record, chunk);
                    continue;
                }
                record.fault = decoder.fault();
                record.taken += static_cast<std::size_t>(pos - begin);
                bool failed = result == Decoder::Result::Fault;
                wsfuzz::require(failed == (record.fault != Fault::None));
                wsfuzz::require(failed || pos == end);
                return !failed;
            }
        });
    return record;
}

// The input as the payload of one masked frame: it must come back.
void roundTrip(std::string_view payload, std::uint32_t cuts)
{
    std::string sent(kMaxServerHeader, '\0');
    auto* header = reinterpret_cast<unsigned char*>(sent.data());
    sent.resize(encodeHeader(header, Opcode::Binary, payload.size()));
    sent[1] = static_cast<char>(sent[1] | kMaskBit);
    std::string masked(payload);
    applyMask(reinterpret_cast<unsigned char*>(masked.data()), masked.size(),
              cuts);
    sent.append(reinterpret_cast<const char*>(&cuts), 4).append(masked);

    Limits limits;
    limits.maxMessage = 1 << 20;
    Record got = decode(sent, cuts, limits, false);
    std::string wanted = "\x02P" + std::string(payload) + "\nM";
    wsfuzz::require(got.fault == Fault::None && got.frames == wanted);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    wsfuzz::Input input(data, size);
    std::uint32_t cuts = input.number();
    std::uint8_t flags = input.byte();
    Limits limits;
    limits.maxMessage = (flags & 1) != 0 ? 100 : 100000;
    limits.maxFragments = (flags & 2) != 0 ? 3 : 0;
    bool compression = (flags & 4) != 0;

    Record whole = decode(input.rest(), 0, limits, compression);
    for (std::uint32_t seed : {1U, cuts | 2U}) {
        Record cut = decode(input.rest(), seed, limits, compression);
        wsfuzz::require(cut.fault == whole.fault);
        wsfuzz::require(cut.frames == whole.frames);
        wsfuzz::require(cut.taken == whole.taken);
    }
    roundTrip(input.rest(), cuts | 2U);
    return 0;
}
