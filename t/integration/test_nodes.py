"""Several chat-workers behind one nginx, and several nodes on one Redis."""

import json
import time


def test_two_chat_workers_behind_one_nginx(make_stack):
    stack = make_stack(workers=2)
    ada = stack.connect(1)
    others = [stack.connect(user) for user in (2, 3) for _ in range(6)]
    ada.say(21, "to all")
    for client in others:
        assert client.contents(1) == ["to all"]


def test_sessions_of_a_dead_chat_worker_move_to_the_other(make_stack):
    stack = make_stack(workers=2)
    clients = [stack.connect(2) for _ in range(8)]
    ada = stack.connect(1)
    stack.workers[0].kill()
    ada.send_message(21, "with one worker")
    while (frame := ada.next(15))["code"] not in (235, 300):
        pass
    assert frame["code"] == 235
    for client in clients:
        assert client.contents(1, 15) == ["with one worker"]


def test_live_and_in_order_between_nodes(make_stack):
    here = make_stack()
    there = make_stack(peer=here)
    ada, bao = here.connect(1), there.connect(2)
    contents = [f"{number}" for number in range(100)]
    for content in contents:
        ada.send_message(21, content)
    assert bao.contents(100) == contents
    bao.say(21, "and back")
    assert ada.contents(101)[-1] == "and back"


def test_a_user_with_sessions_on_both_nodes(make_stack):
    here = make_stack()
    there = make_stack(peer=here)
    ada = here.connect(1)
    phone, laptop = here.connect(2), there.connect(2)
    ada.say(21, "to both")
    assert phone.contents(1) == ["to both"]
    [(key, _)] = laptop.news(1)
    laptop.acknowledge([key])
    here.wait(lambda: not here.redis.inbox(2))


def test_a_resent_message_is_caught_on_another_node(make_stack):
    here = make_stack()
    there = make_stack(peer=here)
    here.connect(1).say(21, "once", send_id="same")
    there.connect(1).say(21, "once", send_id="same")
    bao = here.connect(2)
    assert bao.contents(1) == ["once"]
    bao.quiet()


def test_a_dead_node_is_forgotten_and_its_users_messages_wait(make_stack):
    lease = {"node": {"lease": "2s"}}
    here = make_stack(worker=lease)
    there = make_stack(peer=here, worker=lease)
    there.connect(2)
    ada = here.connect(1)
    assert here.redis.client.zcard("chat:nodes") == 2
    there.worker.kill()
    ada.say(21, "to a dead node")
    here.wait(lambda: here.redis.client.zcard("chat:nodes") == 1, 20)
    assert here.connect(2).contents(1) == ["to a dead node"]


def test_delivery_is_prompt_so_nothing_is_polled(make_stack):
    here = make_stack()
    there = make_stack(peer=here)
    ada, bao = here.connect(1), there.connect(2)
    ada.say(21, "warm")
    bao.news(1)
    times = []
    for number in range(50):
        started = time.monotonic()
        ada.send_message(21, f"{number}")
        bao.news(1)
        times.append(time.monotonic() - started)
    assert sorted(times)[25] < 0.02, times


def test_inboxes_are_plain_json(make_stack):
    """Other programs may read an inbox: one JSON object for each message."""
    stack = make_stack()
    stack.connect(1).say(21, "x")
    for value in stack.redis.client.hvals("WaitSendNews_2"):
        assert json.loads(value)["content"] == "x"
