"""The checker finds each kind of fault, planted in a history that is sound
without it."""

import time

import pytest

from harness.history import History, Message, check

MEMBERS = {21: ["1", "2", "3"], 22: ["1", "4"]}


def message(number, sender="1", chat=21):
    return Message(sender, chat, number)


def deliver(history, device, sent, key=None):
    key = key or f"{sent.number}-{sent.send_id}"
    history.on_236(device, key, sent.send_id)
    history.on_shown(device, sent.send_id)
    history.on_237(device, [key])


@pytest.fixture
def history():
    """Three messages in chat 21, delivered to all as they should be."""
    result = History(MEMBERS)
    for user in ("1", "2", "3", "4"):
        result.device(user)
    for number in range(3):
        result.on_send(message(number))
        result.on_235(message(number))
        for device in result.devices[:3]:
            deliver(result, device, message(number))
    return result


def the_fault(history):
    faults = check(history)
    assert len(faults) == 1, faults
    return faults[0]


def test_a_sound_history_has_no_fault(history):
    assert check(history) == []


def test_a_second_device_may_miss_what_the_first_acknowledged(history):
    history.device("2", "2")
    assert check(history) == []


def test_a_repetition_over_two_sessions_is_no_fault(history):
    history.on_236(history.devices[1], "2-1-21-2", "1-21-2")
    assert check(history) == []


def test_a_refused_message_need_not_arrive(history):
    history.on_send(message(3))
    history.on_300(message(3), "Redis is away")
    assert check(history) == []


def test_a_refused_message_may_arrive(history):
    history.on_send(message(3))
    history.on_300(message(3), "no answer in time")
    deliver(history, history.devices[2], message(3))
    assert check(history) == []


def test_no_answer(history):
    history.on_send(message(3))
    assert "neither 235 nor 300" in the_fault(history)


def test_lost_for_one_member(history):
    history.on_send(message(3))
    history.on_235(message(3))
    for device in history.devices[:2]:
        deliver(history, device, message(3))
    assert "never shown to 3" in the_fault(history)


def test_235_for_a_message_that_arrived_but_was_not_shown(history):
    history.on_send(message(3))
    history.on_235(message(3))
    for device in history.devices[:2]:
        deliver(history, device, message(3))
    history.on_236(history.devices[2], "3-k", "1-21-3")
    assert "never shown to 3" in the_fault(history)


def test_shown_twice(history):
    history.on_shown(history.devices[1], "1-21-2")
    assert "shown twice to 2" in the_fault(history)


def test_stored_twice(history):
    history.on_236(history.devices[1], "9-another", "1-21-2")
    assert "stored 2 times for 2" in the_fault(history)


def test_never_sent(history):
    history.on_236(history.devices[1], "9-x", "1-21-9")
    assert "never sent" in the_fault(history)


def test_at_a_non_member(history):
    history.on_236(history.devices[3], "9-x", "1-21-2")
    assert "4, who is not in chat 21" in the_fault(history)


def test_235_for_a_sender_who_is_no_member(history):
    history.on_send(message(3, "4"))
    history.on_235(message(3, "4"))
    for device in history.devices[:3]:
        deliver(history, device, message(3, "4"))
    assert "235 for a sender who is no member" in the_fault(history)


def test_out_of_order(history):
    for number in (3, 4):
        history.on_send(message(number))
        history.on_235(message(number))
        for device in history.devices[:2]:
            deliver(history, device, message(number))
    for number in (4, 3):
        deliver(history, history.devices[2], message(number))
    assert "1-21-3: shown to 3 on device 1 after 1-21-4" == the_fault(history)


def test_sent_twice_in_one_session(history):
    for _ in range(2):
        history.on_236(history.devices[1], "2-1-21-2", "1-21-2", session=7)
    assert "sent twice to 2 in one session" in the_fault(history)


def test_a_new_session_may_be_sent_a_key_again(history):
    for session in (7, 8):
        history.on_236(history.devices[1], "2-1-21-2", "1-21-2", session)
    assert check(history) == []


def change(history, user, joined):
    """A change of the membership that has settled before the next send."""
    now = time.monotonic()
    history.on_membership(21, user, joined, now, now)
    time.sleep(0.001)


def test_who_has_left_need_not_get_it(history):
    change(history, "3", False)
    history.on_send(message(3))
    history.on_235(message(3))
    for device in history.devices[:2]:
        deliver(history, device, message(3))
    assert check(history) == []


def test_at_a_former_member(history):
    change(history, "3", False)
    history.on_send(message(3))
    history.on_235(message(3))
    for device in history.devices[:3]:
        deliver(history, device, message(3))
    assert "3, who is not in chat 21" in the_fault(history)


def test_lost_for_a_new_member(history):
    change(history, "4", True)
    history.on_send(message(3))
    history.on_235(message(3))
    for device in history.devices[:3]:
        deliver(history, device, message(3))
    assert "never shown to 4" in the_fault(history)


def test_on_its_way_while_the_membership_changes(history):
    history.on_send(message(3))
    now = time.monotonic()
    history.on_membership(21, "3", False, now, now + 1)
    history.on_membership(21, "4", True, now, now + 1)
    history.on_235(message(3))
    for device in (history.devices[0], history.devices[1],
                   history.devices[3]):
        deliver(history, device, message(3))
    assert check(history) == []


def test_order_is_per_sender_and_chat(history):
    """Two senders may come in any order, and differently at two members."""
    for sender in ("2", "3"):
        history.on_send(message(0, sender))
        history.on_235(message(0, sender))
    for device, senders in zip(history.devices, ("23", "32", "23")):
        for sender in senders:
            deliver(history, device, message(0, sender))
    assert check(history) == []
