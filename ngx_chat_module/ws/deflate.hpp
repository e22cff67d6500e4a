// permessage-deflate (RFC 7692): what a location allows, what a session has
// agreed on, and the two compressors of zlib behind them.
//
// Memory of one context, made on first use (zlib 1.2 and 1.3):
//   inflating  about 7 KiB + 2^windowBits
//   deflating  about 6 KiB + 4 * 2^windowBits + 512 * 2^memLevel,
//              with a memLevel of at most windowBits - 5
// A side that keeps no context between messages uses one that the whole
// process shares and costs its session nothing.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "buffer.hpp"
#include "fault.hpp"

struct z_stream_s;

namespace chat::ws {

inline constexpr int kMinWindowBits = 8;
inline constexpr int kMaxWindowBits = 15;

// Of a location.
struct DeflateOptions {
    bool enabled = false;
    bool serverContext = false;  // we may keep our context between messages
    bool clientContext = false;  // the client may keep its own
    std::uint8_t serverWindowBits = kMaxWindowBits;  // 8-15, at most
    std::uint8_t clientWindowBits = kMaxWindowBits;  // 8-15, at most
    std::uint8_t level = 6;                          // 1-9
    std::uint8_t memLevel = 6;                       // 1-9
};

// Of a session.
struct DeflateParams {
    bool enabled = false;
    bool serverContext = false;
    bool clientContext = false;
    std::uint8_t serverWindowBits = kMaxWindowBits;
    std::uint8_t clientWindowBits = kMaxWindowBits;
    bool nameServerWindow = false;  // the response names the window because
    bool nameClientWindow = false;  // the offer did
};

// Heap bytes that one context takes at most.
std::size_t inflaterMemory(int windowBits);
std::size_t deflaterMemory(int windowBits, int memLevel);

// Inflates messages. Not movable: zlib points back at its stream.
class Inflater {
  public:
    // Null: no memory.
    static Inflater* create(int windowBits);
    ~Inflater();
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    // Appends what `data` inflates to. Never more than `limit` + 1 bytes stand
    // in `out`: at `limit` + 1 it stops with MessageTooBig, whatever the rest
    // would have become. `data` is not changed.
    Fault feed(const unsigned char* data, std::size_t size, Buffer& out,
               std::size_t limit);

    // The message's last byte has been fed. InvalidCompressedData: it does not
    // end where RFC 7692 section 7.2.1 wants it to.
    Fault finish(Buffer& out, std::size_t limit);

    // Forgets all history: the next message stands for itself.
    void reset();

  private:
    explicit Inflater(z_stream_s* stream) : stream_(stream) {}
    Fault run(Buffer& out, std::size_t limit);

    z_stream_s* stream_;
};

// Deflates messages.
class Deflater {
  public:
    // windowBits 8-15; null: no memory.
    static Deflater* create(int windowBits, int level, int memLevel);
    ~Deflater();
    Deflater(const Deflater&) = delete;
    Deflater& operator=(const Deflater&) = delete;

    // Appends the payload of one compressed message (RFC 7692 section 7.2.1),
    // which may refer to the messages before it since the last forget(). False:
    // no memory; `out` is then as before and the history is forgotten.
    bool message(std::string_view in, Buffer& out);

    // The same, cut off from what stands before and after it, so that foreign
    // bytes may be put between this piece and the next.
    bool piece(std::string_view in, Buffer& out);

    void forget();

  private:
    explicit Deflater(z_stream_s* stream) : stream_(stream) {}
    bool run(std::string_view in, int flush, Buffer& out);

    z_stream_s* stream_;
};

// The contexts that all sessions of a process share because they keep nothing
// between two messages. One object per process; it is not thread safe. Grows to
// one inflater and one deflater per window size and setting in use.
class DeflatePool {
  public:
    DeflatePool() = default;
    ~DeflatePool();
    DeflatePool(const DeflatePool&) = delete;
    DeflatePool& operator=(const DeflatePool&) = delete;

    // Reset and ready for one message that is there as a whole; null: no
    // memory. The pool keeps it.
    Inflater* inflater();
    Deflater* deflater(int windowBits, int level, int memLevel);

  private:
    struct Entry {
        Entry* next;
        Deflater* deflater;
        int windowBits;
        int level;
        int memLevel;
    };

    Inflater* inflater_ = nullptr;
    Entry* deflaters_ = nullptr;
};

// The sending side of one session: 16 bytes until a context has to be kept.
class Compressor {
  public:
    enum class Result : std::uint8_t {
        Compressed,  // payload of a frame with RSV1 stands in `out`
        Raw,         // no gain: send the message as it is, without RSV1
        NoMemory,    // likewise; sending it as it is stays correct
    };

    Compressor() = default;
    ~Compressor() { delete own_; }
    Compressor(const Compressor&) = delete;
    Compressor& operator=(const Compressor&) = delete;

    // After the handshake, once.
    void start(const DeflateParams& params) { params_ = params; }
    const DeflateParams& params() const { return params_; }

    // Appends the compressed message to `out` (unchanged unless Compressed).
    Result compress(const DeflateOptions& options, DeflatePool& pool,
                    std::string_view message, Buffer& out);

  private:
    Result compressKeeping(const DeflateOptions& options,
                           std::string_view message, Buffer& out);

    Deflater* own_ = nullptr;
    DeflateParams params_;
};

}  // namespace chat::ws
