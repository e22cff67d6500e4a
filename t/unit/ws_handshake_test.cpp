#include "ngx_chat_module/ws/handshake.hpp"

#include <string>
#include <vector>

#include "ngx_chat_module/ws/field_reader.hpp"
#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;

namespace {

std::string accept(std::string_view key)
{
    char out[kAcceptSize];
    encodeAccept(out, key);
    return std::string(out, sizeof(out));
}

std::string select(const std::vector<std::string_view>& offered,
                   const std::vector<std::string_view>& ours)
{
    std::string_view selected;
    switch (selectSubprotocol({offered.data(), offered.size()},
                              {ours.data(), ours.size()}, selected)) {
    case Selection::None:
        return "none";
    case Selection::Malformed:
        return "malformed";
    case Selection::Selected:
        return std::string(selected);
    }
    return "?";
}

}  // namespace

START_TEST(acceptOfRfcExample)
{
    EXPECT_EQ(accept("dGhlIHNhbXBsZSBub25jZQ=="),
              "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    EXPECT_EQ(accept("x3JJHMbDL1EzLkh9GBhXDw=="),
              "HSmrc0sMlYUkAGmm5OPpG2HaGWk=");
}
END_TEST

START_TEST(keyIsBase64OfSixteenBytes)
{
    ck_assert(isKey("dGhlIHNhbXBsZSBub25jZQ=="));
    ck_assert(isKey("+/+/+/+/+/+/+/+/+/+/+w=="));
    ck_assert(isKey("AAAAAAAAAAAAAAAAAAAAAB=="));
    for (std::string_view bad :
         {"", "dGhlIHNhbXBsZSBub25jZQ",
          "dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub25jZQ===",
          "dGhlIHNhbXBsZSBub25jZWE=", "dGhlIHNhbXBsZSBub25jZWFh",
          "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25j-Q==",
          "dGhlIHNhbXBsZSBub25j_Q==", "dGhlIHNhbXBsZSBub25j Q==",
          " dGhlIHNhbXBsZSBub25jZQ=", "dGhlIHNhbXBsZSBub2==ZQ=="}) {
        ck_assert_msg(!isKey(bad), "%s", bad.data());
    }
}
END_TEST

START_TEST(everyVersion)
{
    for (int version = 0; version <= 300; ++version) {
        Version wanted = version == 13    ? Version::Supported
                         : version <= 255 ? Version::Unsupported
                                          : Version::Malformed;
        ck_assert_int_eq(static_cast<int>(readVersion(std::to_string(version))),
                         static_cast<int>(wanted));
    }
    for (std::string_view bad :
         {"", "013", "0013", "00", "1300", "13 ", " 13", "+13", "-1", "1a", "x",
          "13,8", "99999999999999999999"}) {
        ck_assert_msg(readVersion(bad) == Version::Malformed, "%s", bad.data());
    }
}
END_TEST

START_TEST(tokensOfConnectionAndUpgrade)
{
    for (std::string_view good :
         {"upgrade", "Upgrade", "UPGRADE", "keep-alive, Upgrade",
          "Upgrade,keep-alive", " ,, upgrade\t,", "a,\tUpGrAdE "}) {
        ck_assert_msg(hasToken(good, "upgrade"), "%s", good.data());
    }
    for (std::string_view bad :
         {"", ",", "upgraded", "xupgrade", "up grade", "keep-alive",
          "\"upgrade\"", "upgrade/1", "upgrade;q=1"}) {
        ck_assert_msg(!hasToken(bad, "upgrade"), "%s", bad.data());
    }
    std::string_view two[] = {"keep-alive", "upgrade"};
    ck_assert(hasToken({two, 2}, "upgrade"));
    ck_assert(!hasToken({two, 1}, "upgrade"));
    ck_assert(!hasToken({}, "upgrade"));
}
END_TEST

START_TEST(subprotocolByTheClientsPreference)
{
    EXPECT_EQ(select({"chat, superchat"}, {"superchat"}), "superchat");
    EXPECT_EQ(select({"b, a"}, {"a", "b"}), "b");
    EXPECT_EQ(select({"x", "y, a"}, {"a", "b"}), "a");
    EXPECT_EQ(select({"Chat"}, {"chat"}), "none");
    EXPECT_EQ(select({"chat"}, {}), "none");
    EXPECT_EQ(select({}, {"chat"}), "none");
    EXPECT_EQ(select({",chat ,, x,"}, {"chat"}), "chat");
}
END_TEST

START_TEST(malformedSubprotocols)
{
    for (std::string_view bad :
         {"", ",", " ", "chat chat2", "chat;a", "\"chat\"", "chat, chat",
          "chat, a b", "a=b", "chat/1", "caf\xc3\xa9", "chat\x7f", "chat@x"}) {
        ck_assert_msg(select({bad}, {"chat"}) == "malformed", "'%s'",
                      bad.data());
    }
    EXPECT_EQ(select({"chat", "chat"}, {"chat"}), "malformed");
    EXPECT_EQ(select({"chat", ""}, {"chat"}), "chat");

    std::string many = "p0";
    for (int i = 1; i < 100; ++i) {
        many += ",p" + std::to_string(i);
    }
    EXPECT_EQ(select({many}, {"p1"}), "malformed");
}
END_TEST

int main()
{
    return wstest::runTests(
        "ws handshake",
        {acceptOfRfcExample, keyIsBase64OfSixteenBytes, everyVersion,
         tokensOfConnectionAndUpgrade, subprotocolByTheClientsPreference,
         malformedSubprotocols});
}
