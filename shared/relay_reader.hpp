// Takes the byte stream of a relay connection apart into frames.
//
//     reader.feed(bytes);
//     while (reader.next(&frame) == Reader::Status::Frame) { ... }
//
// A frame that lies whole in the bytes fed is returned as a view into them;
// only a frame that is split over two feeds is put together in a buffer of
// the reader. That buffer grows with what arrives, never by a length that was
// merely declared.
//
// The reader enforces what docs/relay-protocol.md says of every frame: HELLO
// first and only once, with our magic and version; the length bounds; kinds
// that exist and travel in this direction; payloads not shorter than their
// fixed part. Fields inside a payload are checked by the decoders in
// relay_payload.hpp and relay_fanout.hpp.
//
// Throws nothing. Not thread-safe.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "shared/relay_format.hpp"
#include "shared/relay_payload.hpp"

namespace chat::relay {

// Which end of the relay is reading.
enum class Side : std::uint8_t { Nginx, Worker };

enum class Error : std::uint8_t {
    None,
    NotHello,      // the first frame is not a HELLO
    BadHello,      // wrong magic, malformed or repeated HELLO
    Version,       // a HELLO of a version that we do not speak
    TooLong,       // a payload over the bound
    UnknownKind,   // a kind that does not exist
    Direction,     // a kind that does not travel this way
    ShortPayload,  // a payload shorter than its fixed part
    Malformed,     // fields that contradict each other, see reject()
    NoMemory,
};

// A short English text for log lines; never null.
const char* errorText(Error error);

class Reader {
  public:
    enum class Status : std::uint8_t { Frame, More, Failed };

    // maxPayload: what our own HELLO announces, kMinPayload to kMaxPayload.
    Reader(Side side, std::uint32_t maxPayload)
        : side_(side), maxPayload_(maxPayload)
    {
    }

    // Hands over bytes as they came from the socket. They must stay where
    // they are until next() has returned More or Failed; feeding again before
    // that is a mistake of the caller (asserted).
    void feed(std::string_view bytes);

    // Frame: *out is the next frame. Its payload is valid until the next call
    //        of next(), or as long as the bytes fed, whichever ends first.
    // More: everything was consumed, feed again.
    // Failed: the stream is unusable, see error(); final.
    Status next(Frame* out);

    // For a caller whose decoder has refused a frame: makes the reader fail.
    void reject(Error error) { error_ = error; }

    Error error() const { return error_; }

    // The peer's HELLO was read and accepted.
    bool helloSeen() const { return helloSeen_; }

    // What the peer announced (0 before its HELLO): the largest payload that
    // may be sent to it.
    std::uint32_t peerMaxPayload() const { return peerMaxPayload_; }
    std::uint64_t peerInstance() const { return peerInstance_; }

    // Bytes of an unfinished frame that the reader holds.
    std::size_t buffered() const { return partial_.size(); }

  private:
    Status keepTail();
    bool fill(std::size_t size);
    bool parseHeader(const char* from, Frame* out, std::uint32_t* length);
    bool checkFrame(const Frame& frame);
    Status refuse(Error error);

    Side side_;
    Error error_ = Error::None;
    bool helloSeen_ = false;
    bool partialDone_ = false;  // partial_ was returned as a frame
    std::uint32_t maxPayload_;
    std::uint32_t peerMaxPayload_ = 0;
    std::uint64_t peerInstance_ = 0;
    std::string_view input_;  // fed and not yet consumed
    std::string partial_;     // the beginning of a frame, from earlier feeds
};

}  // namespace chat::relay
