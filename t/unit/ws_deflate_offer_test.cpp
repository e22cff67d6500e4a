#include "ngx_chat_module/ws/deflate_offer.hpp"

#include <string>
#include <vector>

#include "t/unit/ws_test_util.hpp"

using namespace chat::ws;

namespace {

const DeflateOptions& keeping()
{
    static const DeflateOptions options = [] {
        DeflateOptions all;
        all.enabled = true;
        all.serverContext = true;
        all.clientContext = true;
        return all;
    }();
    return options;
}

std::string answer(const std::vector<std::string_view>& fields,
                   const DeflateOptions& options = keeping())
{
    DeflateParams params;
    Negotiation result =
        negotiateDeflate({fields.data(), fields.size()}, options, params);
    ck_assert_int_eq(params.enabled, result == Negotiation::Accepted);
    if (result != Negotiation::Accepted) {
        return result == Negotiation::None ? "none" : "malformed";
    }
    char out[kMaxDeflateResponse];
    std::size_t size = encodeDeflateResponse(out, params);
    ck_assert_uint_le(size, sizeof(out));
    return std::string(out, size);
}

}  // namespace

START_TEST(plainOffers)
{
    EXPECT_EQ(answer({"permessage-deflate"}), "permessage-deflate");
    EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}),
              "permessage-deflate; client_max_window_bits=15");
    EXPECT_EQ(answer({"permessage-deflate;server_no_context_takeover"}),
              "permessage-deflate; server_no_context_takeover");
    EXPECT_EQ(answer({"permessage-deflate ; client_no_context_takeover"}),
              "permessage-deflate; client_no_context_takeover");
    EXPECT_EQ(answer({"PerMessage-Deflate; Server_No_Context_Takeover"}),
              "permessage-deflate; server_no_context_takeover");
    EXPECT_EQ(answer({}), "none");
}
END_TEST

START_TEST(everyWindow)
{
    for (int bits = 0; bits <= 20; ++bits) {
        for (const char* side : {"server", "client"}) {
            std::string parameter = std::string("; ") + side +
                                    "_max_window_bits=" + std::to_string(bits);
            std::string offer = "permessage-deflate" + parameter;
            std::string quoted = std::string("permessage-deflate; ") + side +
                                 "_max_window_bits=\"" + std::to_string(bits) +
                                 "\"";
            std::string wanted = bits >= 8 && bits <= 15 ? offer : "none";
            EXPECT_EQ(answer({offer}), wanted);
            EXPECT_EQ(answer({quoted}), wanted);
        }
    }
}
END_TEST

START_TEST(declinedOffers)
{
    for (const char* bad :
         {"permessage-deflate; unknown",
          "permessage-deflate; unknown=1",
          "permessage-deflate; server_max_window_bits",
          "permessage-deflate; server_max_window_bits=08",
          "permessage-deflate; server_max_window_bits=010",
          "permessage-deflate; server_max_window_bits=1",
          "permessage-deflate; server_max_window_bits=150",
          "permessage-deflate; server_max_window_bits=10000000000",
          "permessage-deflate; server_max_window_bits=-9",
          "permessage-deflate; client_max_window_bits=x",
          "permessage-deflate; client_max_window_bits=7",
          "permessage-deflate; client_max_window_bits=16",
          "permessage-deflate; server_no_context_takeover=1",
          "permessage-deflate; client_no_context_takeover=\"x\"",
          "permessage-deflate; server_no_context_takeover; "
          "server_no_context_takeover",
          "permessage-deflate; client_no_context_takeover; "
          "client_no_context_takeover",
          "permessage-deflate; server_max_window_bits=9; "
          "server_max_window_bits=9",
          "permessage-deflate; client_max_window_bits; "
          "client_max_window_bits=9",
          "permessage-deflate; client_max_window_bits; "
          "client_max_window_bits",
          "x-webkit-deflate-frame",
          "permessage-deflate2",
          "permessage-bzip2; client_max_window_bits"}) {
        EXPECT_EQ(answer({bad}), "none");
        EXPECT_EQ(answer({std::string(bad) + ", permessage-deflate"}),
                  "permessage-deflate");
        EXPECT_EQ(answer({bad, "permessage-deflate"}), "permessage-deflate");
    }
}
END_TEST

START_TEST(malformedFields)
{
    for (const char* bad : {"",
                            " ",
                            ",",
                            "permessage-deflate;",
                            "permessage-deflate; ;a",
                            "permessage-deflate; =9",
                            "permessage-deflate; a=",
                            "permessage-deflate; a=\"",
                            "permessage-deflate; a=\"\"",
                            "permessage-deflate; a=\"b c\"",
                            "permessage-deflate a",
                            "permessage-deflate; a b",
                            "permessage-deflate; a=b c",
                            ";a",
                            "permessage-deflate, ;a",
                            "permess\xc3\xa9",
                            "permessage-deflate; a=,",
                            "\"permessage-deflate\"",
                            "permessage-deflate@",
                            "permessage-deflate; a=\"b\"c"}) {
        EXPECT_EQ(answer({bad}), "malformed");
        if (bad[0] != '\0' && bad[0] != ' ' && bad[0] != ',') {
            EXPECT_EQ(answer({std::string("permessage-deflate, ") + bad}),
                      "malformed");
            EXPECT_EQ(answer({"permessage-deflate", bad}), "malformed");
        }
    }
    DeflateOptions off;
    EXPECT_EQ(answer({"permessage-deflate;"}, off), "malformed");
    EXPECT_EQ(answer({"permessage-deflate"}, off), "none");
}
END_TEST

START_TEST(firstGoodOfferWins)
{
    EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=10, "
                      "permessage-deflate"}),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answer({"foo; bar=\"baz\", ,permessage-deflate",
                      "permessage-deflate; client_max_window_bits"}),
              "permessage-deflate");
    EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits=\"1\\0\""}),
              "permessage-deflate; client_max_window_bits=10");
}
END_TEST

START_TEST(ourOwnLimits)
{
    DeflateOptions options = keeping();
    options.serverContext = false;
    EXPECT_EQ(answer({"permessage-deflate"}, options),
              "permessage-deflate; server_no_context_takeover");
    options.clientContext = false;
    EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, options),
              "permessage-deflate; server_no_context_takeover; "
              "client_no_context_takeover; client_max_window_bits=15");

    options = keeping();
    options.serverWindowBits = 11;
    options.clientWindowBits = 10;
    EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=14; "
                      "client_max_window_bits=12"},
                     options),
              "permessage-deflate; server_max_window_bits=11; "
              "client_max_window_bits=10");
    EXPECT_EQ(answer({"permessage-deflate; server_max_window_bits=9; "
                      "client_max_window_bits=8"},
                     options),
              "permessage-deflate; server_max_window_bits=9; "
              "client_max_window_bits=8");
    EXPECT_EQ(answer({"permessage-deflate; client_max_window_bits"}, options),
              "permessage-deflate; client_max_window_bits=10");
    // A client that cannot promise a small window may not keep its context.
    EXPECT_EQ(answer({"permessage-deflate"}, options),
              "permessage-deflate; client_no_context_takeover");
}
END_TEST

START_TEST(paramsOfASession)
{
    DeflateParams params;
    DeflateOptions options = keeping();
    options.serverWindowBits = 12;
    ck_assert(negotiateDeflate(std::string_view("permessage-deflate; "
                                                "client_no_context_takeover; "
                                                "client_max_window_bits=9"),
                               options, params) == Negotiation::Accepted);
    ck_assert(params.enabled && params.serverContext && !params.clientContext);
    ck_assert_int_eq(params.serverWindowBits, 12);
    ck_assert_int_eq(params.clientWindowBits, 9);
}
END_TEST

int main()
{
    return wstest::runTests(
        "ws deflate offer",
        {plainOffers, everyWindow, declinedOffers, malformedFields,
         firstGoodOfferWins, ourOwnLimits, paramsOfASession});
}
