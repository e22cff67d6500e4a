#include "buffer.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace chat::ws {
namespace {

constexpr std::size_t kSmallest = 128;

}  // namespace

Buffer::Buffer(Buffer&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      capacity_(std::exchange(other.capacity_, 0))
{
}

Buffer& Buffer::operator=(Buffer&& other) noexcept
{
    std::swap(data_, other.data_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
    return *this;
}

bool Buffer::reserve(std::size_t more, std::size_t limit)
{
    if (more <= capacity_ - size_) {
        return true;
    }
    if (more > UINT32_MAX - size_) {
        return false;
    }
    std::size_t need = size_ + more;
    std::size_t wish =
        std::max(capacity_ + capacity_ / std::size_t{2}, kSmallest);
    std::size_t capacity =
        std::max(need, std::min({wish, limit, std::size_t{UINT32_MAX}}));

    void* data = std::realloc(data_, capacity);
    if (data == nullptr) {
        return false;
    }
    data_ = static_cast<unsigned char*>(data);
    capacity_ = static_cast<std::uint32_t>(capacity);
    return true;
}

bool Buffer::append(const void* bytes, std::size_t size, std::size_t limit)
{
    if (size == 0) {
        return true;
    }
    if (!reserve(size, limit)) {
        return false;
    }
    std::memcpy(data_ + size_, bytes, size);
    size_ += static_cast<std::uint32_t>(size);
    return true;
}

void Buffer::release()
{
    std::free(data_);
    data_ = nullptr;
    size_ = 0;
    capacity_ = 0;
}

}  // namespace chat::ws
