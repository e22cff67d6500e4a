#include "t/bench/load/nchan.hpp"

#include <charconv>
#include <deque>

#include "t/bench/load/websocket.hpp"

namespace bench {

namespace {

constexpr size_t kPublishers = 8;

// A keep-alive HTTP connection that publishes, requests pipelined.
class Publisher : public Transport {
  public:
    Publisher(Loop& loop, const Target& target)
        : Transport(loop), target_(target)
    {
    }

    void publish(Client* sender, Sink* sink, uint32_t number,
                 std::string_view content)
    {
        if (!isOpen()) {
            connected_ = false;
            connect(target_.address, 0, target_.tls);
        }
        std::string request =
            "POST /pub/" + std::to_string(sender->group) +
            " HTTP/1.1\r\nHost: " + target_.host +
            "\r\nContent-Length: " + std::to_string(content.size()) +
            "\r\n\r\n";
        request += content;
        waiting_.push_back({sender, sink, number});
        if (connected_) {
            write(request);
        } else {
            early_ += request;
        }
    }

  protected:
    void onConnected() override
    {
        connected_ = true;
        write(early_);
        early_.clear();
    }

    size_t onBytes(std::string_view bytes) override
    {
        size_t end = bytes.find("\r\n\r\n");
        if (end == std::string_view::npos) {
            return 0;
        }

        size_t length = 0;
        static constexpr std::string_view kLength = "Content-Length: ";
        size_t at = bytes.substr(0, end).find(kLength);
        if (at != std::string_view::npos) {
            std::from_chars(bytes.data() + at + kLength.size(),
                            bytes.data() + end, length);
        }
        if (bytes.size() < end + 4 + length) {
            return 0;
        }
        onResponse(bytes.substr(0, 12));
        return end + 4 + length;
    }

    void onEnd(const std::string& why) override
    {
        for (const Waiting& one : waiting_) {
            one.sink->onError(*one.sender, "publisher: " + why);
        }
        waiting_.clear();
    }

  private:
    struct Waiting {
        Client* sender;
        Sink* sink;
        uint32_t number;
    };

    void onResponse(std::string_view status)
    {
        if (waiting_.empty()) {
            return;
        }
        Waiting one = waiting_.front();
        waiting_.pop_front();
        if (status.substr(9, 2) == "20") {
            one.sink->onStored(*one.sender, one.number);
        } else {
            one.sink->onError(*one.sender, std::string(status));
        }
    }

    const Target& target_;
    bool connected_ = false;
    std::string early_;
    std::deque<Waiting> waiting_;
};

class NchanClient : public WebSocketClient {
  public:
    NchanClient(Loop& loop, Sink& sink, const Target& target)
        : WebSocketClient(loop, sink, target), loop_(loop)
    {
    }

    // A sender keeps to one publisher: that keeps its messages in order.
    void sendMessage(uint32_t number, std::string_view content) override
    {
        static std::unique_ptr<Publisher> publishers[kPublishers];
        auto& publisher = publishers[index % kPublishers];

        if (publisher == nullptr) {
            publisher = std::make_unique<Publisher>(loop_, target_);
        }
        publisher->publish(this, &sink_, number, content);
    }

    void ping() override { sendPing(); }

  protected:
    std::string requestTarget() const override
    {
        return target_.path + std::to_string(group);
    }

    void onUpgraded() override { sink_.onReady(*this); }

    void onText(std::string_view text) override
    {
        sink_.onContent(*this, text);
    }

  private:
    Loop& loop_;
};

}  // namespace

std::unique_ptr<Client> makeNchanClient(Loop& loop, Sink& sink,
                                        const Target& target)
{
    return std::make_unique<NchanClient>(loop, sink, target);
}

}  // namespace bench
