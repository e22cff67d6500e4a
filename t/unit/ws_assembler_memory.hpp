// Looks into an Assembler, for tests and fuzzers.

#pragma once

#include <cstddef>

#include "ngx_chat_module/ws/assembler.hpp"

namespace chat::ws {

struct AssemblerMemory {
    static std::size_t of(const Assembler& assembler)
    {
        const auto* partial = assembler.partial_;
        return partial == nullptr
                   ? 0
                   : sizeof(*partial) + partial->message.capacity() +
                         partial->packed.capacity() +
                         partial->control.capacity();
    }
};

// Heap bytes that it holds now, the kept deflate context aside.
inline std::size_t held(const Assembler& assembler)
{
    return AssemblerMemory::of(assembler);
}

}  // namespace chat::ws
