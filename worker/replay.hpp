// Where a session stands that is catching up with its inbox.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace chat {

struct Replay {
    enum class Step {
        Waiting,  // for its turn to ask the inbox
        Asking,   // the inbox has been asked
        Writing,  // a page is on its way through nginx
        Blocked,  // the relay link is congested
        Failed,   // the inbox did not answer; tried again later
    };

    struct Planned {
        std::uint64_t sequence;
        std::string key;
    };

    Step step = Step::Waiting;
    std::uint64_t turn = 0;  // number of the last wait or question
    bool listed = false;     // plan and last are valid
    bool partial = false;    // the inbox holds more than the plan
    std::vector<Planned> plan;
    std::size_t next = 0;      // first of the plan that has not gone out
    std::uint64_t last = 0;    // the inbox's counter when it was listed
    std::size_t pageKeys = 0;  // how many to read at once

    [[nodiscard]] bool planDone() const { return next == plan.size(); }
};

}  // namespace chat
