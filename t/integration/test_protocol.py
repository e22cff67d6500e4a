"""Every row of the protocol's table (docs/wire-protocol.md)."""

import json
import time

import pytest

from harness.websocket import TEXT


def test_231_asks_for_the_user_on_open(stack):
    client = stack.connect()
    frame = client.next(1)
    assert frame == {"code": 231, "msg": "申请初始化当前用户", "data": None}


def test_231_is_repeated_every_two_seconds_until_230(stack):
    client = stack.connect()
    client.next(1)
    asked = time.monotonic()
    assert client.next(4)["code"] == 231
    assert 1.5 < time.monotonic() - asked < 3
    client.send_json(230, 1)
    client.expect(240)
    client.nothing(2.5)


@pytest.mark.parametrize("data", [1, "1", {"user": 1}, {"user": "1"}])
def test_230_names_the_user(stack, data):
    client = stack.connect()
    client.expect(231)
    client.send_json(230, data)
    welcome = client.expect(240)["data"]
    assert str(welcome["user"]) == "1"
    assert welcome["heartbeat_timeout"] > 0
    assert abs(welcome["server_time"] / 1000 - time.time()) < 60 or \
        abs(welcome["server_time"] - time.time()) < 60
    client.say(21, "hello")


@pytest.mark.parametrize("data", [0, "", None, False, {"user": 0},
                                  {"user": None}])
def test_a_falsy_user_keeps_231_coming(stack, data):
    client = stack.connect()
    client.expect(231)
    client.send_json(230, data)
    assert client.next(4)["code"] == 231
    client.send_json(230, 1)
    client.expect(240)


def test_a_user_proven_by_nginx_is_welcomed_without_231(stack):
    client = stack.raw("/chat/chat_websocket/?user=1")
    assert json.loads(client.receive(1))["code"] == 240
    client.nothing(2.5)


def test_235_then_the_own_236(stack):
    client = stack.connect(1)
    send_id = client.send_message(21, "hello")
    assert client.next() == {"code": 235, "msg": "信息发送成功",
                             "data": {"send_id": send_id, "msg": "成功"}}
    news = client.next()
    assert news["code"] == 236
    assert news["msg"] == "接收到新消息"
    [(key, message)] = news["data"].items()
    assert isinstance(key, str) and key != send_id
    assert message["content"] == "hello"


def test_236_carries_what_was_sent_and_who_and_for_whom(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    sent = {"chat_id": 21, "send_id": "x1", "send_timestamp": 1700000000123,
            "new_type": "image", "content": "你好 \"quoted\" \\ \u0007 🙂",
            "resource_url": "/a.png", "more": {"deep": [1, None, True]}}
    ada.send_json(234, sent)
    [(_, news)] = bao.news(1)
    assert news == {**sent, "send_user_id": "1", "receive_user_id": 2}


def test_the_senders_values_survive_as_they_were_written(stack):
    bao = stack.connect(2)
    ada = stack.connect(1)
    ada.send_text('{ "code" : 234, "msg":"", "data": {"zebra": 1.10, '
                  '"chat_id":21,"send_id":12345678901234567890,'
                  '"send_timestamp":1,"new_type":"text","content":"a\\u00e9/",'
                  '"resource_url":null,"big": 1e400, "apple": []}}')
    assert "12345678901234567890" in ada.receive()
    text = bao.receive()
    for part in ('"zebra":1.10', '"send_id":12345678901234567890',
                 '"big":1e400', '"apple":[]'):
        assert part in text.replace(": ", ":")
    assert text.index("zebra") < text.index("chat_id") < text.index("apple")


def test_a_client_cannot_pretend_to_be_another_sender(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.send_message(21, "x", send_user_id=3, receive_user_id=99)
    [(_, news)] = bao.news(1)
    assert news["send_user_id"] == "1"
    assert news["receive_user_id"] == 2


def test_send_user_id_is_given_as_it_was_named(stack):
    number, text, bao = stack.connect(), stack.connect(), stack.connect(2)
    number.identify(1)
    text.identify("3")
    number.say(21, "from a number")
    text.say(21, "from a string")
    assert [news["send_user_id"] for _, news in bao.news(2)] == [1, "3"]


@pytest.mark.parametrize("send_id", ["a", 7, "7", "", 0, "ü\"\\"])
def test_send_id_comes_back_unchanged(stack, send_id):
    ada = stack.connect(1)
    ada.send_message(21, "x", send_id=send_id)
    assert ada.expect(235)["data"]["send_id"] == send_id
    [(_, news)] = ada.news(1)
    assert news["send_id"] == send_id


def test_a_message_goes_to_members_only(stack):
    clients = {user: stack.connect(user) for user in (1, 2, 3, 4, 5)}
    clients[1].say(21, "for chat 21")
    for user in (1, 2, 3):
        assert clients[user].contents(1) == ["for chat 21"]
    for user in (4, 5):
        clients[user].quiet()


def test_the_chat_may_be_named_by_a_string(stack):
    ada = stack.connect(1)
    ada.say("21", "x")
    [(_, news)] = ada.news(1)
    assert news["chat_id"] == "21"


def test_237_empties_the_inbox(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "one")
    ada.say(21, "two")
    keys = [key for key, _ in bao.news(2)]
    assert sorted(stack.redis.inbox(2)) == sorted(keys)
    bao.acknowledge(keys[:1])
    stack.wait(lambda: list(stack.redis.inbox(2)) == keys[1:])
    bao.acknowledge(keys[1:])
    stack.wait(lambda: not stack.redis.inbox(2))
    assert len(stack.redis.inbox(3)) == 2


def test_237_ignores_unknown_deleted_and_foreign_keys(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "x")
    [(key, _)] = bao.news(1)
    [(own, _)] = ada.news(1)
    bao.acknowledge(["nothing", own, key, key, "1-2", ""])
    stack.wait(lambda: not stack.redis.inbox(2))
    bao.acknowledge([key])
    bao.acknowledge([])
    bao.say(21, "still here")
    assert own in stack.redis.inbox(1)


def test_the_inbox_is_kept_as_designed(stack):
    stack.connect(1).say(21, "x")
    for user in (1, 2, 3):
        name = f"WaitSendNews_{user}"
        [(key, news)] = stack.redis.inbox(user).items()
        assert key.partition("-")[0].isdigit()
        assert news["receive_user_id"] == user
        assert 89 * 86400 < stack.redis.client.ttl(name) <= 90 * 86400


def test_the_same_send_id_of_two_users_is_two_messages(stack):
    ada, bao, chen = (stack.connect(user) for user in (1, 2, 3))
    ada.say(21, "of Ada", send_id="same")
    bao.say(21, "of Bao", send_id="same")
    assert sorted(chen.contents(2)) == ["of Ada", "of Bao"]


def test_ping_is_answered_by_pong(stack):
    client = stack.connect(1)
    client.send_text("ping")
    assert client.receive() == "pong"


def test_ping_is_answered_before_the_user_is_known(stack):
    client = stack.connect()
    client.send_text("ping")
    while (text := client.receive()) != "pong":
        assert json.loads(text)["code"] == 231


def test_frames_are_text_whole_and_compact(stack):
    client = stack.raw("/chat/chat_websocket/?user=1")
    opcode, payload, fin, rsv = client.receive_frame()
    assert (opcode, fin, rsv) == (TEXT, True, 0)
    assert b'"code":240' in payload and b": " not in payload


def test_a_message_may_be_fragmented(stack):
    ada = stack.connect(1)
    text = json.dumps({"code": 234, "msg": "", "data": {
        "chat_id": 21, "send_id": "f", "send_timestamp": 1,
        "new_type": "text", "content": "ü" * 100, "resource_url": ""}},
        ensure_ascii=False).encode()
    ada.send_frame(TEXT, text[:150], fin=False)
    ada.send_frame(0, text[150:151], fin=False)
    ada.send_frame(0, text[151:])
    assert ada.expect(235)["data"]["send_id"] == "f"
    assert ada.contents(1) == ["ü" * 100]


def test_a_large_message(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "x" * 60000)
    assert bao.contents(1) == ["x" * 60000]
