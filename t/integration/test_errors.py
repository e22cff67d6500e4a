"""What cannot be served is answered by 300 with a reason; nobody is
disconnected for it."""

import pytest

VALID = {"chat_id": 21, "send_id": "s", "send_timestamp": 1,
         "new_type": "text", "content": "x", "resource_url": ""}


def without(name):
    return {key: value for key, value in VALID.items() if key != name}


def refused(client, send_id=None):
    """The reason of the next 300; the connection must still serve."""
    frame = client.expect(300)
    assert frame["msg"] == "信息发送出现异常"
    assert set(frame["data"]) >= {"send_id", "msg"}
    assert frame["data"]["send_id"] == send_id
    assert frame["data"]["msg"]
    client.say(21, "still here")
    return frame["data"]["msg"]


@pytest.mark.parametrize("text", [
    "", " ", "{", "hello", '{"code":234', '{"code":234,}', "[1,2", "{'a':1}",
    '{"code":01}', '{"code":234} x', '{"code":234,"data":"\\x"}',
    '{"code":234,"data":"\t"}', "NaN", '{"code":+1}', "\ufeff{}",
    "[" * 10000, '{"a":' * 5000,
], ids=lambda value: str(value)[:20])
def test_malformed_json(stack, text):
    client = stack.connect(1)
    client.send_text(text)
    refused(client)


@pytest.mark.parametrize("text", ["1", "null", "[]", '"ping "', "true", "{}",
                                  '{"msg":"","data":{}}'])
def test_no_envelope(stack, text):
    client = stack.connect(1)
    client.send_text(text)
    refused(client)


@pytest.mark.parametrize("code", [0, -1, 229, 231, 235, 236, 240, 300, 999,
                                  1e300, "234", None, [], True, 234.5])
def test_unknown_code(stack, code):
    client = stack.connect(1)
    client.send_json(code, VALID)
    frame = client.expect(300)
    assert frame["data"]["msg"]
    client.say(21, "still here")


@pytest.mark.parametrize("field", ["chat_id", "send_id"])
def test_missing_field(stack, field):
    client = stack.connect(1)
    client.send_json(234, without(field))
    reason = refused(client, None if field == "send_id" else "s")
    assert field in reason


@pytest.mark.parametrize("field,value", [
    ("chat_id", None), ("chat_id", []), ("chat_id", {}), ("chat_id", True),
    ("chat_id", 1.5), ("chat_id", ""),
    ("send_id", None), ("send_id", []), ("send_id", {}), ("send_id", True),
    ("send_id", "x" * 5000),
], ids=lambda value: str(value)[:20])
def test_field_of_wrong_type(stack, field, value):
    client = stack.connect(1)
    client.send_json(234, {**VALID, field: value})
    reason = refused(client, None if field == "send_id" else "s")
    assert field in reason or "chat" in reason


@pytest.mark.parametrize("data", [None, 1, "x", [], True])
def test_234_without_an_object(stack, data):
    client = stack.connect(1)
    client.send_json(234, data)
    refused(client)


@pytest.mark.parametrize("data", [None, 1, "x", {}, [1], [None], [["a"]]])
def test_237_without_a_list_of_keys(stack, data):
    client = stack.connect(1)
    client.send_json(237, data)
    refused(client)


@pytest.mark.parametrize("data", [[], [1], {"name": 1}, True, 1.5,
                                  {"user": []}])
def test_230_without_a_user(stack, data):
    client = stack.connect()
    client.expect(231)
    client.send_json(230, data)
    assert client.expect(300)["data"]["msg"]
    client.send_json(230, 1)
    client.expect(240)
    client.say(21, "still here")


@pytest.mark.parametrize("chat", [99, "99", "no-number", -1, 10 ** 30,
                                  "21'; DROP TABLE auth_user; --"])
def test_chat_that_does_not_exist(stack, chat):
    client = stack.connect(1)
    client.send_message(chat, "x", send_id="s")
    assert str(chat) in refused(client, "s")


def test_sender_who_is_no_member(stack):
    client = stack.connect(4)
    client.send_message(21, "x", send_id="s")
    reason = client.expect(300)["data"]
    assert reason["send_id"] == "s"
    assert "member" in reason["msg"]
    client.say(22, "a member here")
    assert not stack.redis.inbox(1) or all(
        news["chat_id"] == 22 for news in stack.redis.inbox(1).values())


def test_send_before_the_user_is_known(stack):
    client = stack.connect()
    client.send_message(21, "x", send_id="s")
    frame = client.expect(300)
    assert frame["data"]["send_id"] == "s"
    client.identify(1)
    client.say(21, "now")


def test_acknowledge_before_the_user_is_known(stack):
    client = stack.connect()
    client.acknowledge(["1-a"])
    client.expect(300)
    client.identify(1)


def test_binary_is_closed_with_1003(stack):
    client = stack.connect(1)
    client.send_binary(b"{}")
    assert client.wait_closed().code == 1003


def test_message_over_the_limit_is_closed_with_1009(make_stack):
    stack = make_stack(chat="chat_max_message 1k;")
    client = stack.connect(1)
    client.say(21, "x" * 500)
    client.send_message(21, "x" * 1100)
    assert client.wait_closed().code == 1009


def test_invalid_utf8_is_closed_with_1007(stack):
    client = stack.connect(1)
    client.send_frame(1, b'"\xc3\x28"')
    assert client.wait_closed().code == 1007
