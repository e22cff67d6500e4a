// What the tests of ngx_chat_module/ws share: client frames and a feeder that
// gives bytes in pieces of any size from heap blocks of exactly that size, so
// that AddressSanitizer sees a read beyond the end.

#pragma once

#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "t/unit/ws_assembler_memory.hpp"

// Last: it defines a macro `fail` that the standard library's headers cannot
// live with.
#include <check.h>
#include "t/unit/run_tests.hpp"

// Compares two strings; both may be temporaries.
#define EXPECT_EQ(actual, wanted)                                          \
    do {                                                                   \
        std::string difference = wstest::compare(#actual, actual, wanted); \
        ck_assert_msg(difference.empty(), "%s", difference.c_str());       \
    } while (false)

namespace wstest {

// Empty if they are equal, else what to say.
inline std::string compare(std::string_view expression, std::string_view actual,
                           std::string_view wanted)
{
    if (actual == wanted) {
        return {};
    }
    std::string out(expression);
    out.append(": '").append(actual).append("', wanted '").append(wanted);
    return out.append("'");
}

inline int runTests(const char* name, std::initializer_list<const TTest*> tests)
{
    return chat::test::runTests(name, tests, 120);
}

inline std::string bytes(std::initializer_list<int> values)
{
    std::string out;
    for (int value : values) {
        out.push_back(static_cast<char>(value));
    }
    return out;
}

// How a frame's length is written; Shortest is the only right one.
enum class LengthForm { Shortest, Sixteen, SixtyFour };

// A masked client frame with any first byte.
inline std::string frame(int first, std::string_view payload,
                         LengthForm form = LengthForm::Shortest,
                         std::uint32_t key = 0xa55a3cc3)
{
    std::string out(1, static_cast<char>(first));
    std::uint64_t size = payload.size();
    int width = form == LengthForm::Sixteen     ? 2
                : form == LengthForm::SixtyFour ? 8
                : size < 126                    ? 0
                : size <= 0xffff                ? 2
                                                : 8;
    int code = width == 0 ? static_cast<int>(size) : width == 2 ? 126 : 127;
    out.push_back(static_cast<char>(0x80 | code));
    for (int i = width - 1; i >= 0; --i) {
        out.push_back(static_cast<char>(size >> (8 * i)));
    }
    unsigned char mask[4];
    std::memcpy(mask, &key, 4);
    out.append(reinterpret_cast<char*>(mask), 4);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        out.push_back(static_cast<char>(payload[i] ^ mask[i % 4]));
    }
    return out;
}

inline std::string text(std::string_view payload)
{
    return frame(0x81, payload);
}

inline std::string closeFrame(int code, std::string_view reason = {})
{
    return frame(0x88, bytes({code >> 8, code & 0xff}) + std::string(reason));
}

// An event in one line, for comparison.
inline std::string line(const chat::ws::Event& event)
{
    using Type = chat::ws::Event::Type;
    std::string data(event.data);
    switch (event.type) {
    case Type::None:
        return "none";
    case Type::Text:
        return "text " + data;
    case Type::Binary:
        return "binary " + data;
    case Type::Ping:
        return "ping " + data;
    case Type::Pong:
        return "pong " + data;
    case Type::Close:
        return "close " + std::to_string(event.code) + " " + data;
    case Type::Fault:
        return "fault " + std::to_string(event.code) + " " +
               chat::ws::describe(event.fault);
    }
    return "?";
}

// Feeds one piece and adds the lines of its events.
inline void feedPiece(chat::ws::Assembler& assembler, std::string_view piece,
                      std::vector<std::string>& lines)
{
    std::unique_ptr<unsigned char[]> block(new unsigned char[piece.size()]);
    std::memcpy(block.get(), piece.data(), piece.size());
    unsigned char* pos = block.get();
    unsigned char* end = pos + piece.size();
    for (;;) {
        chat::ws::Event event = assembler.next(pos, end);
        if (event.type == chat::ws::Event::Type::None) {
            return;
        }
        lines.push_back(line(event));
    }
}

// The events of a stream given in pieces of `step` bytes (0: in one).
inline std::vector<std::string> events(
    std::string_view stream, std::size_t step,
    const chat::ws::ReceiveOptions& options,
    const chat::ws::DeflateParams& deflate = {})
{
    std::vector<std::string> lines;
    chat::ws::Assembler assembler(&options, deflate);
    if (step == 0 || step > stream.size()) {
        step = stream.size();
    }
    for (std::size_t i = 0; i < stream.size(); i += step) {
        feedPiece(assembler, stream.substr(i, step), lines);
    }
    return lines;
}

inline std::string joined(const std::vector<std::string>& lines)
{
    std::string out;
    for (const std::string& one : lines) {
        out += (out.empty() ? "" : " | ") + one;
    }
    return out;
}

// The same, one line; the result must not depend on the step.
inline std::string run(std::string_view stream,
                       const chat::ws::ReceiveOptions& options = {},
                       const chat::ws::DeflateParams& deflate = {})
{
    std::string whole = joined(events(stream, 0, options, deflate));
    for (std::size_t step : {1, 2, 3, 5, 7, 64, 1000}) {
        std::string cut = joined(events(stream, step, options, deflate));
        if (cut != whole) {
            std::string out = "in one: ";
            out.append(whole).append("; in steps of ");
            return out.append(std::to_string(step)).append(": ").append(cut);
        }
    }
    return whole;
}

}  // namespace wstest
