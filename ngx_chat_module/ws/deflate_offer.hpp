// Negotiation of permessage-deflate: Sec-WebSocket-Extensions of a client's
// handshake (RFC 6455 section 9.1, RFC 7692 sections 5 and 7.1).

#pragma once

#include <cstddef>
#include <string_view>

#include "deflate.hpp"
#include "handshake.hpp"

namespace chat::ws {

inline constexpr std::size_t kMaxDeflateResponse = 160;

enum class Negotiation {
    None,       // nothing asked for that we take: no header in the response
    Accepted,   // params are set: answer with encodeDeflateResponse()
    Malformed,  // not as the grammar says: the handshake must fail
};

// `fields`: the values of all Sec-WebSocket-Extensions fields in the order in
// which they came. Other extensions are passed over; of several
// permessage-deflate offers the first that we can meet is taken, and offers
// with an unknown, repeated or wrong parameter are declined. Where the options
// ask for a client window smaller than 2^15 and the client cannot promise one,
// it is told to keep no context, so that the bound on memory holds.
Negotiation negotiateDeflate(FieldValues fields, const DeflateOptions& options,
                             DeflateParams& params);

// The value of our Sec-WebSocket-Extensions to `out`, which has room for
// kMaxDeflateResponse bytes; returns its size.
std::size_t encodeDeflateResponse(char* out, const DeflateParams& params);

}  // namespace chat::ws
