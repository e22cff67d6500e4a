// Every allocation of the library fails once: it must say so, crash never and
// leak nothing. The replaced malloc cannot live with AddressSanitizer, which
// has its own; a sanitized build leaves this test out.

#include <cerrno>
#include <cstdlib>
#include <string>

#include "ngx_chat_module/ws/holed_body.hpp"
#include "t/unit/ws_deflate_util.hpp"

using namespace chat::ws;
using namespace wstest;

#if defined(__SANITIZE_ADDRESS__)

int main()
{
    return 0;
}

#else

namespace {

// Allocations to go until one fails; negative: none fails.
long failAfter = -1;
long blocks = 0;  // allocated and not freed while counting
bool counting = false;

bool mayAllocate()
{
    if (failAfter < 0) {
        return true;
    }
    return failAfter-- != 0;
}

}  // namespace

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size)
{
    void* block = mayAllocate() ? __libc_malloc(size) : nullptr;
    blocks += counting && block != nullptr ? 1 : 0;
    return block;
}

void* realloc(void* old, std::size_t size)
{
    void* block = mayAllocate() ? __libc_realloc(old, size) : nullptr;
    blocks += counting && old == nullptr && block != nullptr ? 1 : 0;
    return block;
}

void free(void* block)
{
    blocks -= counting && block != nullptr ? 1 : 0;
    __libc_free(block);
}

}  // extern "C"

namespace {

// Runs `work` again and again with allocation 0, 1, 2, ... failing until it
// needs no more than that. work() says whether it got through; it must not use
// Check's macros, which allocate.
template <typename Work>
void failEach(Work work)
{
    long failed = 0;
    for (;; ++failed) {
        ck_assert_int_lt(failed, 1000);
        blocks = 0;
        counting = true;
        failAfter = failed;
        bool through = work();
        bool allGiven = failAfter >= 0;
        failAfter = -1;
        counting = false;
        ck_assert_int_eq(blocks, 0);
        ck_assert_int_eq(through, allGiven);
        if (through) {
            break;
        }
    }
    ck_assert_int_gt(failed, 0);
}

// True: all events came; false: the fault was NoMemory.
bool receive(std::string& stream, std::size_t step, const DeflateParams& params,
             DeflatePool& pool, int messages)
{
    ReceiveOptions options;
    options.pool = &pool;
    Assembler assembler(&options, params);
    auto* pos = reinterpret_cast<unsigned char*>(stream.data());
    unsigned char* last = pos + stream.size();
    while (pos != last) {
        unsigned char* end = pos + step < last ? pos + step : last;
        for (;;) {
            Event event = assembler.next(pos, end);
            if (event.type == Event::Type::None) {
                break;
            }
            if (event.type == Event::Type::Fault) {
                return event.fault != Fault::NoMemory;
            }
            --messages;
        }
    }
    return messages == 0;
}

}  // namespace

START_TEST(assembler)
{
    std::string plain = frame(0x02, std::string(500, 'x')) +
                        frame(0x89, "ping") +
                        frame(0x80, std::string(500, 'y'));
    std::string stream = plain;
    failEach([&] {
        plain.copy(stream.data(), plain.size());  // it is unmasked in place
        DeflatePool pool;
        return receive(stream, 7, {}, pool, 2);
    });
}
END_TEST

START_TEST(assemblerWithDeflate)
{
    std::string packed = frame(0xc2, PeerDeflater().message(sentences(2000)));
    DeflateParams params;
    params.enabled = true;
    for (bool keep : {false, true}) {
        params.clientContext = keep;
        std::string stream = packed;
        failEach([&] {
            packed.copy(stream.data(), packed.size());
            DeflatePool pool;
            return receive(stream, 50, params, pool, 1);
        });
    }
}
END_TEST

START_TEST(compressor)
{
    const std::string text = sentences(2000);
    DeflateOptions options;
    DeflateParams params;
    params.enabled = true;
    for (bool keep : {false, true}) {
        params.serverContext = keep;
        failEach([&] {
            DeflatePool pool;
            Compressor one;
            one.start(params);
            Buffer out;
            Compressor::Result result = one.compress(options, pool, text, out);
            return result == Compressor::Result::Compressed && !out.empty();
        });
    }
}
END_TEST

START_TEST(holedBody)
{
    const std::string text = sentences(2000);
    std::uint32_t offsets[] = {0, 1000};
    failEach([&] {
        DeflatePool pool;
        HoledBody holed;
        Deflater* deflater = pool.deflater(15, 6, 8);
        return deflater != nullptr && holed.build(*deflater, text, offsets, 2);
    });
}
END_TEST

int main()
{
    return runTests("ws without memory",
                    {assembler, assemblerWithDeflate, compressor, holedBody});
}

#endif
