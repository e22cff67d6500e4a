#include "t/bench/load/mqtt.hpp"

#include <deque>

namespace bench {

namespace {

enum Packet : uint8_t {
    kConnect = 0x10,
    kConnack = 0x20,
    kPublishQos1 = 0x32,
    kPuback = 0x40,
    kSubscribe = 0x82,
    kSuback = 0x90,
    kPingreq = 0xc0,
    kPingresp = 0xd0,
};

void putShort(std::string* out, size_t value)
{
    out->push_back(static_cast<char>(value >> 8));
    out->push_back(static_cast<char>(value));
}

void putString(std::string* out, std::string_view text)
{
    putShort(out, text.size());
    out->append(text);
}

std::string makePacket(uint8_t type, std::string_view body)
{
    std::string packet(1, static_cast<char>(type));
    size_t length = body.size();

    do {
        size_t low = length & 0x7f;
        length >>= 7;
        packet += static_cast<char>(length > 0 ? low | 0x80 : low);
    } while (length > 0);
    packet += body;
    return packet;
}

uint16_t getShort(std::string_view bytes, size_t at)
{
    return static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) << 8 |
                                 static_cast<uint8_t>(bytes[at + 1]));
}

class MqttClient : public Client {
  public:
    using Client::Client;

    void sendMessage(uint32_t number, std::string_view content) override
    {
        std::string body;
        putString(&body, topic());
        putShort(&body, nextId());
        body += content;
        unconfirmed_.push_back(number);
        write(makePacket(kPublishQos1, body));
    }

    void ping() override { write(makePacket(kPingreq, {})); }

    void acknowledge() override
    {
        write(pubacks_);
        pubacks_.clear();
    }

  protected:
    void onConnected() override;
    size_t onBytes(std::string_view bytes) override;

  private:
    std::string topic() const { return "g/" + std::to_string(group); }

    // A packet identifier must not be 0.
    uint16_t nextId()
    {
        lastId_++;
        return lastId_ == 0 ? ++lastId_ : lastId_;
    }

    void onPacket(uint8_t type, std::string_view body);
    void onConnack(std::string_view body);
    void onPublish(std::string_view body);

    uint16_t lastId_ = 0;
    std::deque<uint32_t> unconfirmed_;  // numbers, in order of PUBLISH
    std::string pubacks_;
};

void MqttClient::onConnected()
{
    std::string body;

    pubacks_.clear();
    putString(&body, "MQTT");
    body += '\x04';
    body += '\x00';  // no clean session
    putShort(&body, 60);
    putString(&body, target_.run + "-" + std::to_string(user));
    write(makePacket(kConnect, body));
}

size_t MqttClient::onBytes(std::string_view bytes)
{
    size_t length = 0;
    size_t header = 1;

    for (unsigned shift = 0;; shift += 7, header++) {
        if (header >= bytes.size()) {
            return 0;
        }
        auto byte = static_cast<uint8_t>(bytes[header]);
        length |= static_cast<size_t>(byte & 0x7f) << shift;
        if (!(byte & 0x80)) {
            header++;
            break;
        }
    }
    if (bytes.size() - header < length) {
        return 0;
    }
    onPacket(static_cast<uint8_t>(bytes[0]), bytes.substr(header, length));
    return header + length;
}

void MqttClient::onPacket(uint8_t type, std::string_view body)
{
    switch (type & 0xf0) {
    case kConnack:
        onConnack(body);
        break;
    case kSuback & 0xf0:
        sink_.onReady(*this);
        break;
    case kPublishQos1 & 0xf0:
        onPublish(body);
        break;
    case kPuback:
        if (!unconfirmed_.empty()) {
            uint32_t number = unconfirmed_.front();
            unconfirmed_.pop_front();
            sink_.onStored(*this, number);
        }
        break;
    case kPingresp:
        sink_.onPong(*this);
        break;
    default:
        sink_.onError(*this, "unexpected packet " + std::to_string(type));
    }
}

void MqttClient::onConnack(std::string_view body)
{
    if (body.size() < 2 || body[1] != 0) {
        sink_.onError(*this, "CONNECT refused");
        return;
    }
    if (body[0] & 1) {
        sink_.onReady(*this);  // the session knows its subscription
        return;
    }

    std::string subscribe;
    putShort(&subscribe, nextId());
    putString(&subscribe, topic());
    subscribe += '\x01';
    write(makePacket(kSubscribe, subscribe));
}

void MqttClient::onPublish(std::string_view body)
{
    size_t topicEnd = 2 + size_t{getShort(body, 0)};
    bool first = pubacks_.empty();
    std::string id;

    putShort(&id, getShort(body, topicEnd));
    pubacks_ += makePacket(kPuback, id);
    sink_.onContent(*this, body.substr(topicEnd + 2));
    if (first) {
        sink_.onAcknowledgeable(*this);
    }
}

}  // namespace

std::unique_ptr<Client> makeMqttClient(Loop& loop, Sink& sink,
                                       const Target& target)
{
    return std::make_unique<MqttClient>(loop, sink, target);
}

}  // namespace bench
