#include "ngx_chat_module/ws/fault.hpp"

#include <set>
#include <string>

#include "ngx_chat_module/ws/close_code.hpp"
#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;

START_TEST(codeOfEveryFault)
{
    std::set<std::string> texts;
    for (int i = 0; i <= static_cast<int>(Fault::NoMemory); ++i) {
        auto fault = static_cast<Fault>(i);
        std::string text = describe(fault);
        ck_assert_msg(texts.insert(text).second, "%s twice", text.c_str());
        ck_assert_uint_le(text.size(), 123);
        ck_assert(text != "unknown fault");
        ck_assert_int_eq(closeCodeAllowed(closeCodeOf(fault)),
                         fault != Fault::None);
    }
    ck_assert_int_eq(closeCodeOf(Fault::None), 0);
    ck_assert_int_eq(closeCodeOf(Fault::ReservedBit), 1002);
    ck_assert_int_eq(closeCodeOf(Fault::NotMasked), 1002);
    ck_assert_int_eq(closeCodeOf(Fault::InvalidUtf8), 1007);
    ck_assert_int_eq(closeCodeOf(Fault::InvalidCompressedData), 1007);
    ck_assert_int_eq(closeCodeOf(Fault::TooManyFragments), 1008);
    ck_assert_int_eq(closeCodeOf(Fault::MessageTooBig), 1009);
    ck_assert_int_eq(closeCodeOf(Fault::NoMemory), 1011);
    EXPECT_EQ(describe(static_cast<Fault>(200)), "unknown fault");
}
END_TEST

int main()
{
    return wstest::runTests("ws fault", {codeOfEveryFault});
}
