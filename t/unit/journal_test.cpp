// The frames that nginx keeps until chat-worker has confirmed them.

#include <check.h>

#include <cstdlib>
#include <string>
#include <vector>

#include "ngx_chat_module/journal.cpp"

namespace {

using chat::Journal;
using chat::relay::Kind;

constexpr std::size_t kHeader = chat::relay::kHeaderSize;

void message(Journal* journal, std::uint64_t id, std::string_view text)
{
    ck_assert(journal->append(Kind::Message, 0, 0, id, text));
}

// Sends everything in pieces of at most `piece` bytes.
std::string sendAll(Journal* journal, std::size_t piece)
{
    std::string wire;
    for (;;) {
        std::string_view bytes = journal->next().substr(0, piece);
        if (bytes.empty()) {
            return wire;
        }
        wire.append(bytes);
        journal->sent(bytes.size());
    }
}

std::vector<std::uint64_t> confirm(Journal* journal, std::uint64_t count)
{
    std::vector<std::uint64_t> ids;
    ck_assert(
        journal->confirm(count, [&](std::uint64_t id) { ids.push_back(id); }));
    return ids;
}

std::vector<std::string> unconfirmed(const Journal& journal)
{
    std::vector<std::string> texts;
    journal.forEachUnconfirmed([&](std::string_view frame) {
        texts.emplace_back(frame.substr(kHeader));
    });
    return texts;
}

START_TEST(sends_in_order_whatever_the_pieces)
{
    std::string first;
    for (std::size_t piece : {1, 7, 1000, 1 << 20}) {
        Journal journal;
        for (std::uint64_t i = 0; i < 300; ++i) {
            message(&journal, i, std::string(i * 3, 'x'));
            ck_assert(journal.append(Kind::Detach, 0, 1000, i));
        }
        std::string wire = sendAll(&journal, piece);
        ck_assert_uint_eq(journal.unsent(), 0);
        if (first.empty()) {
            first = wire;
        }
        ck_assert(wire == first);
    }
}
END_TEST

START_TEST(keeps_messages_until_their_receipt)
{
    Journal journal;
    message(&journal, 1, "one");
    ck_assert(journal.append(Kind::Attach, 0, 0, 9, "nobody counts this"));
    message(&journal, 2, "two");
    message(&journal, 3, "three");
    ck_assert_uint_eq(journal.unconfirmed(), 3 * kHeader + 11);

    sendAll(&journal, 5);
    ck_assert(confirm(&journal, 0).empty());
    ck_assert((confirm(&journal, 2) == std::vector<std::uint64_t>{1, 2}));
    ck_assert((unconfirmed(journal) == std::vector<std::string>{"three"}));
    ck_assert((confirm(&journal, 2)).empty());
    ck_assert((confirm(&journal, 3) == std::vector<std::uint64_t>{3}));
    ck_assert_uint_eq(journal.unconfirmed(), 0);
    ck_assert(unconfirmed(journal).empty());
}
END_TEST

START_TEST(unsent_messages_count_as_unconfirmed)
{
    Journal journal;
    message(&journal, 1, "sent");
    sendAll(&journal, 100);
    message(&journal, 2, "not sent");
    std::vector<std::string> both{"sent", "not sent"};
    ck_assert(unconfirmed(journal) == both);
}
END_TEST

START_TEST(refuses_receipts_for_what_was_not_sent)
{
    Journal journal;
    auto ignore = [](std::uint64_t) {
    };
    ck_assert(!journal.confirm(1, ignore));
    message(&journal, 1, "one");
    ck_assert(!journal.confirm(1, ignore));
    journal.sent(kHeader);
    ck_assert(!journal.confirm(1, ignore));
    journal.sent(3);
    ck_assert(journal.confirm(1, ignore));
}
END_TEST

START_TEST(goes_on_for_long_with_little)
{
    Journal journal;
    std::string text(1000, 'x');
    for (std::uint64_t i = 1; i <= 20000; ++i) {
        message(&journal, i, text);
        ck_assert(journal.append(Kind::Written, 0, 0, i));
        ck_assert_uint_eq(sendAll(&journal, 1 << 20).size(),
                          2 * kHeader + text.size());
        if (i % 10 == 0) {
            ck_assert_uint_eq(confirm(&journal, i).size(), 10);
        }
    }
    ck_assert_uint_eq(journal.unconfirmed(), 0);
}
END_TEST

START_TEST(takes_frames_longer_than_a_chunk)
{
    Journal journal;
    std::string text(1000000, 'x');
    message(&journal, 1, text);
    message(&journal, 2, "short");
    ck_assert_uint_eq(sendAll(&journal, 4096).size(),
                      2 * kHeader + text.size() + 5);
    ck_assert_uint_eq(confirm(&journal, 1).size(), 1);
    ck_assert((unconfirmed(journal) == std::vector<std::string>{"short"}));
}
END_TEST

START_TEST(copies_whole_frames_to_another)
{
    Journal dead;
    message(&dead, 7, "again");
    Journal next;
    dead.forEachUnconfirmed(
        [&](std::string_view frame) { ck_assert(next.append(frame)); });
    dead.clear();
    ck_assert(dead.next().empty());
    sendAll(&next, 3);
    ck_assert((confirm(&next, 1) == std::vector<std::uint64_t>{7}));
}
END_TEST

START_TEST(counts_frames_behind_a_message)
{
    Journal journal;
    message(&journal, 1, "asked");
    for (int i = 0; i < 100000; ++i) {
        ck_assert(journal.append(Kind::Written, 0, 0, 7));
    }
    sendAll(&journal, 1 << 20);
    ck_assert_uint_eq(journal.unsent(), 0);
    ck_assert_uint_eq(journal.held() - journal.unconfirmed(), 100000 * kHeader);

    confirm(&journal, 1);
    ck_assert_uint_eq(journal.held(), 0);
}
END_TEST

START_TEST(swaps)
{
    Journal journal;
    Journal other;
    message(&journal, 1, "one");
    message(&journal, 2, "two");

    other.swap(journal);
    ck_assert(unconfirmed(journal).empty());
    ck_assert_uint_eq(journal.held(), 0);
    ck_assert_uint_eq(unconfirmed(other).size(), 2);

    message(&journal, 3, "three");
    ck_assert_uint_eq(unconfirmed(journal).size(), 1);
    other.clear();
    ck_assert_uint_eq(other.held(), 0);
}
END_TEST

}  // namespace

int main()
{
    TCase* cases = tcase_create("journal");
    tcase_add_test(cases, sends_in_order_whatever_the_pieces);
    tcase_add_test(cases, keeps_messages_until_their_receipt);
    tcase_add_test(cases, unsent_messages_count_as_unconfirmed);
    tcase_add_test(cases, refuses_receipts_for_what_was_not_sent);
    tcase_add_test(cases, goes_on_for_long_with_little);
    tcase_add_test(cases, takes_frames_longer_than_a_chunk);
    tcase_add_test(cases, copies_whole_frames_to_another);
    tcase_add_test(cases, counts_frames_behind_a_message);
    tcase_add_test(cases, swaps);

    Suite* suite = suite_create("journal");
    suite_add_tcase(suite, cases);
    SRunner* runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
