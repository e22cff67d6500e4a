#include "redis_reply.hpp"

namespace chat {

std::string plainReason(const std::string& error)
{
    static constexpr struct {
        std::string_view prefix;
        const char* reason;
    } kReasons[] = {
        {"CONNECTION", "the message store cannot be reached"},
        {"BUSY", "the message store is too busy"},
        {"OOM", "the message store is out of memory"},
        {"READONLY", "the message store is read-only at the moment"},
        {"LOADING", "the message store is still starting"},
        {"MISCONF", "the message store cannot write to its disk"},
        {"NOREPLICAS", "the message store lacks its replicas"},
        {"MASTERDOWN", "the message store lacks its primary"},
    };

    for (const auto& known : kReasons) {
        if (error.starts_with(known.prefix)) {
            return known.reason;
        }
    }

    return "the message store refused";
}

}  // namespace chat
