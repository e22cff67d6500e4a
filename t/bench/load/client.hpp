// One connection of the load, whatever its protocol, as the scenarios see it.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "t/bench/load/transport.hpp"

namespace bench {

class Client;

// What the clients of a scenario report to it.
class Sink {
  public:
    virtual ~Sink() = default;

    // The session may send, and receives what is sent to its group.
    virtual void onReady(Client& client) = 0;
    // One message was delivered.
    virtual void onContent(Client& client, std::string_view content) = 0;
    // The server answers for the message with this number: stored (235,
    // PUBACK) or, where nothing is stored, taken.
    virtual void onStored(Client& client, uint32_t number) = 0;
    virtual void onPong(Client& client) = 0;
    // The client holds its first delivery that is not acknowledged; the
    // scenario calls acknowledge() when the window is over.
    virtual void onAcknowledgeable(Client& client) = 0;
    // The server refused something, or said what the protocol does not allow.
    virtual void onError(Client& client, const std::string& why) = 0;
    virtual void onClosed(Client& client, const std::string& why) = 0;
};

struct Target {
    sockaddr_in address = {};
    SSL_CTX* tls = nullptr;
    std::string host;      // for the Host header
    std::string path;      // before the group or user
    bool deflate = false;  // offer permessage-deflate
    std::string run;       // distinguishes this run's ids from earlier ones
};

class Client : public Transport {
  public:
    Client(Loop& loop, Sink& sink, const Target& target)
        : Transport(loop), sink_(sink), target_(target)
    {
    }

    void open() { connect(target_.address, index / 20000 + 1, target_.tls); }

    virtual void sendMessage(uint32_t number, std::string_view content) = 0;
    virtual void ping() = 0;
    virtual void acknowledge() {}

    // Set by the scenario.
    uint32_t index = 0;  // among all clients
    uint64_t user = 0;
    uint64_t group = 0;
    bool ready = false;
    int64_t since = 0;                // start of what is being timed
    std::vector<uint32_t> sequences;  // last one received, by sender

  protected:
    void onEnd(const std::string& why) override
    {
        ready = false;
        sink_.onClosed(*this, why);
    }

    Sink& sink_;
    const Target& target_;
};

// `protocol`: chat, plain, socketio, nchan or mqtt. Null when unknown.
std::unique_ptr<Client> makeClient(std::string_view protocol, Loop& loop,
                                   Sink& sink, const Target& target);

}  // namespace bench
