"""RFC 6455 section 5.5: ping, pong, and the rules for control frames."""

import pytest

from wire import (BINARY, CLOSE, NORMAL, PING, PONG, PROTOCOL_ERROR, TEXT,
                  close_payload, encode)

PAYLOADS = [b"", b"\x00", b"Hello", b"\x00\xff\xfe\xfd\xfc\xfb\x00\xff",
            "語☺".encode(), b"\xfe" * 124, b"\xfe" * 125]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_ping(ws, payload):
    ws.send_frame(PING, payload)
    ws.gets(PONG, payload)
    ws.closes()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_ping_byte_by_byte(ws, payload):
    ws.chopped(encode(PING, payload))
    ws.gets(PONG, payload)
    ws.closes()


@pytest.mark.parametrize("payload", PAYLOADS)
def test_pong_that_nobody_asked_for(ws, payload):
    ws.send_frame(PONG, payload)
    ws.send_frame(PING, b"behind")
    ws.gets(PONG, b"behind")
    ws.closes()


@pytest.mark.parametrize("chop", [1, 1000])
@pytest.mark.parametrize("count", [10, 500])
def test_many_pings(ws, count, chop):
    pings = b"".join(encode(PING, b"%d" % i) for i in range(count))
    ws.chopped(pings, chop)
    for i in range(count):
        ws.gets(PONG, b"%d" % i)
    ws.closes()


def test_ping_flood(ws):
    """More pings than any buffer holds, with pongs read only afterwards, cost
    the connection or are answered, and neither harms another connection."""
    flood = encode(PING, b"x" * 125) * 20000
    ws.socket.settimeout(2)
    try:
        ws.send_bytes(flood)
        answered = 20000
    except (TimeoutError, OSError):
        answered = None
    ws.socket.settimeout(5)
    if answered:
        for _ in range(answered):
            ws.gets(PONG, b"x" * 125)
        ws.closes()


def test_ping_is_answered_before_what_is_behind_it(ws):
    ws.send_bytes(encode(PING, b"1") + encode(TEXT, b"text"))
    ws.gets(PONG, b"1")
    ws.gets(TEXT, b"text")
    ws.closes()


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("size", [126, 127, 200, 65535, 65536])
def test_control_frame_too_long(ws, opcode, size):
    payload = (close_payload(NORMAL) + b"x" * size)[:size]
    ws.send_bytes(encode(opcode, payload))
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frame_too_long_is_seen_at_its_second_byte(ws, opcode):
    ws.send_bytes(bytes([0x80 | opcode, 0x80 | 126]))
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8"])
def test_fragmented_control_frame(ws, opcode, payload):
    ws.send_frame(opcode, payload, fin=False)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG])
def test_fragmented_control_frame_after_a_message(ws, opcode):
    ws.send_bytes(encode(BINARY, b"before") +
                  encode(opcode, b"a", fin=False) + encode(0, b"b"))
    ws.gets(BINARY, b"before")
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
@pytest.mark.parametrize("form", [126, 127])
def test_control_frame_with_a_long_form_of_a_short_length(ws, opcode, form):
    size = b"\x00\x02" if form == 126 else b"\x00" * 7 + b"\x02"
    ws.send_bytes(bytes([0x80 | opcode, 0x80 | form]) + size +
                  b"\x00\x00\x00\x00\x03\xe8")
    ws.fails(PROTOCOL_ERROR)


def test_text_ping(ws):
    """The chat's own heartbeat is a text message."""
    ws.send_frame(TEXT, b"ping")
    ws.gets(TEXT, b"pong")
    ws.echoes(BINARY, b"ping")
    ws.echoes(TEXT, b"ping ")
    ws.echoes(TEXT, b"Ping")
    ws.send_bytes(encode(TEXT, b"pi", fin=False) + encode(0, b"ng"))
    ws.gets(TEXT, b"pong")
    ws.closes()
