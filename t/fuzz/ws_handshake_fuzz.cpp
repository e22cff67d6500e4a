// Header values of the handshake: no crash, and what was accepted makes sense.

#include <cstdint>
#include <string>
#include <string_view>

#include "ngx_chat_module/ws/deflate_offer.hpp"
#include "ngx_chat_module/ws/field_reader.hpp"
#include "ngx_chat_module/ws/handshake.hpp"
#include "t/fuzz/ws_fuzz_util.hpp"

using namespace chat::ws;

namespace {

void negotiate(FieldValues fields, const DeflateOptions& options)
{
    DeflateParams params;
    Negotiation result = negotiateDeflate(fields, options, params);
    bool accepted = result == Negotiation::Accepted;
    wsfuzz::require(params.enabled == accepted);
    if (!accepted) {
        return;
    }
    wsfuzz::require(options.enabled);
    wsfuzz::require(options.serverContext || !params.serverContext);
    wsfuzz::require(options.clientContext || !params.clientContext);
    wsfuzz::require(params.serverWindowBits >= kMinWindowBits &&
                    params.serverWindowBits <= options.serverWindowBits);
    wsfuzz::require(params.clientWindowBits >= kMinWindowBits &&
                    params.clientWindowBits <= kMaxWindowBits);
    wsfuzz::require(params.clientWindowBits <= options.clientWindowBits ||
                    !params.clientContext);

    // Our answer, taken as an offer, must lead to the same agreement.
    char response[kMaxDeflateResponse];
    std::size_t size = encodeDeflateResponse(response, params);
    wsfuzz::require(size <= sizeof(response));
    std::string_view value(response, size);
    DeflateParams again;
    wsfuzz::require(negotiateDeflate(value, options, again) ==
                    Negotiation::Accepted);
    wsfuzz::require(again.serverContext == params.serverContext &&
                    again.serverWindowBits == params.serverWindowBits &&
                    again.clientWindowBits == params.clientWindowBits);
}

void selectProtocol(FieldValues fields)
{
    std::string_view ours[] = {"chat", "v2.chat"};
    std::string_view selected;
    if (selectSubprotocol(fields, {ours, 2}, selected) == Selection::Selected) {
        wsfuzz::require(selected == ours[0] || selected == ours[1]);
        wsfuzz::require(hasToken(fields, selected));
    }
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    wsfuzz::Input input(data, size);
    std::uint8_t flags = input.byte();
    std::uint8_t bits = input.byte();

    // Two fields, cut at the first line break.
    std::string_view rest = input.rest();
    std::size_t cut = rest.find('\n');
    std::string_view values[2] = {rest.substr(0, cut), {}};
    std::size_t count = 1;
    if (cut != std::string_view::npos) {
        values[1] = rest.substr(cut + 1);
        count = 2;
    }
    FieldValues fields(values, count);

    DeflateOptions options;
    options.enabled = (flags & 1) == 0;
    options.serverContext = (flags & 2) != 0;
    options.clientContext = (flags & 4) != 0;
    options.serverWindowBits = static_cast<std::uint8_t>(8 + bits % 8);
    options.clientWindowBits = static_cast<std::uint8_t>(8 + bits / 8 % 8);
    negotiate(fields, options);
    selectProtocol(fields);
    hasToken(fields, "upgrade");

    wsfuzz::require(readVersion(rest) != Version::Supported || rest == "13");
    if (isKey(rest)) {
        char accept[kAcceptSize];
        encodeAccept(accept, rest);
        wsfuzz::require(accept[kAcceptSize - 1] == '=');
    }
    return 0;
}
