// Client messages: whatever the bytes are, what goes out again is JSON, the
// sender's identity is in it exactly once, and no field of his is lost.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "worker/json.hpp"
#include "worker/protocol.hpp"

namespace {

namespace json = chat::json;
namespace protocol = chat::protocol;

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

bool valid(std::string_view text)
{
    json::Reader reader(text);
    reader.skip();
    return reader.finish();
}

std::size_t countFields(std::string_view object, std::string_view name)
{
    json::Reader reader(object);
    std::string_view key;
    std::size_t count = 0;
    reader.beginObject();
    while (reader.nextField(key)) {
        count += json::equals(key, name) ? 1 : 0;
        reader.skip();
    }
    require(reader.finish());
    return count;
}

void checkValue(std::string_view raw)
{
    std::string compact;
    json::appendCompact(compact, raw);
    require(valid(compact) && compact.size() <= raw.size());
    std::string again;
    json::appendCompact(again, compact);
    require(again == compact);

    std::string text;
    if (json::kindOf(raw) == json::Kind::String && json::decode(raw, text)) {
        std::string quoted;
        std::string back;
        json::appendQuoted(quoted, text);
        require(valid(quoted) && json::decode(quoted, back) && back == text);
    }
}

void checkNews(const protocol::Envelope& envelope)
{
    const auto news = protocol::makeNews(envelope, {"u\"1", false}, "m");
    const std::string text = news.before + "7" + news.after;
    require(countFields(text, "send_user_id") == 1);
    require(countFields(text, "receive_user_id") == 1);
    for (const auto& field : envelope.fields) {
        std::string name;
        if (json::decode(field.key, name)) {
            require(countFields(text, name) >= 1);
        }
        checkValue(field.value);
    }
}

void checkMessage(std::string_view text)
{
    protocol::Envelope envelope;
    if (const auto reason = protocol::parseEnvelope(text, envelope)) {
        require(valid(protocol::errorFrame({}, *reason)));
        return;
    }
    require(valid(text));
    const auto init = protocol::parseInit(envelope);
    if (init.identity) {
        require(valid(protocol::identifiedFrame(*init.identity, 1, 2)));
    }
    const auto sending = protocol::parseSending(envelope);
    require(valid(protocol::errorFrame(sending.sendId, sending.reason)));
    if (!sending.sendId.empty()) {
        require(valid(protocol::sentFrame(sending.sendId)));
    }
    if (json::kindOf(envelope.data) == json::Kind::Object) {
        checkNews(envelope);
    }
    std::vector<std::string> keys;
    (void)protocol::parseKeys(envelope, keys);
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    // A copy without a byte after it, so that reading too far is seen.
    const std::vector<char> memory(data, data + size);
    const std::string_view text(memory.data(), memory.size());
    if (valid(text)) {
        json::Reader reader(text);
        checkValue(reader.skip());
    }
    checkMessage(text);
    return 0;
}
