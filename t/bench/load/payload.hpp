// The content of a benchmark message: a stamp that says who sent it, as which
// message and when it was due, then text that the receiver compares byte by
// byte. Plain ASCII without quotes or backslashes, so that every protocol
// carries it unescaped and it can be compared where it stands.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace bench {

struct Stamp {
    uint32_t number = 0;    // of the message, unique in this run
    uint16_t sender = 0;    // index of the sender within its group
    uint32_t sequence = 0;  // 1, 2, 3, ... per sender
    int64_t due = 0;        // monotonic ns at which it should have been sent
};

constexpr size_t kStampLength = 40;

// `size` is the length of the content; less than a stamp is made a stamp.
std::string makeContent(const Stamp& stamp, size_t size);

// False when the stamp cannot be read or the text after it was changed.
bool readContent(std::string_view content, Stamp* stamp);

}  // namespace bench
