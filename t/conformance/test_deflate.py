"""RFC 7692: permessage-deflate."""

import itertools
import os
import random
import zlib

import pytest

from wire import (BINARY, CLOSE, CONTINUATION, NORMAL, NOT_UTF8, PING, PONG,
                  PROTOCOL_ERROR, TEXT, TOO_BIG, close_payload, encode, split)

RSV1, RSV2, RSV3 = 4, 2, 1
TAIL = b"\x00\x00\xff\xff"
FIELD = "Sec-WebSocket-Extensions"
PATHS = ["/deflate", "/deflate-no-context", "/deflate-context"]


def deflate(data, bits=15, level=6, strategy=zlib.Z_DEFAULT_STRATEGY):
    context = zlib.compressobj(level, zlib.DEFLATED, -bits, 8, strategy)
    return (context.compress(data) +
            context.flush(zlib.Z_SYNC_FLUSH))[:-len(TAIL)]


def parameters(answer):
    """'permessage-deflate; a; b=1' as {"a": None, "b": "1"}."""
    name, *rest = [part.strip() for part in answer.split(";")]
    assert name == "permessage-deflate"
    found = {}
    for part in rest:
        key, _, value = part.partition("=")
        assert key not in found
        found[key] = value or None
    return found


class Deflated:
    """A connection with the extension agreed on, and both contexts."""

    def __init__(self, connect, path, offer="permessage-deflate"):
        self.ws = connect(path, headers={FIELD: offer})
        self.agreed = parameters(
            self.ws.response_headers["sec-websocket-extensions"])
        self.keep_out = "client_no_context_takeover" not in self.agreed
        self.keep_in = "server_no_context_takeover" not in self.agreed
        self.out_bits = int(self.agreed.get("client_max_window_bits") or 15)
        self.in_bits = int(self.agreed.get("server_max_window_bits") or 15)
        self.deflater = self.inflater = None

    def compress(self, data):
        if self.deflater is None or not self.keep_out:
            self.deflater = zlib.compressobj(
                6, zlib.DEFLATED, -max(self.out_bits, 9))
        return (self.deflater.compress(data) +
                self.deflater.flush(zlib.Z_SYNC_FLUSH))[:-len(TAIL)]

    def send(self, opcode, data, size=None):
        packed = self.compress(data)
        pieces = split(packed, size) if size else [packed]
        for i, piece in enumerate(pieces):
            self.ws.send_frame(CONTINUATION if i else opcode, piece,
                               fin=i == len(pieces) - 1,
                               rsv=0 if i else RSV1)

    def gets(self, opcode, data):
        kind, payload, fin, rsv = self.ws.receive_frame()
        assert (kind, fin) == (opcode, True)
        assert rsv in (0, RSV1)
        if rsv == RSV1:
            if self.inflater is None or not self.keep_in:
                self.inflater = zlib.decompressobj(-self.in_bits)
            payload = self.inflater.decompress(payload + TAIL)
        assert payload == data
        return rsv == RSV1

    def echoes(self, opcode, data, size=None):
        self.send(opcode, data, size)
        return self.gets(opcode, data)


@pytest.fixture(params=PATHS)
def deflated(connect, request):
    return Deflated(connect, request.param)


def text(size, seed=1):
    words = ["chat", "message", "信息", "hello", "κόσμε", "user", "{\"a\":1}"]
    chosen = random.Random(seed).choices(words, k=size // 4 + 1)
    return " ".join(chosen).encode()[:size].decode(errors="ignore").encode()


# Messages

@pytest.mark.parametrize("size", [
    0, 1, 2, 16, 64, 125, 126, 127, 256, 1024, 4096, 8192, 16384, 32768,
    65535, 65536, 131072, 1 << 20])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_sizes(deflated, opcode, size):
    deflated.echoes(opcode, text(size))
    deflated.ws.closes()


@pytest.mark.parametrize("size", [16, 256, 4096, 65536, 262144])
def test_bytes_that_do_not_compress(deflated, size):
    deflated.echoes(BINARY, os.urandom(size))
    deflated.ws.closes()


def test_many_messages(deflated):
    for seed in range(200):
        deflated.echoes(TEXT, text(10 + seed * 13, seed))
    deflated.ws.closes()


def test_answers_are_compressed(deflated):
    assert deflated.echoes(TEXT, text(4096))


@pytest.mark.parametrize("size", [1, 2, 100, 1000])
def test_fragments(deflated, size):
    deflated.echoes(TEXT, text(5000), size)
    deflated.echoes(TEXT, text(5000, 2), size)
    deflated.ws.closes()


def test_segments(deflated):
    deflated.ws.chopped(encode(TEXT, deflated.compress(text(2000)), rsv=RSV1))
    deflated.gets(TEXT, text(2000))
    deflated.ws.closes()


def test_empty_first_and_last_fragment(deflated):
    packed = deflated.compress(b"text")
    deflated.ws.send_frame(TEXT, b"", fin=False, rsv=RSV1)
    deflated.ws.send_frame(CONTINUATION, packed, fin=False)
    deflated.ws.send_frame(CONTINUATION, b"")
    deflated.gets(TEXT, b"text")


def test_control_frames_between_fragments(deflated):
    packed = deflated.compress(text(500))
    deflated.ws.send_frame(TEXT, packed[:9], fin=False, rsv=RSV1)
    deflated.ws.send_frame(PING, b"ping")
    deflated.ws.gets(PONG, b"ping")
    deflated.ws.send_frame(CONTINUATION, packed[9:])
    deflated.gets(TEXT, text(500))


def test_messages_that_are_not_compressed(deflated):
    for number in range(5):
        deflated.ws.send_frame(TEXT, b"plain %d" % number)
        deflated.gets(TEXT, b"plain %d" % number)
        deflated.echoes(TEXT, b"packed %d" % number)
    deflated.ws.closes()


@pytest.mark.parametrize("packed, data", [
    (b"\x00", b""), (b"\x02\x00", b""), (b"\xf2\x48\xcd\xc9\xc9\x07\x00",
                                         b"Hello"),
    (b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", b"Hello"),
    (b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
    (b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", b"Hello")],
    ids=["empty", "empty block", "rfc", "stored", "final bit",
         "two blocks"])
def test_examples_of_the_rfc(deflated, packed, data):
    deflated.ws.send_frame(TEXT, packed, rsv=RSV1)
    deflated.gets(TEXT, data)
    deflated.ws.closes()


@pytest.mark.parametrize("strategy", [
    zlib.Z_FIXED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FILTERED])
@pytest.mark.parametrize("level", [0, 1, 9])
def test_all_kinds_of_blocks(connect, strategy, level):
    peer = Deflated(connect, "/deflate-no-context")
    data = text(20000)
    peer.ws.send_frame(TEXT, deflate(data, 15, level, strategy), rsv=RSV1)
    peer.gets(TEXT, data)


# Faults

@pytest.mark.parametrize("rsv", [RSV2, RSV3, RSV2 | RSV3, RSV1 | RSV2, 7])
def test_other_reserved_bits(deflated, rsv):
    deflated.ws.send_frame(TEXT, b"text", rsv=rsv)
    deflated.ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_control_frame_with_rsv1(deflated, opcode):
    payload = close_payload(NORMAL) if opcode == CLOSE else b""
    deflated.ws.send_frame(opcode, payload, rsv=RSV1)
    deflated.ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("first", [0, RSV1])
def test_continuation_with_rsv1(deflated, first):
    deflated.ws.send_frame(TEXT, deflate(b"text")[:2] if first else b"te",
                           fin=False, rsv=first)
    deflated.ws.send_frame(CONTINUATION, b"xt", rsv=RSV1)
    deflated.ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("rsv", [RSV1])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_rsv1_without_the_extension(ws, opcode, rsv):
    ws.send_frame(opcode, deflate(b"text"), rsv=rsv)
    ws.fails(PROTOCOL_ERROR)


@pytest.mark.parametrize("packed", [
    b"\xff\xff\xff\xff", b"\x07" * 10, b"\x00\x05\x00\x00\x00hello"],
    ids=["reserved block", "bad block", "bad stored length"])
def test_garbage(deflated, packed):
    deflated.ws.send_frame(BINARY, packed, rsv=RSV1)
    opcode, payload, _, _ = deflated.ws.receive_frame()
    assert opcode == CLOSE
    assert payload[:2] in (b"\x03\xea", b"\x03\xef"), payload  # 1002, 1007
    deflated.ws.ends()


def test_unfinished(deflated):
    deflated.ws.send_frame(BINARY, deflate(text(4000))[:-20], rsv=RSV1)
    opcode, payload, _, _ = deflated.ws.receive_frame()
    assert opcode == CLOSE
    assert payload[:2] in (b"\x03\xea", b"\x03\xef"), payload
    deflated.ws.ends()


def test_text_that_is_not_utf8(deflated):
    deflated.ws.send_frame(TEXT, deflate(b"text \xff"), rsv=RSV1)
    deflated.ws.fails(NOT_UTF8)


def test_character_split_over_fragments(deflated):
    deflated.echoes(TEXT, "☺👨".encode() * 50, 1)


def test_unfinished_character(deflated):
    deflated.ws.send_frame(TEXT, deflate("☺".encode()[:2]), rsv=RSV1)
    deflated.ws.fails(NOT_UTF8)


# Size

def test_inflated_size_at_the_limit(connect):
    peer = Deflated(connect, "/deflate-small")
    peer.echoes(TEXT, b"x" * 1000)
    peer.ws.closes()


@pytest.mark.parametrize("size", [1001, 5000, 500000])
def test_inflated_size_over_the_limit(connect, size):
    peer = Deflated(connect, "/deflate-small")
    packed = deflate(b"x" * size)
    assert len(packed) < 1000
    peer.ws.send_frame(TEXT, packed, rsv=RSV1)
    peer.ws.fails(TOO_BIG)


def test_bomb(connect):
    """256 MB in 256 KB."""
    peer = Deflated(connect, "/deflate")
    context = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = b"\x00" * (1 << 20)
    packed = b"".join(context.compress(zeros) for _ in range(256))
    packed += context.flush(zlib.Z_SYNC_FLUSH)[:-len(TAIL)]
    try:
        peer.ws.send_frame(BINARY, packed, rsv=RSV1)
    except ConnectionError:
        pass
    peer.ws.fails(TOO_BIG)


def test_bomb_in_fragments(connect):
    peer = Deflated(connect, "/deflate-small")
    pieces = split(deflate(b"\x00" * 100000), 20)
    try:
        for i, piece in enumerate(pieces):
            peer.ws.send_frame(CONTINUATION if i else BINARY, piece,
                               fin=i == len(pieces) - 1,
                               rsv=0 if i else RSV1)
    except ConnectionError:
        pass
    peer.ws.fails(TOO_BIG)


# Negotiation

def offers():
    for server, client, server_bits, client_bits in itertools.product(
            (False, True), (False, True), (None, 8, 9, 12, 15),
            (None, "", 8, 9, 12, 15)):
        offer = "permessage-deflate"
        offer += "; server_no_context_takeover" * server
        offer += "; client_no_context_takeover" * client
        if server_bits is not None:
            offer += f"; server_max_window_bits={server_bits}"
        if client_bits is not None:
            offer += "; client_max_window_bits"
            offer += f"={client_bits}" if client_bits else ""
        yield offer


@pytest.mark.parametrize("path", [*PATHS, "/deflate-window"])
def test_every_offer(connect, path):
    """Whatever is offered, what is agreed on fits to it, and works."""
    for offer in offers():
        asked = parameters(offer)
        ws = connect(path, headers={FIELD: offer})
        answer = ws.response_headers.get("sec-websocket-extensions")
        if answer is None:
            # Only a window that zlib cannot do may be a reason.
            assert asked.get("server_max_window_bits") == "8", offer
            continue
        agreed = parameters(answer)
        assert set(agreed) <= {
            "server_no_context_takeover", "client_no_context_takeover",
            "server_max_window_bits", "client_max_window_bits"}
        if "server_no_context_takeover" in asked:
            assert "server_no_context_takeover" in agreed, offer
        if "server_max_window_bits" in asked:
            assert (8 <= int(agreed["server_max_window_bits"]) <=
                    int(asked["server_max_window_bits"])), (offer, answer)
        if "client_max_window_bits" in agreed:
            assert "client_max_window_bits" in asked, (offer, answer)
            assert (8 <= int(agreed["client_max_window_bits"]) <=
                    int(asked["client_max_window_bits"] or 15))
        peer = Deflated(connect, path, offer)
        for seed in range(3):
            peer.echoes(TEXT, text(3000, seed))
        peer.ws.closes()
        ws.abort()


@pytest.mark.parametrize("offer", [
    "permessage-deflate; unknown", "permessage-deflate; unknown=1",
    "permessage-deflate; server_max_window_bits",
    "permessage-deflate; server_max_window_bits=7",
    "permessage-deflate; server_max_window_bits=16",
    "permessage-deflate; server_max_window_bits=x",
    "permessage-deflate; server_max_window_bits=010",
    "permessage-deflate; client_max_window_bits=7",
    "permessage-deflate; client_max_window_bits=16",
    "permessage-deflate; client_max_window_bits=08",
    "permessage-deflate; server_no_context_takeover=1",
    "permessage-deflate; client_no_context_takeover=0",
    "permessage-deflate; server_no_context_takeover; "
    "server_no_context_takeover",
    "permessage-deflate; server_max_window_bits=10; "
    "server_max_window_bits=10",
    "x-webkit-deflate-frame", "permessage-deflate2", "Permessage-Bzip2"])
def test_offers_that_are_declined(connect, offer):
    ws = connect("/deflate", headers={FIELD: offer})
    assert "sec-websocket-extensions" not in ws.response_headers
    ws.echoes(TEXT, b"text")
    ws.closes()


@pytest.mark.parametrize("offer", [
    "permessage-deflate; unknown, permessage-deflate",
    "x-unknown; a=b, permessage-deflate; client_max_window_bits",
    'permessage-deflate; server_max_window_bits="10"',
    "permessage-deflate;client_max_window_bits",
    "permessage-deflate ; client_no_context_takeover",
    "permessage-deflate; server_max_window_bits=7, permessage-deflate"])
def test_offers_with_a_good_part(connect, offer):
    peer = Deflated(connect, "/deflate", offer)
    peer.echoes(TEXT, text(1000))
    peer.ws.closes()


def test_the_first_good_offer_is_taken(connect):
    peer = Deflated(connect, "/deflate",
                    "permessage-deflate; server_max_window_bits=9, "
                    "permessage-deflate; server_max_window_bits=12")
    assert peer.agreed["server_max_window_bits"] == "9"


def test_off_by_default(connect):
    ws = connect(headers={FIELD: "permessage-deflate"})
    assert "sec-websocket-extensions" not in ws.response_headers


def test_our_own_window(connect):
    peer = Deflated(connect, "/deflate-window",
                    "permessage-deflate; client_max_window_bits")
    assert peer.agreed["client_max_window_bits"] == "11"
    assert peer.agreed.get("server_max_window_bits") in (None, "10")
    peer.in_bits = 10  # said or not, it must do
    peer.echoes(TEXT, text(100000))


def test_no_context_is_said(connect):
    peer = Deflated(connect, "/deflate-no-context")
    assert "server_no_context_takeover" in peer.agreed
    assert "client_no_context_takeover" in peer.agreed
    first = peer.compress(text(500))
    assert first == peer.compress(text(500))
    for _ in range(3):
        peer.echoes(TEXT, text(500))
