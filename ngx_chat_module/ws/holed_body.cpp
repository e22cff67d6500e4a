#include "holed_body.hpp"

namespace chat::ws {

bool HoledBody::build(Deflater& deflater, std::string_view body,
                      const std::uint32_t* offsets, std::size_t holes)
{
    pieces_.clear();
    holes_ = 0;
    if (holes > kMaxHoles) {
        return false;
    }
    std::size_t from = 0;
    for (std::size_t i = 0; i < holes; ++i) {
        if (!deflater.piece(body.substr(from, offsets[i] - from), pieces_)) {
            return false;
        }
        ends_[i] = static_cast<std::uint32_t>(pieces_.size());
        from = offsets[i];
    }
    if (!deflater.piece(body.substr(from), pieces_)) {
        return false;
    }
    holes_ = holes;
    return true;
}

unsigned char* HoledBody::putStored(unsigned char* out, std::string_view text)
{
    auto length = static_cast<std::uint16_t>(text.size());
    auto inverted = static_cast<std::uint16_t>(~length);
    *out++ = static_cast<unsigned char>(length & 0xff);
    *out++ = static_cast<unsigned char>(length >> 8);
    *out++ = static_cast<unsigned char>(inverted & 0xff);
    *out++ = static_cast<unsigned char>(inverted >> 8);
    return copy(out, text.data(), text.size());
}

void HoledBody::release()
{
    pieces_.release();
    holes_ = 0;
}

}  // namespace chat::ws
