#include "protocol.hpp"

#include <charconv>
#include <utility>

namespace chat::protocol {

namespace {

using json::Kind;

constexpr std::string_view kAskInitText =
    R"({"code":231,"msg":"申请初始化当前用户","data":null})";
constexpr std::string_view kIdentifiedHead =
    R"({"code":240,"msg":"当前用户初始化成功","data":{"user":)";
constexpr std::string_view kSentHead =
    R"({"code":235,"msg":"信息发送成功","data":{"send_id":)";
constexpr std::string_view kSentTail = R"(,"msg":"成功"}})";
constexpr std::string_view kErrorHead =
    R"({"code":300,"msg":"信息发送出现异常","data":{"send_id":)";
constexpr std::string_view kNewsHead =
    R"({"code":236,"msg":"接收到新消息","data":{)";
constexpr std::string_view kNewsTail = "}}";

constexpr std::string_view kSendUser = "send_user_id";
constexpr std::string_view kReceiveUser = "receive_user_id";

void appendNumber(std::string& out, std::uint64_t number)
{
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof(digits), number).ptr;
    out.append(digits, end);
}

void readFields(json::Reader& reader, Envelope& envelope)
{
    std::string_view key;
    reader.beginObject();
    while (reader.nextField(key)) {
        envelope.fields.push_back({key, reader.skip()});
    }
}

void readList(json::Reader& reader, Envelope& envelope)
{
    reader.beginArray();
    while (reader.nextElement()) {
        envelope.list.push_back(reader.skip());
    }
}

void readData(json::Reader& reader, std::string_view text, Envelope& envelope)
{
    envelope.fields.clear();
    envelope.list.clear();
    const Kind kind = reader.peek();
    const std::size_t start = reader.offset();
    if (kind == Kind::Object) {
        readFields(reader, envelope);
    } else if (kind == Kind::Array) {
        readList(reader, envelope);
    } else {
        reader.skip();
    }
    if (!reader.failed()) {
        envelope.data = text.substr(start, reader.offset() - start);
    }
}

std::optional<std::string> readCode(std::string_view raw, int& code)
{
    if (raw.empty()) {
        return "code is missing";
    }
    if (!json::isInteger(raw)) {
        return "code must be an integer";
    }
    const auto [end, error] =
        std::from_chars(raw.data(), raw.data() + raw.size(), code);
    if (error != std::errc()) {
        return "code is not known";
    }
    return std::nullopt;
}

std::string wrongType(std::string_view name, std::string_view expected)
{
    std::string reason(name);
    return reason.append(" must be ").append(expected);
}

std::string missing(std::string_view name)
{
    return std::string(name) + " is missing";
}

// The text form of a user id, chat id and the like. Empty reason: all is well.
std::string readId(std::string_view name, std::string_view raw,
                   std::string& text)
{
    if (raw.empty()) {
        return missing(name);
    }
    if (json::isInteger(raw)) {
        text.assign(raw);
    } else if (json::kindOf(raw) != Kind::String) {
        return wrongType(name, "a string or an integer");
    } else if (!json::decode(raw, text)) {
        return wrongType(name, "a string of valid characters");
    }
    if (text.size() > kMaxId) {
        return std::string(name) + " is too long";
    }
    return {};
}

bool isFalsy(std::string_view raw)
{
    switch (json::kindOf(raw)) {
    case Kind::Null:
    case Kind::False:
        return true;
    case Kind::String:
        return raw == "\"\"";
    case Kind::Number:
        return raw.substr(0, raw.find_first_of("eE"))
                   .find_first_of("123456789") == std::string_view::npos;
    default:
        return false;
    }
}

bool hasControl(std::string_view text)
{
    for (const char c : text) {
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
            return true;
        }
    }
    return false;
}

// Fields that every 234 has, and the kinds that their values may have.
struct Required {
    std::string_view name;
    bool string;
    bool number;
    bool null;
    std::string_view expected;
};

constexpr Required kRequired[] = {
    {"send_timestamp", true, true, false, "a number or a string"},
    {"new_type", true, true, false, "a string or a number"},
    {"content", true, false, true, "a string or null"},
    {"resource_url", true, false, true, "a string or null"},
};

std::string checkField(const Envelope& envelope, const Required& rule)
{
    const auto raw = envelope.field(rule.name);
    if (raw.empty()) {
        return missing(rule.name);
    }
    const Kind kind = json::kindOf(raw);
    const bool good = (kind == Kind::String && rule.string) ||
                      (kind == Kind::Number && rule.number) ||
                      (kind == Kind::Null && rule.null);
    return good ? std::string() : wrongType(rule.name, rule.expected);
}

// Writes the news of a message; where receive_user_id belongs, what was
// written so far becomes News::before.
class NewsWriter {
  public:
    NewsWriter(News& news, const Identity& sender)
        : news_(news), sender_(sender)
    {
        out_ = "{";
    }

    void add(const Field& field)
    {
        if (json::equals(field.key, kSendUser)) {
            addSender();
        } else if (json::equals(field.key, kReceiveUser)) {
            addReceiver();
        } else {
            separate();
            out_.append(field.key).append(":");
            json::appendCompact(out_, field.value);
        }
    }

    void finish()
    {
        addSender();
        addReceiver();
        out_ += '}';
        news_.after = std::move(out_);
    }

  private:
    // A client may give a field twice; the second would win in a browser, so
    // only the place of the first is used.
    void addSender()
    {
        if (!std::exchange(senderDone_, true)) {
            separate();
            out_.append("\"send_user_id\":");
            appendUser(out_, sender_.user, sender_.number);
        }
    }

    void addReceiver()
    {
        if (!std::exchange(receiverDone_, true)) {
            separate();
            out_.append("\"receive_user_id\":");
            news_.before = std::move(out_);
            out_.clear();
        }
    }

    void separate()
    {
        if (std::exchange(any_, true)) {
            out_ += ',';
        }
    }

    News& news_;
    const Identity& sender_;
    std::string out_;
    bool any_ = false;
    bool senderDone_ = false;
    bool receiverDone_ = false;
};

}  // namespace

std::string_view Envelope::field(std::string_view name) const
{
    for (auto it = fields.rbegin(); it != fields.rend(); ++it) {
        if (json::equals(it->key, name)) {
            return it->value;
        }
    }
    return {};
}

std::optional<std::string> parseEnvelope(std::string_view text,
                                         Envelope& envelope)
{
    envelope.data = {};
    envelope.fields.clear();
    envelope.list.clear();
    json::Reader reader(text);
    std::string_view code;
    std::string_view key;
    if (reader.peek() != Kind::Object) {
        const bool valid = !reader.skip().empty() && reader.finish();
        return valid ? "the message must be a JSON object"
                     : "the message is no valid JSON";
    }
    reader.beginObject();
    while (reader.nextField(key)) {
        if (json::equals(key, "data")) {
            readData(reader, text, envelope);
        } else if (json::equals(key, "code")) {
            code = reader.skip();
        } else {
            reader.skip();
        }
    }
    if (!reader.finish()) {
        return std::string("the message is no valid JSON: ") +
               reader.problem() + " at byte " + std::to_string(reader.offset());
    }
    return readCode(code, envelope.code);
}

Init parseInit(const Envelope& envelope)
{
    std::string_view raw = envelope.data;
    std::string_view name = "data";
    if (json::kindOf(raw) == Kind::Object) {
        name = "user";
        raw = envelope.field(name);
    }
    Init init;
    if (!raw.empty() && isFalsy(raw)) {
        return init;
    }
    Identity identity;
    init.reason = readId(name, raw, identity.user);
    if (init.reason.empty() && hasControl(identity.user)) {
        init.reason = wrongType(name, "free of control characters");
    }
    if (init.reason.empty()) {
        identity.number = json::kindOf(raw) == Kind::Number;
        init.identity = std::move(identity);
    }
    return init;
}

Sending parseSending(const Envelope& envelope)
{
    Sending sending;
    if (json::kindOf(envelope.data) != Kind::Object) {
        sending.reason = envelope.data.empty() ? missing("data")
                                               : wrongType("data", "an object");
        return sending;
    }
    const auto sendId = envelope.field("send_id");
    std::string text;
    sending.reason = readId("send_id", sendId, text);
    if (!sending.reason.empty()) {
        return sending;
    }
    sending.sendId = sendId;
    sending.reason =
        readId("chat_id", envelope.field("chat_id"), sending.chatId);
    for (const Required& rule : kRequired) {
        if (!sending.reason.empty()) {
            break;
        }
        sending.reason = checkField(envelope, rule);
    }
    return sending;
}

std::optional<std::string> parseKeys(const Envelope& envelope,
                                     std::vector<std::string>& keys)
{
    if (json::kindOf(envelope.data) != Kind::Array) {
        return envelope.data.empty() ? missing("data")
                                     : wrongType("data", "a list of keys");
    }
    keys.reserve(envelope.list.size());
    for (const auto raw : envelope.list) {
        if (json::kindOf(raw) != Kind::String) {
            return wrongType("every key", "a string");
        }
        std::string key;
        if (json::decode(raw, key)) {  // else: a key that we never gave out
            keys.push_back(std::move(key));
        }
    }
    return std::nullopt;
}

News makeNews(const Envelope& envelope, const Identity& sender,
              std::string messageId)
{
    News news;
    news.messageId = std::move(messageId);
    NewsWriter writer(news, sender);
    for (const Field& field : envelope.fields) {
        writer.add(field);
    }
    writer.finish();
    return news;
}

void appendUser(std::string& out, std::string_view user, bool number)
{
    if (number) {
        out.append(user);
    } else {
        json::appendQuoted(out, user);
    }
}

std::string_view askInitFrame()
{
    return kAskInitText;
}

std::string identifiedFrame(const Identity& identity,
                            std::uint64_t serverTimeMs,
                            std::uint32_t heartbeatMs)
{
    std::string frame(kIdentifiedHead);
    appendUser(frame, identity.user, identity.number);
    frame.append(",\"server_time\":");
    appendNumber(frame, serverTimeMs);
    frame.append(",\"heartbeat_timeout\":");
    appendNumber(frame, heartbeatMs);
    return frame.append("}}");
}

std::string sentFrame(std::string_view sendId)
{
    std::string frame(kSentHead);
    return frame.append(sendId).append(kSentTail);
}

std::string errorFrame(std::string_view sendId, std::string_view reason)
{
    std::string frame(kErrorHead);
    frame.append(sendId.empty() ? "null" : sendId).append(",\"msg\":");
    json::appendQuoted(frame, reason);
    return frame.append("}}");
}

void NewsBody::clear()
{
    text_.clear();
    holes_.clear();
}

void NewsBody::add(const News& news)
{
    text_.append(text_.empty() ? kNewsHead : std::string_view(","))
        .append("\"");
    holes_.push_back(static_cast<std::uint32_t>(text_.size()));
    text_.append("-").append(news.messageId).append("\":").append(news.before);
    holes_.push_back(static_cast<std::uint32_t>(text_.size()));
    text_.append(news.after);
}

void NewsBody::finish()
{
    text_.append(kNewsTail);
}

void NewsFrame::separate()
{
    text_.append(count_++ == 0 ? kNewsHead : std::string_view(","));
}

void NewsFrame::add(std::string_view key, std::string_view news)
{
    separate();
    json::appendQuoted(text_, key);
    text_.append(":").append(news);
}

void NewsFrame::add(std::uint64_t sequence, const News& news,
                    std::string_view user, bool number)
{
    separate();
    text_ += '"';
    appendNumber(text_, sequence);
    text_.append("-").append(news.messageId).append("\":").append(news.before);
    appendUser(text_, user, number);
    text_.append(news.after);
}

const std::string& NewsFrame::finish()
{
    return text_.append(kNewsTail);
}

}  // namespace chat::protocol
