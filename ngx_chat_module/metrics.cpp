#include "ngx_chat_module/metrics.hpp"

#include <cstring>

namespace chat {

namespace {

Counters ownCounters;
Counters* currentCounters = &ownCounters;

struct CauseText {
    const char* name;
    const char* by;
    bool limit;
};

// In the order of Cause.
constexpr CauseText kCauseTexts[kCauses] = {
    {"close frame", "client", false},    {"connection lost", "client", false},
    {"socket error", "client", false},   {"chat worker", "worker", false},
    {"heartbeat", "nginx", false},       {"slow consumer", "nginx", true},
    {"protocol", "nginx", false},        {"message too big", "nginx", true},
    {"fragments", "nginx", true},        {"frame rate", "nginx", true},
    {"user connections", "nginx", true}, {"drain", "nginx", false},
    {"shutdown", "nginx", false},        {"internal", "nginx", false},
};

const CauseText& textOf(Cause cause)
{
    return kCauseTexts[static_cast<std::size_t>(cause)];
}

}  // namespace

Counters& counters()
{
    return *currentCounters;
}

void useCounters(Counters* block)
{
    currentCounters = block;
}

std::size_t closeSlot(std::uint16_t code)
{
    if (code >= 1000 && code <= 1014) {
        return code - 1000U;
    }
    if (code >= 3000 && code <= 4999) {
        return code < 4000 ? 15 : 16;
    }
    return 17;
}

const char* causeName(Cause cause)
{
    return textOf(cause).name;
}

const char* closedBy(Cause cause)
{
    return textOf(cause).by;
}

bool isLimit(Cause cause)
{
    return textOf(cause).limit;
}

}  // namespace chat
