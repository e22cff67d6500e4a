#include "deflate.hpp"

#include <zlib.h>

#include <algorithm>
#include <new>

namespace chat::ws {
namespace {

// What zlib writes at the end of a flush and RFC 7692 section 7.2.1 leaves out.
constexpr unsigned char kFlushTail[4] = {0x00, 0x00, 0xff, 0xff};

// A stored block's header that has nothing yet behind it: with kFlushTail an
// empty block. The whole of an empty message (section 7.2.3.6).
constexpr unsigned char kEmptyMessage = 0x00;

// data_type of zlib's inflate: stopped between two blocks.
constexpr int kBetweenBlocks = 128;
constexpr int kUnusedBits = 63;

// zlib's own state and ours beside the window, rounded up.
constexpr std::size_t kInflateState = 7680;
constexpr std::size_t kDeflateState = 6656;

// zlib has no raw deflate with 8 bits. What it does with 9 suits a window of
// 8: it keeps MIN_LOOKAHEAD (262) bytes away from the window's far end, so that
// no distance is over 512 - 262 = 250.
int zlibWindowBits(int windowBits)
{
    return std::max(windowBits, 9);
}

// A hash table much larger than the window is cleared and moved for nothing:
// measured with 9 bits, memLevel 8 takes five times as long as 4 for 5 % less
// output.
int zlibMemLevel(int windowBits, int memLevel)
{
    return std::min(memLevel, zlibWindowBits(windowBits) - 5);
}

std::size_t firstRoom(std::size_t input)
{
    return std::max<std::size_t>(256, input * 4);
}

}  // namespace

std::size_t inflaterMemory(int windowBits)
{
    return (std::size_t{1} << windowBits) + kInflateState;
}

std::size_t deflaterMemory(int windowBits, int memLevel)
{
    return (std::size_t{4} << zlibWindowBits(windowBits)) +
           (std::size_t{512} << zlibMemLevel(windowBits, memLevel)) +
           kDeflateState;
}

Inflater* Inflater::create(int windowBits)
{
    auto* stream = new (std::nothrow) z_stream();
    if (stream == nullptr) {
        return nullptr;
    }
    if (inflateInit2(stream, -windowBits) == Z_OK) {
        if (auto* inflater = new (std::nothrow) Inflater(stream)) {
            return inflater;
        }
        inflateEnd(stream);
    }
    delete stream;
    return nullptr;
}

Inflater::~Inflater()
{
    inflateEnd(stream_);
    delete stream_;
}

void Inflater::reset()
{
    inflateReset(stream_);
}

// Inflates until the input is used up or the limit is passed.
Fault Inflater::run(Buffer& out, std::size_t limit)
{
    for (;;) {
        if (out.size() > limit) {
            return Fault::MessageTooBig;
        }
        std::size_t most = limit + 1 - out.size();
        if (out.size() == out.capacity() &&
            !out.reserve(std::min(firstRoom(stream_->avail_in), most),
                         limit + 1)) {
            return Fault::NoMemory;
        }
        std::size_t room = std::min(out.capacity() - out.size(), most);
        stream_->next_out = out.data() + out.size();
        stream_->avail_out = static_cast<uInt>(room);
        int status = inflate(stream_, Z_SYNC_FLUSH);
        out.resize(out.size() + room - stream_->avail_out);

        switch (status) {
        case Z_OK:
            break;
        case Z_BUF_ERROR:  // nothing left to do: all input is taken
            return Fault::None;
        case Z_STREAM_END:
            // A block with BFINAL does not end the message (section 7.2.3.4);
            // the window stays.
            inflateResetKeep(stream_);
            break;
        case Z_MEM_ERROR:
            return Fault::NoMemory;
        default:
            return Fault::InvalidCompressedData;
        }
        if (stream_->avail_in == 0 && stream_->avail_out != 0) {
            return Fault::None;
        }
    }
}

Fault Inflater::feed(const unsigned char* data, std::size_t size, Buffer& out,
                     std::size_t limit)
{
    stream_->next_in = const_cast<unsigned char*>(data);
    stream_->avail_in = static_cast<uInt>(size);
    return run(out, limit);
}

Fault Inflater::finish(Buffer& out, std::size_t limit)
{
    Fault fault = feed(kFlushTail, sizeof(kFlushTail), out, limit);
    if (fault != Fault::None) {
        return fault;
    }
    int state = stream_->data_type;
    return (state & kBetweenBlocks) != 0 && (state & kUnusedBits) == 0
               ? Fault::None
               : Fault::InvalidCompressedData;
}

Deflater* Deflater::create(int windowBits, int level, int memLevel)
{
    auto* stream = new (std::nothrow) z_stream();
    if (stream == nullptr) {
        return nullptr;
    }
    if (deflateInit2(stream, level, Z_DEFLATED, -zlibWindowBits(windowBits),
                     zlibMemLevel(windowBits, memLevel),
                     Z_DEFAULT_STRATEGY) == Z_OK) {
        if (auto* deflater = new (std::nothrow) Deflater(stream)) {
            return deflater;
        }
        deflateEnd(stream);
    }
    delete stream;
    return nullptr;
}

Deflater::~Deflater()
{
    deflateEnd(stream_);
    delete stream_;
}

void Deflater::forget()
{
    deflateReset(stream_);
}

// Deflates all of `in` and takes the flush's tail off again.
bool Deflater::run(std::string_view in, int flush, Buffer& out)
{
    std::size_t before = out.size();
    stream_->next_in =
        reinterpret_cast<unsigned char*>(const_cast<char*>(in.data()));
    stream_->avail_in = static_cast<uInt>(in.size());
    do {
        std::size_t bound = deflateBound(stream_, stream_->avail_in) + 16;
        if (!out.reserve(bound)) {
            out.resize(before);
            forget();
            return false;
        }
        std::size_t room = out.capacity() - out.size();
        stream_->next_out = out.data() + out.size();
        stream_->avail_out = static_cast<uInt>(room);
        deflate(stream_, flush);
        out.resize(out.size() + room - stream_->avail_out);
    } while (stream_->avail_out == 0);
    out.resize(out.size() - sizeof(kFlushTail));
    return true;
}

bool Deflater::message(std::string_view in, Buffer& out)
{
    if (in.empty()) {
        return out.append(&kEmptyMessage, 1);
    }
    return run(in, Z_SYNC_FLUSH, out);
}

bool Deflater::piece(std::string_view in, Buffer& out)
{
    if (in.empty()) {
        return out.append(&kEmptyMessage, 1);
    }
    return run(in, Z_FULL_FLUSH, out);
}

DeflatePool::~DeflatePool()
{
    delete inflater_;
    while (deflaters_ != nullptr) {
        Entry* entry = deflaters_;
        deflaters_ = entry->next;
        delete entry->deflater;
        delete entry;
    }
}

Inflater* DeflatePool::inflater()
{
    if (inflater_ == nullptr) {
        inflater_ = Inflater::create(kMaxWindowBits);
    } else {
        inflater_->reset();
    }
    return inflater_;
}

Deflater* DeflatePool::deflater(int windowBits, int level, int memLevel)
{
    windowBits = zlibWindowBits(windowBits);
    for (Entry* entry = deflaters_; entry != nullptr; entry = entry->next) {
        if (entry->windowBits == windowBits && entry->level == level &&
            entry->memLevel == memLevel) {
            entry->deflater->forget();
            return entry->deflater;
        }
    }
    Deflater* deflater = Deflater::create(windowBits, level, memLevel);
    if (deflater == nullptr) {
        return nullptr;
    }
    auto* entry = new (std::nothrow)
        Entry{deflaters_, deflater, windowBits, level, memLevel};
    if (entry == nullptr) {
        delete deflater;
        return nullptr;
    }
    deflaters_ = entry;
    return deflater;
}

Compressor::Result Compressor::compressKeeping(const DeflateOptions& options,
                                               std::string_view message,
                                               Buffer& out)
{
    if (own_ == nullptr) {
        own_ = Deflater::create(params_.serverWindowBits, options.level,
                                options.memLevel);
    }
    if (own_ == nullptr || !own_->message(message, out)) {
        return Result::NoMemory;
    }
    return Result::Compressed;
}

Compressor::Result Compressor::compress(const DeflateOptions& options,
                                        DeflatePool& pool,
                                        std::string_view message, Buffer& out)
{
    if (!params_.enabled) {
        return Result::Raw;
    }
    if (params_.serverContext) {
        return compressKeeping(options, message, out);
    }
    Deflater* deflater = pool.deflater(params_.serverWindowBits, options.level,
                                       options.memLevel);
    std::size_t before = out.size();
    if (deflater == nullptr || !deflater->message(message, out)) {
        return Result::NoMemory;
    }
    if (out.size() - before >= message.size()) {
        out.resize(before);
        return Result::Raw;
    }
    return Result::Compressed;
}

}  // namespace chat::ws
