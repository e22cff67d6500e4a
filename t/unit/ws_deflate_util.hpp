// A client's side of permessage-deflate on bare zlib, so that the tests do not
// take ngx_chat_module/ws at its own word.

#pragma once

#include <string>
#include <string_view>

#include <zlib.h>

#include "t/unit/ws_test_util.hpp"

namespace wstest {

// Inflates byte by byte, so that zlib's window is the only memory that a
// distance can reach: data for a larger window fails.
class PeerInflater {
  public:
    explicit PeerInflater(int windowBits)
    {
        ck_assert_int_eq(inflateInit2(&stream_, -windowBits), Z_OK);
    }
    ~PeerInflater() { inflateEnd(&stream_); }

    std::string message(std::string_view payload)
    {
        std::string in = std::string(payload) + bytes({0, 0, 0xff, 0xff});
        std::string out;
        stream_.next_in = reinterpret_cast<Bytef*>(in.data());
        stream_.avail_in = static_cast<uInt>(in.size());
        for (;;) {
            unsigned char byte;
            stream_.next_out = &byte;
            stream_.avail_out = 1;
            int status = inflate(&stream_, Z_SYNC_FLUSH);
            if (status != Z_OK && status != Z_BUF_ERROR) {
                return "inflate failed";
            }
            if (stream_.avail_out != 0) {
                return out;
            }
            out.push_back(static_cast<char>(byte));
        }
    }

    void forget() { inflateReset(&stream_); }

  private:
    z_stream stream_ = {};
};

class PeerDeflater {
  public:
    explicit PeerDeflater(int windowBits = 15, int level = 6)
    {
        ck_assert_int_eq(deflateInit2(&stream_, level, Z_DEFLATED, -windowBits,
                                      8, Z_DEFAULT_STRATEGY),
                         Z_OK);
    }
    ~PeerDeflater() { deflateEnd(&stream_); }

    std::string message(std::string_view text)
    {
        if (text.empty()) {
            return bytes({0});
        }
        std::string out(text.size() + text.size() / 8 + 100, '\0');
        stream_.next_in =
            reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
        stream_.avail_in = static_cast<uInt>(text.size());
        stream_.next_out = reinterpret_cast<Bytef*>(out.data());
        stream_.avail_out = static_cast<uInt>(out.size());
        ck_assert_int_eq(deflate(&stream_, Z_SYNC_FLUSH), Z_OK);
        out.resize(out.size() - stream_.avail_out - 4);
        return out;
    }

  private:
    z_stream stream_ = {};
};

// Bytes that cannot be compressed.
inline std::string noise(std::size_t size, std::uint32_t seed = 1)
{
    std::string out;
    for (std::size_t i = 0; i < size; ++i) {
        seed = seed * 1664525U + 1013904223U;
        out.push_back(static_cast<char>(seed >> 24));
    }
    return out;
}

// Text that refers back over all distances up to its size.
inline std::string sentences(std::size_t size)
{
    std::string out;
    for (std::uint32_t i = 0; out.size() < size; ++i) {
        out += "message " + std::to_string(i * 7919 % 1013) + " to chat " +
               std::to_string(i % 17) + "; ";
    }
    return out.substr(0, size);
}

}  // namespace wstest
