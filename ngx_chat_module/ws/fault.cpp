#include "fault.hpp"

#include "close_code.hpp"

namespace chat::ws {

std::uint16_t closeCodeOf(Fault fault)
{
    switch (fault) {
    case Fault::None:
        return 0;
    case Fault::MessageTooBig:
        return kCloseTooBig;
    case Fault::TooManyFragments:
        return kClosePolicyViolation;
    case Fault::InvalidUtf8:
    case Fault::InvalidCompressedData:
        return kCloseInvalidData;
    case Fault::NoMemory:
        return kCloseInternalError;
    default:
        return kCloseProtocolError;
    }
}

const char* describe(Fault fault)
{
    switch (fault) {
    case Fault::None:
        return "no fault";
    case Fault::ReservedBit:
        return "reserved bit set";
    case Fault::ReservedOpcode:
        return "reserved opcode";
    case Fault::NotMasked:
        return "frame not masked";
    case Fault::ControlFragmented:
        return "control frame fragmented";
    case Fault::ControlTooLong:
        return "control frame too long";
    case Fault::LengthNotMinimal:
        return "length not in its shortest form";
    case Fault::LengthTooLarge:
        return "length with its top bit set";
    case Fault::NothingToContinue:
        return "continuation without a message";
    case Fault::MessageNotFinished:
        return "new message inside a fragmented one";
    case Fault::MessageTooBig:
        return "message too big";
    case Fault::TooManyFragments:
        return "too many fragments";
    case Fault::InvalidUtf8:
        return "invalid UTF-8";
    case Fault::ClosePayloadTooShort:
        return "close frame of one byte";
    case Fault::CloseCodeInvalid:
        return "invalid close code";
    case Fault::InvalidCompressedData:
        return "invalid compressed data";
    case Fault::NoMemory:
        return "out of memory";
    }
    return "unknown fault";
}

}  // namespace chat::ws
