"""The same over TLS: other code sends, buffers and shuts down there."""

import pytest

from wire import (BINARY, CLOSE, CONTINUATION, NORMAL, NOT_UTF8, PING, PONG,
                  PROTOCOL_ERROR, TEXT, close_payload, encode)


@pytest.fixture
def ws(connect):
    return connect(tls=True)


@pytest.mark.parametrize("size", [0, 1, 125, 126, 16383, 16384, 16385, 65535,
                                  65536, 1 << 20, 1 << 23])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_length(ws, opcode, size):
    ws.echoes(opcode, b"x" * size)
    ws.closes()


@pytest.mark.parametrize("chop", [1, 13, 1000])
def test_records_of_any_size(ws, chop):
    payload = bytes(range(256)) * 8
    ws.chopped(encode(BINARY, payload), chop)
    ws.gets(BINARY, payload)
    ws.closes()


def test_several_frames_in_a_record(ws):
    ws.send_bytes(encode(TEXT, b"a", fin=False) + encode(PING, b"p") +
                  encode(CONTINUATION, b"b") + encode(BINARY, b"c"))
    ws.gets(PONG, b"p")
    ws.gets(TEXT, b"ab")
    ws.gets(BINARY, b"c")
    ws.closes()


def test_many_messages(ws):
    for number in range(500):
        ws.send_frame(TEXT, b"%d" % number)
    for number in range(500):
        ws.gets(TEXT, b"%d" % number)
    ws.closes()


@pytest.mark.parametrize("fault, code", [
    (encode(3), PROTOCOL_ERROR), (encode(TEXT, b"x", mask=None),
                                  PROTOCOL_ERROR),
    (encode(TEXT, b"\xff"), NOT_UTF8)], ids=["opcode", "mask", "utf-8"])
def test_faults(ws, fault, code):
    ws.send_bytes(encode(TEXT, b"before") + fault + encode(TEXT, b"x" * 40000))
    ws.gets(TEXT, b"before")
    ws.fails(code)


def test_message_before_close_is_answered(ws):
    ws.send_bytes(encode(BINARY, b"x" * 300000) +
                  encode(CLOSE, close_payload(NORMAL)))
    ws.gets(BINARY, b"x" * 300000)
    ws.closed_with(NORMAL)


def test_end_of_tls_without_a_close_frame(ws):
    ws.socket.settimeout(2)
    try:
        ws.socket.unwrap()
    except OSError:
        pass
