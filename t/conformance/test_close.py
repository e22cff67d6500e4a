"""RFC 6455 sections 5.5.1 and 7: the closing handshake."""

import pytest

from wire import (BINARY, CLOSE, CONTINUATION, NORMAL, NOT_UTF8, PING, PONG,
                  PROTOCOL_ERROR, TEXT, close_payload, encode)

VALID = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013,
         1014, 3000, 3001, 3999, 4000, 4001, 4999]
INVALID = [0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000,
           2999, 5000, 9999, 32768, 65535]


@pytest.mark.parametrize("code", VALID)
@pytest.mark.parametrize("reason", [b"", b"reason", "理由☺".encode()])
def test_valid_code(ws, code, reason):
    ws.closes(code, reason)


@pytest.mark.parametrize("code", INVALID)
@pytest.mark.parametrize("reason", [b"", b"reason"])
def test_invalid_code(ws, code, reason):
    ws.send_frame(CLOSE, close_payload(code, reason))
    ws.fails(PROTOCOL_ERROR)


def test_no_code(ws):
    ws.send_frame(CLOSE)
    ws.closed_with(None)


def test_half_a_code(ws):
    ws.send_frame(CLOSE, b"\x03")
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", [
    b"x" * 122, b"x" * 123, "語".encode() * 41])
def test_longest_reason(ws, reason):
    ws.closes(NORMAL, reason)


def test_reason_too_long(ws):
    ws.send_bytes(encode(CLOSE, close_payload(NORMAL, b"x" * 124)))
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("reason", [
    b"\xff", b"ok \xc0\x80", b"\xed\xa0\x80", b"ends in \xe2\x82",
    b"x" * 121 + b"\xc3"])
def test_reason_not_utf8(ws, reason):
    ws.send_frame(CLOSE, close_payload(NORMAL, reason))
    ws.fails(NOT_UTF8)


def test_byte_by_byte(ws):
    ws.chopped(encode(CLOSE, close_payload(NORMAL, b"reason")))
    ws.closed_with(NORMAL)


@pytest.mark.parametrize("count", [1, 10])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_before_is_answered(ws, opcode, count):
    ws.send_bytes(encode(opcode, b"before") * count +
                  encode(CLOSE, close_payload(NORMAL)))
    for _ in range(count):
        ws.gets(opcode, b"before")
    ws.closed_with(NORMAL)


def test_large_message_before_is_answered(ws):
    payload = b"x" * (1 << 20)
    ws.send_bytes(encode(BINARY, payload) +
                  encode(CLOSE, close_payload(NORMAL)))
    ws.gets(BINARY, payload)
    ws.closed_with(NORMAL)


def test_ping_before_is_answered(ws):
    ws.send_bytes(encode(PING, b"ping") + encode(CLOSE, b"\x03\xe8"))
    ws.gets(PONG, b"ping")
    ws.closed_with(NORMAL)


@pytest.mark.parametrize("after", [
    encode(TEXT, b"after"), encode(BINARY, b"after"), encode(PING, b"after"),
    encode(PONG), encode(CLOSE, b"\x03\xe8"), encode(3, b""),
    encode(TEXT, b"\xff"), encode(TEXT, b"unmasked", mask=None),
    b"\xff" * 1000, encode(BINARY, b"x" * 300000)],
    ids=["text", "binary", "ping", "pong", "close", "reserved", "not utf-8",
         "unmasked", "garbage", "much"])
def test_what_comes_after_is_ignored(ws, after):
    try:
        ws.send_bytes(encode(CLOSE, close_payload(NORMAL)) + after)
    except ConnectionError:
        pass
    ws.closed_with(NORMAL)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_within_a_message(ws, opcode):
    """The message stays unfinished, and is not answered."""
    ws.send_frame(opcode, b"begun", fin=False)
    ws.send_frame(CLOSE, close_payload(NORMAL))
    ws.closed_with(NORMAL)


def test_within_a_message_that_goes_on(ws):
    ws.send_bytes(encode(TEXT, b"begun", fin=False) +
                  encode(CLOSE, close_payload(NORMAL)) +
                  encode(CONTINUATION, b"finished"))
    ws.closed_with(NORMAL)


# The connection

def test_client_shuts_its_side_after_close(ws):
    ws.send_frame(CLOSE, close_payload(NORMAL))
    ws.shut()
    ws.closed_with(NORMAL)


def test_client_shuts_its_side_without_close(ws):
    """There is nobody to answer any more: the connection just ends."""
    ws.shut()
    ws.just_ends()


def test_client_shuts_its_side_within_a_frame(ws):
    ws.send_bytes(encode(TEXT, b"text")[:3])
    ws.shut()
    ws.just_ends()


@pytest.mark.parametrize("fault, code", [
    (encode(3), PROTOCOL_ERROR), (encode(TEXT, b"\xff"), NOT_UTF8)],
    ids=["opcode", "not UTF-8"])
def test_what_comes_after_a_fault_is_ignored(ws, fault, code):
    try:
        ws.send_bytes(fault + encode(TEXT, b"x" * 300000) + encode(PING))
    except ConnectionError:
        pass
    ws.fails(code)


def test_answer_to_the_close_of_a_fault(ws):
    """A client that answers the close frame before the connection ends."""
    ws.send_frame(3)
    opcode, payload, _, _ = ws.receive_frame()
    assert (opcode, payload[:2]) == (CLOSE, b"\x03\xea")
    try:
        ws.send_frame(CLOSE, payload[:2])
    except ConnectionError:
        pass
    ws.ends()
