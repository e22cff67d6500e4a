#include "deflate_offer.hpp"

#include <algorithm>
#include <cstring>

#include "field_reader.hpp"

namespace chat::ws {
namespace {

constexpr std::string_view kName = "permessage-deflate";
constexpr std::string_view kServerNoContext = "server_no_context_takeover";
constexpr std::string_view kClientNoContext = "client_no_context_takeover";
constexpr std::string_view kServerWindow = "server_max_window_bits";
constexpr std::string_view kClientWindow = "client_max_window_bits";

// One offer as the client made it. A window of 0: not named.
struct Offer {
    bool serverNoContext = false;
    bool clientNoContext = false;
    int serverWindow = 0;
    int clientWindow = 0;
    bool acceptable = true;
};

// A parameter's value; `present` and an empty text cannot come together.
struct Value {
    bool present = false;
    char text[4];
    std::size_t size = 0;
};

// 8 to 15 without leading zeros, else 0.
int readWindow(const Value& value)
{
    std::string_view text(value.text, std::min(value.size, sizeof(value.text)));
    for (int bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        char digits[2] = {static_cast<char>('0' + bits / 10),
                          static_cast<char>('0' + bits % 10)};
        std::string_view wanted = bits < 10 ? std::string_view(digits + 1, 1)
                                            : std::string_view(digits, 2);
        if (text == wanted) {
            return bits;
        }
    }
    return 0;
}

bool setFlag(bool& flag, const Value& value)
{
    bool good = !flag && !value.present;
    flag = true;
    return good;
}

bool setWindow(int& window, const Value& value, bool valueNeeded)
{
    if (window != 0 || (valueNeeded && !value.present)) {
        return false;
    }
    window = value.present ? readWindow(value) : kMaxWindowBits;
    return window != 0;
}

// False: RFC 7692 section 7.1 wants the offer declined.
bool applyParameter(Offer& offer, std::string_view name, const Value& value)
{
    if (equalIgnoringCase(name, kServerNoContext)) {
        return setFlag(offer.serverNoContext, value);
    }
    if (equalIgnoringCase(name, kClientNoContext)) {
        return setFlag(offer.clientNoContext, value);
    }
    if (equalIgnoringCase(name, kServerWindow)) {
        return setWindow(offer.serverWindow, value, true);
    }
    if (equalIgnoringCase(name, kClientWindow)) {
        return setWindow(offer.clientWindow, value, false);
    }
    return false;
}

bool readValue(FieldReader& reader, Value& value)
{
    if (!reader.take('=')) {
        return true;
    }
    value.present = true;
    reader.skipSpace();
    if (reader.quotedToken(value.text, sizeof(value.text), value.size)) {
        return true;
    }
    std::string_view token = reader.token();
    value.size = token.size();
    token.copy(value.text, sizeof(value.text));
    return !token.empty();
}

// Reads one extension. False: malformed.
bool readOffer(FieldReader& reader, bool& ours, Offer& offer)
{
    std::string_view name = reader.token();
    if (name.empty()) {
        return false;
    }
    ours = equalIgnoringCase(name, kName);
    while (reader.take(';')) {
        Value value;
        reader.skipSpace();
        std::string_view parameter = reader.token();
        if (parameter.empty() || !readValue(reader, value)) {
            return false;
        }
        if (!applyParameter(offer, parameter, value)) {
            offer.acceptable = false;
        }
    }
    return true;
}

DeflateParams meet(const Offer& offer, const DeflateOptions& options)
{
    DeflateParams params;
    params.enabled = true;
    params.serverContext = options.serverContext && !offer.serverNoContext;
    params.clientContext = options.clientContext && !offer.clientNoContext;
    params.serverWindowBits = options.serverWindowBits;
    if (offer.serverWindow != 0) {
        params.serverWindowBits = static_cast<std::uint8_t>(
            std::min<int>(offer.serverWindow, options.serverWindowBits));
        params.nameServerWindow = true;
    }
    if (offer.clientWindow != 0) {
        params.clientWindowBits = static_cast<std::uint8_t>(
            std::min<int>(offer.clientWindow, options.clientWindowBits));
        params.nameClientWindow = true;
    } else if (options.clientWindowBits < kMaxWindowBits) {
        params.clientContext = false;
    }
    return params;
}

char* append(char* out, std::string_view text)
{
    return out + text.copy(out, text.size());
}

char* appendFlag(char* out, std::string_view name)
{
    return append(append(out, "; "), name);
}

char* appendWindow(char* out, std::string_view name, int bits)
{
    out = append(appendFlag(out, name), "=");
    if (bits >= 10) {
        *out++ = '1';
    }
    *out++ = static_cast<char>('0' + bits % 10);
    return out;
}

}  // namespace

Negotiation negotiateDeflate(FieldValues fields, const DeflateOptions& options,
                             DeflateParams& params)
{
    Negotiation result = Negotiation::None;
    bool any = false;
    params = DeflateParams();

    for (std::string_view field : fields) {
        FieldReader reader(field);
        reader.take(',');
        for (reader.nextElement(); !reader.atEnd();) {
            Offer offer;
            bool ours = false;
            if (!readOffer(reader, ours, offer) || !reader.nextElement()) {
                params = DeflateParams();
                return Negotiation::Malformed;
            }
            any = true;
            if (ours && offer.acceptable && options.enabled &&
                result == Negotiation::None) {
                params = meet(offer, options);
                result = Negotiation::Accepted;
            }
        }
    }
    return fields.size != 0 && !any ? Negotiation::Malformed : result;
}

std::size_t encodeDeflateResponse(char* out, const DeflateParams& params)
{
    char* end = append(out, kName);
    if (!params.serverContext) {
        end = appendFlag(end, kServerNoContext);
    }
    if (!params.clientContext) {
        end = appendFlag(end, kClientNoContext);
    }
    if (params.nameServerWindow) {
        end = appendWindow(end, kServerWindow, params.serverWindowBits);
    }
    if (params.nameClientWindow) {
        end = appendWindow(end, kClientWindow, params.clientWindowBits);
    }
    return static_cast<std::size_t>(end - out);
}

}  // namespace chat::ws
