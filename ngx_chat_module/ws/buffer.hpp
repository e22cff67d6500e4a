// A growable run of bytes that never throws and gives its memory back.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace chat::ws {

// 16 bytes when empty, no heap. Holds less than 4 GiB. Move only.
class Buffer {
  public:
    Buffer() = default;
    ~Buffer() { release(); }
    Buffer(Buffer&& other) noexcept;
    Buffer& operator=(Buffer&& other) noexcept;

    unsigned char* data() { return data_; }
    const unsigned char* data() const { return data_; }
    std::size_t size() const { return size_; }
    std::size_t capacity() const { return capacity_; }
    bool empty() const { return size_ == 0; }
    std::string_view view() const
    {
        return {reinterpret_cast<const char*>(data_), size_};
    }

    // Makes room for `more` bytes behind size(). Grows at least by half so
    // that repeated appends are cheap, but not beyond `limit` bytes of
    // capacity where the need itself is not beyond it. False: no memory,
    // nothing changed.
    bool reserve(std::size_t more, std::size_t limit = UINT32_MAX);

    // Copies; false: no memory, nothing changed.
    bool append(const void* bytes, std::size_t size,
                std::size_t limit = UINT32_MAX);

    // Sets the size within the capacity; bytes written into the reserved room
    // count from then on.
    void resize(std::size_t size) { size_ = static_cast<std::uint32_t>(size); }

    void clear() { size_ = 0; }  // keeps the memory
    void release();              // gives it back

  private:
    unsigned char* data_ = nullptr;
    std::uint32_t size_ = 0;
    std::uint32_t capacity_ = 0;
};

}  // namespace chat::ws
