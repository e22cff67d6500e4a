#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

// One measured stretch of traffic: open loop at `rate` operations a second,
// or closed loop with `window` operations under way.
struct Phase {
    std::string name;
    double rate = 0;
    uint32_t window = 0;
    double seconds = 1;
};

struct Options {
    std::string protocol = "chat";
    std::string scenario = "traffic";
    std::string host = "127.0.0.1";
    uint16_t port = 8080;
    std::string path = "/chat";
    bool tls = false;
    bool deflate = false;

    uint32_t members = 1000;    // connections, offline ones included
    uint32_t group = 1000;      // members of one chat
    uint32_t senders = 10;      // of them send
    uint32_t offlineEvery = 0;  // each n-th member stays away; 0: none
    uint32_t idle = 0;          // further connections without traffic
    uint64_t firstChat = 1;
    uint64_t firstUser = 1;
    uint32_t size = 128;        // bytes of content
    uint32_t ackWindow = 50;    // ms for which deliveries are collected
    uint32_t total = 10000;     // handshakes
    uint32_t pending = 100;     // messages waiting for each in a replay
    uint32_t concurrency = 64;  // connections being opened at a time
    double patience = 20;       // s to wait for what is still missing
    bool byHand = false;        // no runner: phases follow one another
    std::vector<Phase> phases;
};

}  // namespace bench
