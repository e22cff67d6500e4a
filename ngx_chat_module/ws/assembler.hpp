// Message layer of the receiving side: bytes of a client in, whole messages and
// control frames out. Zero copy when a message lies in the caller's buffer as a
// whole; else its bytes are collected on the heap as they arrive, never by a
// length that was merely declared, and at most Limits::maxMessage of them.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "decoder.hpp"
#include "deflate.hpp"
#include "utf8.hpp"

namespace chat::ws {

// Of a location; must outlive its sessions.
struct ReceiveOptions {
    Limits limits;
    DeflatePool* pool = nullptr;  // needed where compression is negotiated
};

struct Event {
    enum class Type : std::uint8_t {
        None,    // all bytes are taken, nothing more to tell
        Text,    // data: the message, valid UTF-8
        Binary,  // data: the message
        Ping,    // data: what a pong must repeat
        Pong,    // data: its payload
        Close,   // code (kCloseNoStatus without one), data: the reason
        Fault,   // fault, code: to close with
    };

    Type type = Type::None;
    Fault fault = Fault::None;
    std::uint16_t code = 0;
    bool compressed = false;  // Text, Binary: came deflated
    std::uint32_t wire = 0;   // Text, Binary: payload bytes before inflating
    std::string_view data;
};

// 72 bytes, no heap while no message is in progress (but the client's deflate
// context where one was agreed on and used).
class Assembler {
  public:
    // `options` must stay for as long as the object does.
    explicit Assembler(const ReceiveOptions* options,
                       const DeflateParams& deflate = DeflateParams());
    ~Assembler();
    Assembler(const Assembler&) = delete;
    Assembler& operator=(const Assembler&) = delete;

    // Call with [pos, end) = the bytes received, until it returns Type::None;
    // it moves pos. The bytes are changed in place. Event::data points into
    // them or into memory of this object and is good until the next call. After
    // Close and Fault whatever else comes is taken and ignored.
    Event next(unsigned char*& pos, unsigned char* end);

    // Close or Fault has been returned.
    bool ended() const { return ended_; }

    // Frame headers received; wraps around.
    std::uint32_t frames() const { return decoder_.frames(); }

  private:
    friend struct AssemblerMemory;  // in the tests

    struct Partial {
        Buffer message;  // inflated where it came deflated
        Buffer packed;   // compressed bytes that wait for the message's end
        Buffer control;  // a control frame that is not all there
        bool delivered = false;  // the last event pointed into `message`
        bool controlDelivered = false;
    };

    bool onChunk(const Chunk& chunk, Event& event);
    bool onControl(const Chunk& chunk, Event& event);
    bool onData(const Chunk& chunk, Event& event);
    Fault onPlain(const Chunk& chunk, std::string_view& message);
    Fault onCompressed(const Chunk& chunk, std::string_view& message);
    Fault inflateRun(const Chunk& chunk, std::string_view run);
    Fault checkText(const Chunk& chunk, const unsigned char* data,
                    std::size_t size);
    Fault readClose(std::string_view payload, Event& event);
    bool fail(Fault fault, Event& event);
    bool needPartial();
    Inflater* needInflater();
    void dropDelivered();
    void dropAll();

    Decoder decoder_;
    const ReceiveOptions* options_;
    Partial* partial_ = nullptr;
    Inflater* inflater_ = nullptr;  // the client's kept context
    Utf8Checker utf8_;
    std::uint8_t windowBits_;
    bool compression_ : 1;
    bool keepsContext_ : 1;
    bool ended_ : 1;
};

}  // namespace chat::ws
