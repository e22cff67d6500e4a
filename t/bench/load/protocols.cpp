// The systems under test as the load client speaks to them.
#include <charconv>
#include <deque>

#include "t/bench/load/mqtt.hpp"
#include "t/bench/load/nchan.hpp"
#include "t/bench/load/news.hpp"
#include "t/bench/load/websocket.hpp"

namespace bench {

namespace {

// Text that follows `name` in `text`, up to one of `ends`.
std::string_view after(std::string_view text, std::string_view name,
                       std::string_view ends)
{
    size_t at = text.find(name);
    if (at == std::string_view::npos) {
        return {};
    }
    text.remove_prefix(at + name.size());
    return text.substr(0, text.find_first_of(ends));
}

uint32_t toNumber(std::string_view text)
{
    uint32_t number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// This project: docs/wire-protocol.md.
class ChatClient : public WebSocketClient {
  public:
    using WebSocketClient::WebSocketClient;

    void sendMessage(uint32_t number, std::string_view content) override
    {
        static std::string text;
        text = R"({"code":234,"msg":"","data":{"chat_id":)";
        text += std::to_string(group);
        text += R"(,"send_id":")";
        text += target_.run;
        text += '-';
        text += std::to_string(number);
        text += R"(","send_timestamp":1700000000000,"new_type":1,"content":")";
        text += content;
        text += R"(","resource_url":""}})";
        sendText(text);
    }

    void ping() override { sendText("ping"); }

    void acknowledge() override
    {
        static std::string text;
        if (keys_.empty()) {
            return;
        }
        text = R"({"code":237,"msg":"","data":[)";
        text += keys_;
        text.back() = ']';
        text += '}';
        keys_.clear();
        sendText(text);
    }

  protected:
    std::string requestTarget() const override
    {
        return target_.path + "?user=" + std::to_string(user);
    }

    void onUpgraded() override { keys_.clear(); }

    void onText(std::string_view text) override
    {
        if (text == "pong") {
            sink_.onPong(*this);
            return;
        }
        switch (toNumber(after(text, R"("code":)", ",}"))) {
        case 235:
            sink_.onStored(*this, sentNumber(text));
            break;
        case 236:
            onNews(text);
            break;
        case 240:
            sink_.onReady(*this);
            break;
        default:
            sink_.onError(*this, std::string(text.substr(0, 200)));
        }
    }

  private:
    static uint32_t sentNumber(std::string_view text)
    {
        std::string_view id = after(text, R"("send_id":")", "\"");
        return toNumber(id.substr(id.find('-') + 1));
    }

    void onNews(std::string_view text)
    {
        bool first = keys_.empty();
        NewsReader reader(text);
        News news;

        while (reader.next(&news)) {
            keys_ += news.key;
            keys_ += ',';
            sink_.onContent(*this, news.content);
        }
        if (!reader.ok()) {
            sink_.onError(*this, "a 236 cannot be read");
        }
        if (first && !keys_.empty()) {
            sink_.onAcknowledgeable(*this);
        }
    }

    std::string keys_;  // "key","key",
};

// Everything that gives back what it was sent: the floor, `ws`, the echo
// worker. The path names the group; "ping" is answered "pong".
class PlainClient : public WebSocketClient {
  public:
    using WebSocketClient::WebSocketClient;

    void sendMessage(uint32_t number, std::string_view content) override
    {
        sendText(content);
        sink_.onStored(*this, number);
    }

    void ping() override { sendText("ping"); }

  protected:
    std::string requestTarget() const override
    {
        return target_.path + std::to_string(group);
    }

    void onUpgraded() override { sink_.onReady(*this); }

    void onText(std::string_view text) override
    {
        if (text == "pong") {
            sink_.onPong(*this);
        } else {
            sink_.onContent(*this, text);
        }
    }
};

// socket.io 4 over engine.io 4, WebSocket transport only.
class SocketIoClient : public WebSocketClient {
  public:
    using WebSocketClient::WebSocketClient;

    void sendMessage(uint32_t number, std::string_view content) override
    {
        static std::string text;
        text = "42";
        text += std::to_string(number);
        text += R"(["send",")";
        text += content;
        text += R"("])";
        sendText(text);
    }

    void ping() override
    {
        sendText("42" + std::to_string(kPingId) + R"(["heartbeat"])");
    }

  protected:
    std::string requestTarget() const override
    {
        return "/socket.io/?EIO=4&transport=websocket&group=" +
               std::to_string(group);
    }

    void onUpgraded() override {}

    void onText(std::string_view text) override
    {
        if (text.substr(0, 10) == R"(42["news",)") {
            text.remove_prefix(11);
            sink_.onContent(*this, text.substr(0, text.size() - 2));
        } else if (text == "2") {
            sendText("3");
        } else if (text.substr(0, 1) == "0") {
            sendText("40");
        } else if (text.substr(0, 2) == "40") {
            sink_.onReady(*this);
        } else if (text.substr(0, 2) == "43") {
            uint32_t id = toNumber(text.substr(2));
            if (id == kPingId) {
                sink_.onPong(*this);
            } else {
                sink_.onStored(*this, id);
            }
        } else {
            sink_.onError(*this, std::string(text.substr(0, 200)));
        }
    }

  private:
    static constexpr uint32_t kPingId = 4000000000;
};

}  // namespace

std::unique_ptr<Client> makeClient(std::string_view protocol, Loop& loop,
                                   Sink& sink, const Target& target)
{
    if (protocol == "chat") {
        return std::make_unique<ChatClient>(loop, sink, target);
    }
    if (protocol == "plain") {
        return std::make_unique<PlainClient>(loop, sink, target);
    }
    if (protocol == "socketio") {
        return std::make_unique<SocketIoClient>(loop, sink, target);
    }
    if (protocol == "nchan") {
        return makeNchanClient(loop, sink, target);
    }
    if (protocol == "mqtt") {
        return makeMqttClient(loop, sink, target);
    }
    return nullptr;
}

}  // namespace bench
