// The client side of WebSocket, as much of it as a load client needs: no
// fragments, since no server here sends any.
#pragma once

#include <zlib.h>

#include "t/bench/load/client.hpp"

namespace bench {

class WebSocketClient : public Client {
  public:
    using Client::Client;
    ~WebSocketClient() override;

  protected:
    virtual std::string requestTarget() const = 0;
    virtual void onUpgraded() = 0;
    virtual void onText(std::string_view text) = 0;

    void sendText(std::string_view text) { sendFrame(0x1, text); }
    void sendPing() { sendFrame(0x9, {}); }

    void onConnected() override;
    size_t onBytes(std::string_view bytes) override;

  private:
    void sendFrame(uint8_t opcode, std::string_view payload);
    size_t readUpgrade(std::string_view bytes);
    size_t readFrame(std::string_view bytes);
    void onFrame(uint8_t first, std::string_view payload);
    bool startInflate(std::string_view response);
    std::string_view inflateText(std::string_view payload);

    bool upgraded_ = false;
    bool resetInflate_ = false;
    z_stream* inflate_ = nullptr;
};

}  // namespace bench
