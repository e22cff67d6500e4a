"""Membership in SQLite and PostgreSQL, and PostgreSQL going away."""

import signal

import pytest

# Changes count at once for the tests that make some.
AT_ONCE = {"membership": {"cache_ttl": "10ms"}}


@pytest.fixture(params=["sqlite", "postgresql"])
def either(request, make_stack):
    """A function that makes a stack with one of the back ends."""
    def make(**options):
        if request.param == "postgresql":
            options["postgres"] = request.getfixturevalue("postgres")
        return make_stack(**options)
    return make


def try_to_send(client, chat=21):
    client.send_message(chat, "x")
    while (frame := client.next())["code"] not in (235, 300):
        pass
    return frame["code"] == 235


def test_members_get_it_and_others_do_not(either):
    stack = either()
    ada, bao, dario = (stack.connect(user) for user in (1, 2, 4))
    ada.say(21, "hello")
    [(_, news)] = bao.news(1)
    assert news["receive_user_id"] == 2
    dario.quiet()
    dario.send_message(21, "x")
    dario.expect(300)
    dario.send_message(99, "x")
    dario.expect(300)


def test_a_member_who_is_added_counts(either):
    stack = either(worker=AT_ONCE)
    eve = stack.connect(5)
    assert not try_to_send(eve)
    stack.members.add(21, 5)
    stack.wait(lambda: try_to_send(eve), 2)


def test_a_member_who_is_removed_no_longer_counts(either):
    stack = either(worker=AT_ONCE)
    ada, bao = stack.connect(1), stack.connect(2)
    assert try_to_send(bao)
    stack.members.remove(21, 2)
    stack.wait(lambda: not try_to_send(bao), 2)
    ada.say(21, "without Bao")
    stack.wait(lambda: stack.redis.inbox(3))
    assert "without Bao" not in str(stack.redis.inbox(2))


def test_a_chat_that_is_created_counts(either):
    stack = either(worker=AT_ONCE)
    ada = stack.connect(1)
    assert not try_to_send(ada, 30)
    stack.members.add(30, 1, 5)
    stack.wait(lambda: try_to_send(ada, 30), 2)


def test_the_query_is_a_setting(either):
    stack = either(worker={"membership": {
        "query": "SELECT user_id FROM chat_chatlist_users "
                 "WHERE chat_id = $1 AND user_id <> 3"}})
    ada, chen = stack.connect(1), stack.connect(3)
    ada.say(21, "x")
    chen.quiet()


def test_cached_members_serve_on_while_postgresql_is_stopped(
        make_stack, own_postgres):
    stack = make_stack(postgres=own_postgres)
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "before")
    own_postgres.stop()
    ada.say(21, "in between")
    ada.send_message(22, "not cached", send_id="s")
    assert ada.expect(300, 10)["data"]["send_id"] == "s"
    own_postgres.start()
    stack.wait(lambda: try_to_send(ada, 22), 15)
    assert bao.contents(2) == ["before", "in between"]


def test_postgresql_killed_and_back(make_stack, own_postgres):
    stack = make_stack(postgres=own_postgres, worker=AT_ONCE)
    ada = stack.connect(1)
    ada.say(21, "before")
    own_postgres.send_signal(signal.SIGQUIT)
    own_postgres.popen.wait()
    try_to_send(ada, 22)
    own_postgres.start()
    stack.wait(lambda: try_to_send(ada, 22), 15)


def test_chat_worker_starts_while_postgresql_is_away(
        make_stack, own_postgres):
    stack = make_stack(postgres=own_postgres)
    ada = stack.connect(1)
    own_postgres.stop()
    stack.worker.restart()
    ada.send_message(21, "x", send_id="s")
    assert ada.expect(300, 10)["data"]["send_id"] == "s"
    own_postgres.start()
    stack.wait(lambda: try_to_send(ada), 15)
