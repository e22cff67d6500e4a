// receipts.hpp: tickets in any order.

#include "worker/receipts.hpp"

#include <check.h>

#include <cstdlib>
#include <random>
#include <vector>

namespace {

using namespace chat::relay;

START_TEST(testCountHasNoGap)
{
    auto receipts = std::make_shared<Receipts>();
    std::vector<MessageTicket> tickets;

    for (std::size_t i = 0; i < 4; ++i) {
        tickets.emplace_back(receipts, 10);
    }
    ck_assert_uint_eq(receipts->pending(), 4);
    ck_assert_uint_eq(receipts->pendingBytes(), 40);

    tickets[1].done();
    tickets[3].done();
    ck_assert_uint_eq(receipts->completed(), 0);
    ck_assert_uint_eq(receipts->pending(), 2);
    ck_assert_uint_eq(receipts->window(), 4);

    tickets[0].done();
    ck_assert_uint_eq(receipts->completed(), 2);
    ck_assert_uint_eq(receipts->window(), 2);

    tickets[2].done();
    ck_assert_uint_eq(receipts->completed(), 4);
    ck_assert_uint_eq(receipts->pending(), 0);
    ck_assert_uint_eq(receipts->pendingBytes(), 0);
    ck_assert_uint_eq(receipts->window(), 0);
}
END_TEST

START_TEST(testTicketsEndOnce)
{
    auto receipts = std::make_shared<Receipts>();
    int calls = 0;
    receipts->onFinish = [&calls] {
        ++calls;
    };

    {
        MessageTicket first(receipts, 1);
        MessageTicket moved(std::move(first));
        ck_assert(!first);
        ck_assert(moved);
        first.done();
        ck_assert_int_eq(calls, 0);

        MessageTicket other(receipts, 1);
        other = std::move(moved);  // ends the message that `other` stood for
        ck_assert_int_eq(calls, 1);
        ck_assert_uint_eq(receipts->completed(), 0);
        other.done();
        other.done();
        ck_assert_int_eq(calls, 2);
    }
    ck_assert_int_eq(calls, 2);
    ck_assert_uint_eq(receipts->completed(), 2);
}
END_TEST

START_TEST(testRandomOrder)
{
    std::mt19937 random(1);
    auto receipts = std::make_shared<Receipts>();
    std::vector<MessageTicket> open;
    std::uint64_t last = 0;

    for (int i = 0; i < 20000; ++i) {
        if (open.empty() || random() % 2 == 0) {
            open.emplace_back(receipts, i % 7);
        } else {
            std::swap(open[random() % open.size()], open.back());
            open.pop_back();
        }
        ck_assert_uint_eq(receipts->pending(), open.size());
        ck_assert_uint_ge(receipts->completed(), last);
        last = receipts->completed();
    }

    open.clear();
    ck_assert_uint_eq(receipts->pending(), 0);
    ck_assert_uint_eq(receipts->pendingBytes(), 0);
    ck_assert_uint_eq(receipts->window(), 0);
}
END_TEST

START_TEST(testTicketsOutliveTheirOwner)
{
    MessageTicket ticket;
    {
        auto receipts = std::make_shared<Receipts>();
        ticket = MessageTicket(receipts, 5);
    }
    ck_assert(ticket);
    ticket.done();
    ck_assert(!ticket);
}
END_TEST

Suite* receiptsSuite()
{
    Suite* suite = suite_create("relay receipts");
    TCase* tests = tcase_create("receipts");
    tcase_add_test(tests, testCountHasNoGap);
    tcase_add_test(tests, testTicketsEndOnce);
    tcase_add_test(tests, testRandomOrder);
    tcase_add_test(tests, testTicketsOutliveTheirOwner);
    suite_add_tcase(suite, tests);
    return suite;
}

}  // namespace

int main()
{
    SRunner* runner = srunner_create(receiptsSuite());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
