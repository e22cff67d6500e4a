"""RFC 6455 sections 5.6 and 8.1: text is UTF-8, and what is not fails at its
first bad byte, wherever frames and segments are cut."""

import pytest

from wire import (BINARY, CONTINUATION, NOT_UTF8, PING, PONG, TEXT, encode,
                  split)


def scalar(*code_points):
    return "".join(map(chr, code_points)).encode()


VALID = {
    "empty": b"",
    "ascii": b"Hello world!",
    "greek": "κόσμε".encode(),
    "mixed": "Hello-µ@ßöäüàá-UTF-8!!".encode(),
    "chinese": "信息发送成功".encode(),
    "emoji": "👨‍👩‍👧 ☺".encode(),
    "first of 1": b"\x00",
    "first of 2": scalar(0x80),
    "first of 3": scalar(0x800),
    "first of 4": scalar(0x10000),
    "last of 1": b"\x7f",
    "last of 2": scalar(0x7FF),
    "last of 3": scalar(0xFFFF),
    "last of 4": scalar(0x10FFFF),
    "around surrogates": scalar(0xD7FF, 0xE000, 0xFFFD),
    "noncharacters": scalar(0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFE, 0xFDD0),
    "byte order mark": "\ufefftext".encode(),
    "all planes": b"".join(scalar(plane << 16 | 0x1234)
                           for plane in range(17)),
}

# What is wrong, and how many bytes of it are needed to know.
BAD = {
    "continuation 80": (b"\x80", 1),
    "continuation bf": (b"\xbf", 1),
    "continuations": (b"\x80\xbf\x80", 1),
    "all continuations": (bytes(range(0x80, 0xC0)), 1),
    "lonely 2": (b"\xc3 ", 2),
    "lonely 3": (b"\xe2 ", 2),
    "lonely 3 of 3": (b"\xe2\x82 ", 3),
    "lonely 4": (b"\xf0 ", 2),
    "lonely 4 of 4": (b"\xf0\x90\x80 ", 4),
    "c0": (b"\xc0", 1),
    "c1": (b"\xc1", 1),
    "f5": (b"\xf5", 1),
    "f8": (b"\xf8\x88\x80\x80\x80", 1),
    "fc": (b"\xfc\x84\x80\x80\x80\x80", 1),
    "fe": (b"\xfe", 1),
    "ff": (b"\xff", 1),
    "fe fe ff ff": (b"\xfe\xfe\xff\xff", 1),
    "overlong / of 2": (b"\xc0\xaf", 1),
    "overlong / of 3": (b"\xe0\x80\xaf", 2),
    "overlong / of 4": (b"\xf0\x80\x80\xaf", 2),
    "largest overlong of 2": (b"\xc1\xbf", 1),
    "largest overlong of 3": (b"\xe0\x9f\xbf", 2),
    "largest overlong of 4": (b"\xf0\x8f\xbf\xbf", 2),
    "overlong nul": (b"\xc0\x80", 1),
    "over 10ffff": (b"\xf4\x90\x80\x80", 2),
    "surrogate d800": (b"\xed\xa0\x80", 2),
    "surrogate db7f": (b"\xed\xad\xbf", 2),
    "surrogate dc00": (b"\xed\xb0\x80", 2),
    "surrogate dfff": (b"\xed\xbf\xbf", 2),
    "surrogate pair": (b"\xed\xa0\x80\xed\xb0\x80", 2),
}
UNFINISHED = {
    "2": b"\xc3", "3": b"\xe2", "3 of 3": b"\xe2\x82", "4": b"\xf0",
    "3 of 4": b"\xf0\x9f", "4 of 4": b"\xf0\x9f\x98",
}
BEFORE = [b"", b"text", "κόσμε".encode(), b"x" * 100, b"x" * 4096]


@pytest.mark.parametrize("name", VALID)
def test_valid(ws, name):
    ws.echoes(TEXT, VALID[name])
    ws.closes()


@pytest.mark.parametrize("name", VALID)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_valid_in_fragments(ws, name, size):
    pieces = split(VALID[name], size) or [b""]
    for i, piece in enumerate(pieces):
        ws.send_frame(CONTINUATION if i else TEXT, piece,
                      fin=i == len(pieces) - 1)
    ws.gets(TEXT, VALID[name])
    ws.closes()


@pytest.mark.parametrize("name", VALID)
def test_valid_byte_by_byte(ws, name):
    ws.chopped(encode(TEXT, VALID[name]))
    ws.gets(TEXT, VALID[name])
    ws.closes()


def test_valid_with_pings_within_characters(ws):
    text = "κόσμε👨".encode()
    for i, piece in enumerate(split(text, 1)):
        ws.send_frame(CONTINUATION if i else TEXT, piece,
                      fin=i == len(text) - 1)
        ws.send_frame(PING, b"\xff")
    for i in range(len(text) - 1):
        ws.gets(PONG, b"\xff")
    got = {ws.receive_frame()[:2] for _ in range(2)}
    assert got == {(PONG, b"\xff"), (TEXT, text)}
    ws.closes()


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("before", BEFORE, ids=range(len(BEFORE)))
def test_bad(ws, name, before):
    ws.send_frame(TEXT, before + BAD[name][0] + b" and after")
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", BAD)
def test_bad_at_every_alignment(connect, name):
    """The checker may look at many bytes at a time."""
    for shift in range(0, 33, 3):
        ws = connect()
        ws.send_frame(TEXT, b"x" * shift + BAD[name][0] + b"x" * 40)
        ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", BAD)
def test_bad_in_a_fragment(ws, name):
    ws.send_frame(TEXT, "κόσμε".encode(), fin=False)
    ws.send_frame(CONTINUATION, BAD[name][0], fin=False)
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", BAD)
def test_fails_at_the_first_bad_byte_of_a_frame(ws, name):
    """The frame is not finished: nothing else can have decided it."""
    bad, needed = BAD[name]
    frame = encode(TEXT, b"ok" + bad[:needed] + b"x" * 100)
    end = len(frame) - 100
    ws.send_bytes(frame[:end - 1])
    ws.silent(0.05)
    ws.send_bytes(frame[end - 1:end])
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", BAD)
def test_fails_at_the_first_bad_byte_of_a_message(ws, name):
    bad, needed = BAD[name]
    ws.send_frame(TEXT, b"ok", fin=False)
    for i in range(needed):
        ws.send_frame(CONTINUATION, bad[i:i + 1], fin=False)
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", UNFINISHED)
@pytest.mark.parametrize("before", BEFORE, ids=range(len(BEFORE)))
def test_unfinished_at_the_end(ws, name, before):
    ws.send_frame(TEXT, before + UNFINISHED[name])
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", UNFINISHED)
def test_unfinished_at_the_end_of_the_last_fragment(ws, name):
    ws.send_frame(TEXT, b"text" + UNFINISHED[name], fin=False)
    ws.silent(0.05)
    ws.send_frame(CONTINUATION, b"")
    ws.fails(NOT_UTF8)


@pytest.mark.parametrize("name", UNFINISHED)
def test_a_character_is_not_finished_by_the_next_message(ws, name):
    ws.send_frame(BINARY, UNFINISHED[name])
    ws.gets(BINARY, UNFINISHED[name])
    ws.echoes(TEXT, "next ☺".encode())
    ws.closes()


def test_every_two_bytes(connect):
    """All pairs that are not UTF-8, by a few connections per first byte."""
    for first in range(0x80, 0x100, 5):
        for second in (0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0):
            pair = bytes([first, second])
            ws = connect()
            ws.send_frame(TEXT, pair)
            try:
                pair.decode()
            except UnicodeDecodeError:
                ws.fails(NOT_UTF8)
            else:
                ws.gets(TEXT, pair)
                ws.closes()


@pytest.mark.parametrize("data", [b"\xff", b"\xc0\x80", bytes(range(256))])
def test_binary_may_be_anything(ws, data):
    ws.echoes(BINARY, data)
    ws.closes()
