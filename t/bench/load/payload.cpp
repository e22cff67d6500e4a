#include "t/bench/load/payload.hpp"

#include <cstring>

namespace bench {

namespace {

constexpr size_t kLongest = 1 << 20;
constexpr size_t kOffsets = 1024;
constexpr std::string_view kMark = "#B#~";

// Words drawn at random: compresses about as chat text does, unlike one
// repeated sentence, which would flatter compression.
std::string makeText()
{
    static constexpr const char* kWords[] = {
        "the",   "meeting", "starts",  "at",    "nine",    "please", "bring",
        "your",  "notes",   "and",     "tell",  "others",  "that",   "we",
        "moved", "to",      "another", "room",  "because", "of",     "noise",
        "from",  "street",  "works",   "today", "thanks",  "see",    "you"};
    std::string text;
    uint32_t seed = 12345;

    while (text.size() < kLongest + kOffsets) {
        seed = seed * 1664525 + 1013904223;
        text += kWords[(seed >> 16) % (sizeof(kWords) / sizeof(kWords[0]))];
        text += (seed >> 28) == 0 ? ". " : " ";
    }
    return text;
}

const char* textFor(uint32_t number)
{
    static const std::string text = makeText();
    return text.data() + number * 37 % kOffsets;
}

void putHex(char* out, int digits, uint64_t value)
{
    for (int i = digits - 1; i >= 0; i--) {
        out[i] = "0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

bool getHex(const char* in, int digits, uint64_t* value)
{
    uint64_t result = 0;

    for (int i = 0; i < digits; i++) {
        char ch = in[i];
        if (ch >= '0' && ch <= '9') {
            result = result << 4 | static_cast<uint64_t>(ch - '0');
        } else if (ch >= 'a' && ch <= 'f') {
            result = result << 4 | static_cast<uint64_t>(ch - 'a' + 10);
        } else {
            return false;
        }
    }
    *value = result;
    return true;
}

}  // namespace

std::string makeContent(const Stamp& stamp, size_t size)
{
    char head[kStampLength];

    memcpy(head, kMark.data(), 4);
    putHex(head + 4, 8, stamp.number);
    putHex(head + 12, 4, stamp.sender);
    putHex(head + 16, 8, stamp.sequence);
    putHex(head + 24, 16, static_cast<uint64_t>(stamp.due));

    std::string content(head, sizeof(head));
    if (size > kStampLength) {
        content.append(textFor(stamp.number), size - kStampLength);
    }
    return content;
}

bool readContent(std::string_view content, Stamp* stamp)
{
    uint64_t number, sender, sequence, due;

    if (content.size() < kStampLength || content.substr(0, 4) != kMark ||
        !getHex(content.data() + 4, 8, &number) ||
        !getHex(content.data() + 12, 4, &sender) ||
        !getHex(content.data() + 16, 8, &sequence) ||
        !getHex(content.data() + 24, 16, &due)) {
        return false;
    }

    stamp->number = static_cast<uint32_t>(number);
    stamp->sender = static_cast<uint16_t>(sender);
    stamp->sequence = static_cast<uint32_t>(sequence);
    stamp->due = static_cast<int64_t>(due);
    return memcmp(content.data() + kStampLength, textFor(stamp->number),
                  content.size() - kStampLength) == 0;
}

}  // namespace bench
