#include "ngx_chat_module/ws/mask.hpp"

#include <string>

#include "t/unit/ws_test_util.hpp"

using chat::ws::applyMask;

namespace {

std::string pattern(std::size_t size)
{
    std::string out;
    for (std::size_t i = 0; i < size; ++i) {
        out.push_back(static_cast<char>(i * 37 + 11));
    }
    return out;
}

std::string maskSlowly(std::string text, const unsigned char (&key)[4])
{
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<char>(text[i] ^ key[i % 4]);
    }
    return text;
}

}  // namespace

START_TEST(everySizeAndAlignment)
{
    const unsigned char key[4] = {0x12, 0xf4, 0x56, 0x9a};
    std::uint32_t word;
    std::memcpy(&word, key, 4);
    for (std::size_t offset = 0; offset < 17; ++offset) {
        for (std::size_t size = 0; size < 200; ++size) {
            std::string block = std::string(offset, '-') + pattern(size) + "-";
            applyMask(reinterpret_cast<unsigned char*>(block.data()) + offset,
                      size, word);
            EXPECT_EQ(block, std::string(offset, '-') +
                                 maskSlowly(pattern(size), key) + "-");
        }
    }
}
END_TEST

START_TEST(goesOnWhereItStopped)
{
    const unsigned char key[4] = {1, 2, 3, 4};
    std::uint32_t word;
    std::memcpy(&word, key, 4);
    std::string wanted = maskSlowly(pattern(150), key);
    for (std::size_t cut = 0; cut <= 150; ++cut) {
        std::string text = pattern(150);
        auto* data = reinterpret_cast<unsigned char*>(text.data());
        std::uint32_t turned = applyMask(data, cut, word);
        applyMask(data + cut, 150 - cut, turned);
        EXPECT_EQ(text, wanted);
    }
}
END_TEST

int main()
{
    return wstest::runTests("ws mask",
                            {everySizeAndAlignment, goesOnWhereItStopped});
}
