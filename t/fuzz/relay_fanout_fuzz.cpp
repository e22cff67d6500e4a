// FANOUT payloads: what parse() accepts can be walked within its bounds, and
// built again from its parts it gives the same bytes.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "shared/relay_fanout.hpp"

using namespace chat::relay;

namespace {

void require(bool condition)
{
    if (!condition) {
        std::abort();
    }
}

// The parts of one recipient, and its message put together a second way.
void rebuild(const FanoutView& view, const FanoutView::Recipient& to,
             FanoutBuilder* builder)
{
    std::vector<std::uint64_t> sessions;
    std::vector<std::string_view> texts;
    const char* text = to.texts();
    std::string wanted;

    for (std::size_t i = 0; i < to.sessions(); ++i) {
        sessions.push_back(to.session(i));
    }
    for (std::size_t i = 0; i < view.holes(); ++i) {
        texts.emplace_back(text, to.textSize(i));
        text += to.textSize(i);
        wanted.append(view.piece(i)).append(texts.back());
    }
    wanted.append(view.piece(view.holes()));

    std::string message(to.messageSize(), '\0');
    require(to.compose(message.data()) == message.data() + message.size());
    require(message == wanted);

    builder->add(to.mark(), sessions.data(), sessions.size(), texts.data());
}

}  // namespace

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer calls it so.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data,
                                      std::size_t size)
{
    std::vector<char> memory(data, data + size);
    std::string_view payload(memory.data(), memory.size());
    FanoutView view;

    if (!view.parse(payload)) {
        return 0;
    }

    std::vector<std::uint32_t> offsets;
    std::size_t offset = 0;

    for (std::size_t i = 0; i < view.holes(); ++i) {
        offset += view.piece(i).size();
        offsets.push_back(static_cast<std::uint32_t>(offset));
    }

    std::string out;
    FanoutBuilder builder(&out, view.body(), offsets.data(), offsets.size());
    std::uint32_t count = 0;

    for (auto to = view.first(); !to.atEnd(); to.next()) {
        rebuild(view, to, &builder);
        ++count;
    }

    require(count == view.recipients());
    require(builder.finish() == (count > 0));
    require(count == 0 || out.substr(kHeaderSize) == payload);
    return 0;
}
