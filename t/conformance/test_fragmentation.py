"""RFC 6455 section 5.4."""

import pytest

from wire import (BINARY, CONTINUATION, PING, PONG, PROTOCOL_ERROR, TEXT,
                  TOO_BIG, encode, split)


def fragments(opcode, pieces, between=b""):
    """A message in these pieces, with bytes between each two frames."""
    frames = [encode(opcode if i == 0 else CONTINUATION, piece,
                     fin=i == len(pieces) - 1)
              for i, piece in enumerate(pieces)]
    return between.join(frames)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("pieces", [
    [b"frag", b"ment"], [b"", b""], [b"", b"", b""], [b"", b"middle", b""],
    [b"first", b"", b""], [b"", b"", b"last"], [b"x"] * 100,
    [b"x" * 65535, b"y" * 65536]], ids=range(8))
@pytest.mark.parametrize("chop", [1 << 20, 1])
def test_fragments(ws, opcode, pieces, chop):
    data = fragments(opcode, pieces)
    ws.chopped(data, chop if len(data) < 5000 else 1000)
    ws.gets(opcode, b"".join(pieces))
    ws.closes()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", [64, 256, 1024, 4096, 16384, 65536, 1 << 18])
def test_large_message_in_fragments(ws, opcode, size):
    payload = b"x" * (1 << 20)
    ws.send_bytes(fragments(opcode, split(payload, max(size, 1024))))
    ws.gets(opcode, payload)
    ws.closes()


@pytest.mark.parametrize("chop", [1 << 20, 1])
def test_control_frames_between(ws, chop):
    between = encode(PING, b"in") + encode(PONG, b"not asked for")
    ws.chopped(fragments(TEXT, [b"a", b"b", b"c"], between), chop)
    ws.gets(PONG, b"in")
    ws.gets(PONG, b"in")
    ws.gets(TEXT, b"abc")
    ws.closes()


def test_ping_between_is_answered_at_once(ws):
    ws.send_frame(TEXT, b"a", fin=False)
    ws.send_frame(PING, b"ping")
    ws.gets(PONG, b"ping")
    ws.send_frame(CONTINUATION, b"b")
    ws.gets(TEXT, b"ab")


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("payload", [b"", b"payload"])
def test_continuation_of_nothing(ws, fin, payload):
    ws.send_frame(CONTINUATION, payload, fin=fin)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("fin", [True, False])
def test_continuation_after_a_whole_message(ws, fin):
    ws.send_bytes(encode(TEXT, b"whole") +
                  encode(CONTINUATION, b"more", fin=fin) + encode(PING))
    ws.gets(TEXT, b"whole")
    ws.fails(PROTOCOL_ERROR)


def test_continuation_after_a_fragmented_message(ws):
    ws.send_bytes(fragments(TEXT, [b"a", b"b"]) + encode(CONTINUATION, b"c"))
    ws.gets(TEXT, b"ab")
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("first", [TEXT, BINARY])
@pytest.mark.parametrize("fin", [True, False])
def test_new_message_within_a_message(ws, first, opcode, fin):
    ws.send_frame(first, b"begun", fin=False)
    ws.send_frame(opcode, b"another", fin=fin)
    ws.fails(PROTOCOL_ERROR)


def test_message_after_message(ws):
    for i in range(20):
        ws.send_bytes(fragments(TEXT, [b"%d" % i] * 3))
        ws.gets(TEXT, b"%d" % i * 3)
    ws.closes()


# Limits

@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_at_the_limit(connect, opcode):
    ws = connect("/small")
    ws.echoes(opcode, b"x" * 1000)
    ws.send_bytes(fragments(opcode, [b"x" * 999, b"x"]))
    ws.gets(opcode, b"x" * 1000)
    ws.closes()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_message_over_the_limit(connect, opcode):
    ws = connect("/small")
    ws.send_frame(opcode, b"x" * 1001)
    ws.fails(TOO_BIG)


@pytest.mark.parametrize("length", [1001, 65535])
def test_declared_length_is_enough(connect, length):
    ws = connect("/small")
    ws.send_bytes(encode(BINARY, b"x" * length)[:4])
    ws.fails(TOO_BIG)


@pytest.mark.parametrize("length", [65536, 1 << 32, (1 << 63) - 1])
def test_declared_64_bit_length_is_enough(connect, length):
    ws = connect("/small")
    ws.send_bytes(b"\x82\xff" + length.to_bytes(8, "big"))
    ws.fails(TOO_BIG)


def test_fragments_over_the_limit_together(connect):
    ws = connect("/small")
    ws.send_bytes(fragments(BINARY, [b"x" * 500, b"x" * 500, b"x"]))
    ws.fails(TOO_BIG)


def test_number_of_fragments(connect):
    ws = connect("/fragments")
    ws.send_bytes(fragments(TEXT, [b"x"] * 10))
    ws.gets(TEXT, b"x" * 10)
    ws.send_bytes(fragments(TEXT, [b"x"] * 11))
    opcode, payload, _, _ = ws.receive_frame()
    assert opcode == 8 and payload[:2] in (b"\x03\xf0", b"\x03\xf1"), payload
