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
long blocks = 0;        // allocated and not freed while counting
std::size_t asked = 0;  // bytes, while counting
bool counting = false;

bool mayAllocate()
{
    if (failAfter < 0) {
        return true;
    }
    return failAfter-- != 0;
}

}  // namespace

// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
// The names are glibc's.
extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_realloc(void* block, std::size_t size);
void __libc_free(void* block);

void* malloc(std::size_t size)
{
    void* block = mayAllocate() ? __libc_malloc(size) : nullptr;
    blocks += counting && block != nullptr ? 1 : 0;
    asked += counting ? size : 0;
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
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

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

// What the documentation says of the memory of a context is what it takes.
START_TEST(memoryOfContexts)
{
    const std::string text = noise(70000);
    Buffer packed;
    Buffer out;
    ck_assert(packed.reserve(100000) && out.reserve(100000));
    for (int bits = kMinWindowBits; bits <= kMaxWindowBits; ++bits) {
        for (int memLevel = 1; memLevel <= 9; ++memLevel) {
            asked = 0;
            counting = true;
            Deflater* deflater = Deflater::create(bits, 6, memLevel);
            packed.clear();
            deflater->message(text, packed);
            counting = false;
            delete deflater;
            std::size_t stated = deflaterMemory(bits, memLevel);
            ck_assert_uint_le(asked, stated);
            ck_assert_uint_ge(asked, stated - 2048);
        }
        asked = 0;
        counting = true;
        Inflater* inflater = Inflater::create(bits);
        out.clear();
        inflater->feed(packed.data(), packed.size(), out, 90000);
        counting = false;
        delete inflater;
        ck_assert_uint_le(asked, inflaterMemory(bits));
        ck_assert_uint_ge(asked, inflaterMemory(bits) - 1024);
    }
}
END_TEST

int main()
{
    return runTests("ws without memory",
                    {assembler, assemblerWithDeflate, compressor, holedBody,
                     memoryOfContexts});
}

#endif
