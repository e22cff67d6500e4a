"""Order, repetition, several sessions of a user, and what waits for those
who are not there."""


def test_order_live(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    contents = [f"message {number}" for number in range(200)]
    for content in contents:
        ada.send_message(21, content)
    assert bao.contents(200) == contents
    assert ada.contents(200) == contents


def test_order_from_the_inbox(stack):
    ada = stack.connect(1)
    contents = [f"message {number}" for number in range(350)]
    for content in contents:
        ada.send_message(21, content)
    for _ in contents:
        ada.expect(235)
    assert stack.connect(2).contents(350) == contents


def test_order_while_the_inbox_is_replayed(stack):
    """What is sent during a replay comes after what it replays."""
    ada = stack.connect(1)
    for number in range(300):
        ada.say(21, f"{number}")
    bao = stack.connect(2)
    for number in range(300, 400):
        ada.send_message(21, f"{number}")
    assert bao.contents(400) == [f"{number}" for number in range(400)]


def test_offline_then_connected(stack):
    ada = stack.connect(1)
    ada.say(21, "while you were away")
    bao = stack.connect(2)
    [(key, news)] = bao.news(1)
    assert news["content"] == "while you were away"
    bao.acknowledge([key])
    stack.wait(lambda: not stack.redis.inbox(2))
    bao.close()
    stack.connect(2).quiet()


def test_unacknowledged_comes_again_on_every_new_session(stack):
    stack.connect(1).say(21, "x")
    keys = set()
    for _ in range(3):
        bao = stack.connect(2)
        [(key, _)] = bao.news(1)
        keys.add(key)
        bao.abort()
    assert len(keys) == 1


def test_a_lost_connection_loses_nothing(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "one")
    assert bao.contents(1) == ["one"]
    bao.abort()
    ada.say(21, "two")
    assert stack.connect(2).contents(2) == ["one", "two"]


def test_a_resent_message_is_stored_once(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    for _ in range(3):
        ada.say(21, "once", send_id="the same")
    assert bao.contents(1) == ["once"]
    bao.quiet()
    assert len(stack.redis.inbox(2)) == 1


def test_a_resent_message_after_reconnection_is_stored_once(stack):
    ada = stack.connect(1)
    ada.say(21, "once", send_id="the same")
    ada.abort()
    ada = stack.connect(1)
    ada.say(21, "once", send_id="the same")
    bao = stack.connect(2)
    assert bao.contents(1) == ["once"]
    bao.quiet()


def test_a_number_and_a_string_are_two_send_ids(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "number", send_id=1)
    ada.say(21, "string", send_id="1")
    assert bao.contents(2) == ["number", "string"]


def test_a_refused_message_may_be_sent_again(stack):
    ada, eve = stack.connect(1), stack.connect(5)
    eve.send_message(21, "let me in", send_id="again")
    eve.expect(300)
    stack.members.add(21, 5)
    stack.wait(lambda: eve_is_in(eve))
    assert ada.contents(1) == ["let me in"]


def eve_is_in(eve):
    eve.send_message(21, "let me in", send_id="again")
    while True:
        frame = eve.next()
        if frame["code"] in (235, 300):
            return frame["code"] == 235


def test_every_session_of_a_user_gets_it(stack):
    ada = stack.connect(1)
    phone, laptop = stack.connect(2), stack.connect(2)
    ada.say(21, "to both")
    [(key, _)] = phone.news(1)
    phone.acknowledge([key])
    assert laptop.contents(1) == ["to both"]
    laptop.acknowledge([key])
    stack.wait(lambda: not stack.redis.inbox(2))


def test_a_senders_other_session_gets_it_too(stack):
    phone, laptop = stack.connect(1), stack.connect(1)
    phone.say(21, "from the phone")
    assert laptop.contents(1) == ["from the phone"]
    assert laptop.contents(0) == []
    laptop.quiet()


def test_the_second_session_gets_what_the_first_has_not_acknowledged(stack):
    ada, phone = stack.connect(1), stack.connect(2)
    ada.say(21, "one")
    ada.say(21, "two")
    [(key, _), _] = phone.news(2)
    phone.acknowledge([key])
    stack.wait(lambda: len(stack.redis.inbox(2)) == 1)
    assert stack.connect(2).contents(1) == ["two"]


def test_a_closed_session_does_not_take_the_others_along(stack):
    ada = stack.connect(1)
    phone, laptop = stack.connect(2), stack.connect(2)
    phone.close()
    ada.say(21, "x")
    assert laptop.contents(1) == ["x"]


def test_a_session_is_never_sent_a_key_twice(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    seen = []
    for number in range(50):
        ada.say(21, f"{number}")
        if number % 10 == 0:
            stack.connect(2).abort()  # a replay for another session
    seen += bao.news(50)
    bao.quiet()
    assert len({key for key, _ in seen}) == 50


def test_a_large_backlog_comes_in_order_and_whole(stack):
    ada = stack.connect(1)
    for start in range(0, 2000, 100):
        for number in range(start, start + 100):
            ada.send_message(21, f"{number} " + "x" * 500)
        for _ in range(100):
            ada.expect(235)
    bao = stack.connect(2)
    contents = bao.contents(2000, 20)
    assert [int(text.split()[0]) for text in contents] == list(range(2000))
