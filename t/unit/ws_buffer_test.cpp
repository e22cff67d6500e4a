#include "ngx_chat_module/ws/buffer.hpp"

#include <string>
#include <utility>

#include "t/unit/ws_test_util.hpp"

using chat::ws::Buffer;

START_TEST(appendsAndReleases)
{
    Buffer buffer;
    ck_assert_ptr_null(buffer.data());
    ck_assert(buffer.append(nullptr, 0));
    ck_assert_ptr_null(buffer.data());
    std::string wanted;
    for (int i = 0; i < 1000; ++i) {
        std::string piece(static_cast<std::size_t>(i % 7),
                          static_cast<char>(i));
        wanted += piece;
        ck_assert(buffer.append(piece.data(), piece.size()));
    }
    EXPECT_EQ(buffer.view(), wanted);
    buffer.clear();
    ck_assert(buffer.empty() && buffer.capacity() != 0);
    buffer.release();
    ck_assert_uint_eq(buffer.capacity(), 0);
    ck_assert_uint_le(sizeof(Buffer), 16);
}
END_TEST

START_TEST(growsWithinTheLimit)
{
    Buffer buffer;
    std::string piece(100, 'x');
    for (int i = 0; i < 10; ++i) {
        ck_assert(buffer.append(piece.data(), piece.size(), 1000));
        ck_assert_uint_le(buffer.capacity(), 1000);
    }
    // A need over the limit is met: the limit only bounds what is spare.
    ck_assert(buffer.append("y", 1, 1000));
    ck_assert_uint_eq(buffer.capacity(), 1001);
    ck_assert_uint_eq(buffer.size(), 1001);
}
END_TEST

START_TEST(refusesWhatItCannotHold)
{
    Buffer buffer;
    ck_assert(buffer.append("abc", 3));
    ck_assert(!buffer.reserve(UINT32_MAX));
    ck_assert(!buffer.reserve(SIZE_MAX));
    EXPECT_EQ(buffer.view(), "abc");
}
END_TEST

START_TEST(moves)
{
    Buffer first;
    ck_assert(first.append("abc", 3));
    Buffer second(std::move(first));
    EXPECT_EQ(second.view(), "abc");
    Buffer third;
    ck_assert(third.append("xyz", 3));
    third = std::move(second);
    EXPECT_EQ(third.view(), "abc");
}
END_TEST

int main()
{
    return wstest::runTests("ws buffer",
                            {appendsAndReleases, growsWithinTheLimit,
                             refusesWhatItCannotHold, moves});
}
