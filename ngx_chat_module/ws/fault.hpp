// What can be wrong with the bytes of a client, with the close code that each
// fault ends the connection with and a sentence for the log.

#pragma once

#include <cstdint>

namespace chat::ws {

enum class Fault : std::uint8_t {
    None,
    ReservedBit,            // RSV bit that no extension gave a meaning to
    ReservedOpcode,         // 3-7, 11-15
    NotMasked,              // RFC 6455 section 5.1
    ControlFragmented,      // control frame without FIN
    ControlTooLong,         // control frame of more than 125 bytes
    LengthNotMinimal,       // section 5.2: the minimal number of bytes
    LengthTooLarge,         // top bit of the 64-bit length
    NothingToContinue,      // continuation frame without a message
    MessageNotFinished,     // text or binary frame inside a message
    MessageTooBig,          // over Limits::maxMessage
    TooManyFragments,       // over Limits::maxFragments
    InvalidUtf8,            // text message or close reason
    ClosePayloadTooShort,   // close frame of one byte
    CloseCodeInvalid,       // close code that must not be sent
    InvalidCompressedData,  // RFC 7692: cannot be inflated
    NoMemory,
};

// The code to close with; 0 for Fault::None.
std::uint16_t closeCodeOf(Fault fault);

// A short English phrase, never null; fits a close frame's reason.
const char* describe(Fault fault);

}  // namespace chat::ws
