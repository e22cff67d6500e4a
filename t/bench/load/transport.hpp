// A non-blocking TCP or TLS client connection on a Loop.
#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>

#include <string>
#include <string_view>

#include "t/bench/load/loop.hpp"

namespace bench {

// Bytes and calls over all connections of this process.
struct Traffic {
    uint64_t received = 0;
    uint64_t sent = 0;
    uint64_t reads = 0;
};

class Transport : public Loop::Handler {
  public:
    explicit Transport(Loop& loop) : loop_(loop) {}
    ~Transport() override { abort(); }
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    // `source` 0 lets the kernel choose the source address; n takes
    // 127.0.0.n, since one address has only some 28,000 ports. With `tls`
    // every connection does a full handshake and checks no certificate.
    void connect(const sockaddr_in& server, unsigned source, SSL_CTX* tls);

    void write(std::string_view bytes);

    // Closes at once with a reset, so that thousands of connections a second
    // leave no TIME-WAIT behind.
    void abort();

    bool isOpen() const { return fd_ >= 0; }
    static const Traffic& traffic() { return traffic_; }

    void onEvents(uint32_t epollEvents) override;

  protected:
    virtual void onConnected() = 0;

    // Takes what it can of `bytes`, returns how much; the rest comes again
    // together with what follows it.
    virtual size_t onBytes(std::string_view bytes) = 0;

    // The connection was ended by the other side or by an error. Not called
    // after abort().
    virtual void onEnd(const std::string& why) = 0;

  private:
    enum class State { kConnecting, kTlsHandshake, kOpen };

    void finishConnect();
    void continueTls();
    void readOnce();
    ptrdiff_t readInto(char* buffer, size_t size);
    void consume(std::string_view bytes);
    void flush();
    void watch(uint32_t epollEvents);
    void end(const std::string& why);

    Loop& loop_;
    int fd_ = -1;
    State state_ = State::kConnecting;
    SSL* ssl_ = nullptr;
    uint32_t watched_ = 0;
    std::string rest_;    // received, not yet taken
    std::string unsent_;  // written, not yet accepted by the kernel

    static Traffic traffic_;
};

}  // namespace bench
