"""RFC 6455 section 5.2: lengths, masking, reserved bits, opcodes."""

import struct

import pytest

from wire import (BINARY, CLOSE, CONTINUATION, NORMAL, PING, PONG,
                  PROTOCOL_ERROR, TEXT, close_payload, encode)

LENGTHS = [0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 124,
           125, 126, 127, 128, 255, 256, 257, 1023, 1024, 1025, 4095, 4096,
           4097, 16383, 16384, 16385, 32767, 32768, 65534, 65535, 65536,
           65537, 131072]
LARGE = [1 << 18, 1 << 20, 1 << 22, 1 << 23, 1 << 24]


def pattern(size, opcode):
    """Bytes that differ everywhere, so that a shifted mask shows."""
    unit = (b"0123456789abcdefghijklmnopqrstuvw" if opcode == TEXT
            else bytes(range(251)))
    return (unit * (size // len(unit) + 1))[:size]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", LENGTHS)
def test_length(ws, size, opcode):
    ws.echoes(opcode, pattern(size, opcode))
    ws.closes()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size", LARGE)
def test_large_message(ws, size, opcode):
    ws.echoes(opcode, pattern(size, opcode))
    ws.closes()


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("size, chop", [
    (0, 1), (1, 1), (125, 1), (126, 1), (127, 1), (300, 1), (65535, 997),
    (65536, 997), (65536, 64), (131072, 1460), (1 << 20, 65536),
    (1 << 20, 1000)])
def test_length_in_segments(ws, size, chop, opcode):
    payload = pattern(size, opcode)
    ws.chopped(encode(opcode, payload), chop)
    ws.gets(opcode, payload)
    ws.closes()


@pytest.mark.parametrize("shift", range(15))
def test_frame_split_in_two(ws, shift):
    """The cut passes through every byte of a 14-byte header."""
    payload = pattern(65536, BINARY)
    frame = encode(BINARY, payload)
    ws.chopped(frame[:shift], max(shift, 1), 0.01)
    ws.send_bytes(frame[shift:])
    ws.gets(BINARY, payload)
    ws.closes()


def test_frames_together(ws):
    frames = [(TEXT, b"one"), (BINARY, b""), (TEXT, b"x" * 126),
              (BINARY, b"\x00" * 70000), (TEXT, b"last")]
    ws.send_bytes(b"".join(encode(*frame) for frame in frames))
    for opcode, payload in frames:
        ws.gets(opcode, payload)
    ws.closes()


# Lengths that are not allowed

def header(opcode, length, form, mask=True):
    """A header with the length in the form asked for: 7, 16 or 64 bits."""
    masked = 0x80 if mask else 0
    head = bytes([0x80 | opcode])
    if form == 7:
        head += bytes([masked | length])
    elif form == 16:
        head += bytes([masked | 126]) + struct.pack("!H", length)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", length)
    return head + (b"\x00\x00\x00\x00" if mask else b"")


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
@pytest.mark.parametrize("length, form", [
    (0, 16), (1, 16), (125, 16), (0, 64), (125, 64), (126, 64), (65535, 64)])
def test_length_that_is_not_minimal(ws, length, form, opcode):
    ws.send_bytes(header(opcode, length, form) + b"x" * length)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("length", [126, 127, 65535])
def test_minimal_16_bit_length(ws, length):
    ws.send_bytes(header(BINARY, length, 16) + b"x" * length)
    ws.gets(BINARY, b"x" * length)


@pytest.mark.parametrize("length", [
    1 << 63, (1 << 63) | 5, (1 << 64) - 1, (1 << 63) | (1 << 20)])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_top_bit_of_the_length(ws, length, opcode):
    ws.send_bytes(header(opcode, length, 64))
    ws.fails(PROTOCOL_ERROR)


# Masking

@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
@pytest.mark.parametrize("payload", [b"", b"\x03\xe8", b"\x03\xe8" + b"x" * 99])
def test_frame_without_mask(ws, opcode, payload):
    ws.send_bytes(encode(opcode, payload, mask=None))
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("key", [
    b"\x00\x00\x00\x00", b"\xff\xff\xff\xff", b"\x01\x02\x03\x04",
    b"\x80\x00\x00\x00", b"\x00\x00\x00\x80"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 8, 100, 1000])
def test_mask(ws, key, size):
    payload = pattern(size, BINARY)
    ws.send_frame(BINARY, payload, mask=lambda _: key)
    ws.gets(BINARY, payload)


# Reserved bits

@pytest.mark.parametrize("rsv", range(1, 8))
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, PONG, CLOSE])
def test_reserved_bits(ws, opcode, rsv):
    payload = close_payload(NORMAL) if opcode == CLOSE else b"text"
    ws.send_frame(opcode, payload, rsv=rsv)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_after_a_message(ws, rsv):
    """The message before is answered, the ping behind is not."""
    ws.send_bytes(encode(TEXT, b"before") +
                  encode(TEXT, b"bad", rsv=rsv) + encode(PING))
    ws.gets(TEXT, b"before")
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_byte_by_byte(ws, rsv):
    ws.send_bytes(encode(TEXT, b"before"))
    ws.gets(TEXT, b"before")
    frame = encode(TEXT, b"bad", rsv=rsv)
    ws.send_bytes(frame[:1])
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", range(1, 8))
def test_reserved_bits_of_a_continuation(ws, rsv):
    ws.send_frame(TEXT, b"te", fin=False)
    ws.send_frame(CONTINUATION, b"xt", rsv=rsv)
    ws.fails(PROTOCOL_ERROR)


# Opcodes

RESERVED = [3, 4, 5, 6, 7, 11, 12, 13, 14, 15]


@pytest.mark.parametrize("opcode", RESERVED)
@pytest.mark.parametrize("payload", [b"", b"payload"])
def test_reserved_opcode(ws, opcode, payload):
    ws.send_frame(opcode, payload)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", RESERVED)
def test_reserved_opcode_after_a_message(ws, opcode):
    ws.send_bytes(encode(TEXT, b"before") + encode(opcode, b"bad") +
                  encode(PING))
    ws.gets(TEXT, b"before")
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", RESERVED)
def test_reserved_opcode_is_seen_at_its_first_byte(ws, opcode):
    ws.send_bytes(encode(opcode, b"bad")[:1])
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", RESERVED)
def test_reserved_opcode_between_fragments(ws, opcode):
    ws.send_frame(TEXT, b"te", fin=False)
    ws.send_frame(opcode)
    ws.fails(PROTOCOL_ERROR)
