// The relay reader and the payload decoders. Whatever the bytes and however
// they are cut, the reader gives the same frames and the same error.
//
// Input: one byte for the reading side, one for the size of the pieces, then
// the stream.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "shared/relay_bytes.hpp"
#include "shared/relay_fanout.hpp"
#include "shared/relay_reader.hpp"
#include "shared/relay_writer.hpp"

using namespace chat::relay;

namespace {

constexpr std::uint32_t kBound = 2048;

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

template <typename T>
bool decodes(const Frame& frame)
{
    T out;
    return decode(frame, &out);
}

// Decodes the payload; false if it is malformed.
bool accept(const Frame& frame)
{
    FanoutView fanout;

    switch (frame.kind) {
    case Kind::Hello:
        return decodes<Hello>(frame);
    case Kind::Attach:
        return decodes<Attach>(frame);
    case Kind::Send:
        return decodes<Send>(frame);
    case Kind::Request:
        return decodes<Request>(frame);
    case Kind::Response:
        return decodes<Response>(frame);
    case Kind::Fanout:
        return fanout.parse(frame.payload);
    default:
        return true;
    }
}

struct Outcome {
    std::string frames;  // as they would be written again
    Error error = Error::None;

    bool operator==(const Outcome& other) const
    {
        return frames == other.frames && error == other.error;
    }
};

Outcome read(std::string_view stream, Side side, std::size_t piece)
{
    Outcome outcome;
    Reader reader(side, kBound);

    while (!stream.empty() && reader.error() == Error::None) {
        std::size_t size = std::min(piece, stream.size());
        std::vector<char> memory(stream.begin(), stream.begin() + size);
        stream.remove_prefix(size);
        reader.feed({memory.data(), memory.size()});

        Frame frame;
        while (reader.next(&frame) == Reader::Status::Frame) {
            require(frame.payload.size() <= kBound);
            require(frame.payload.size() >=
                    minPayload(frame.kind, frame.flags));
            appendFrame(&outcome.frames, frame.kind, frame.flags, frame.code,
                        frame.id, frame.payload);
            if (!accept(frame)) {
                reader.reject(Error::Malformed);
            }
        }
        require(reader.buffered() <= kHeaderSize + kBound);
    }
    outcome.error = reader.error();
    return outcome;
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    if (size < 2) {
        return 0;
    }

    Side side = (data[0] & 1) != 0 ? Side::Nginx : Side::Worker;
    std::size_t piece = 1 + data[1];
    std::string_view stream(reinterpret_cast<const char*>(data) + 2, size - 2);

    Outcome whole = read(stream, side, stream.size());
    require(whole.frames == stream.substr(0, whole.frames.size()));
    require(read(stream, side, piece) == whole);
    require(read(stream, side, 1) == whole);
    return 0;
}
