"""RFC 6455 sections 4.2 and 4.4: what is a handshake, and the answer to what
is not."""

import base64
import hashlib
import os
import re
import socket
import struct

import pytest

from wire import TEXT, encode

PATH = "/chat/chat_websocket/"
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
GOOD = {
    "Host": "localhost",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class Answer:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        self.lines = head.decode("latin-1").split("\r\n")
        self.status = int(self.lines[0].split()[1])
        self.fields = {}
        for line in self.lines[1:]:
            name, _, value = line.partition(":")
            self.fields.setdefault(name.lower(), []).append(value.strip())

    def __getitem__(self, name):
        values = self.fields.get(name.lower(), [])
        return ", ".join(values) if values else None


@pytest.fixture
def ask(echo_server):
    """Sends a request and returns the Answer: its head, and what came with
    it until the connection ended or nothing more came for a moment."""
    sockets = []

    def send(fields=None, method="GET", path=PATH, version="HTTP/1.1",
             extra=(), body=b"", raw=None):
        connection = socket.create_connection(
            ("127.0.0.1", echo_server.nginx.port), 5)
        sockets.append(connection)
        merged = {**GOOD, **(fields or {})}
        lines = [f"{method} {path} {version}"]
        lines += [f"{name}: {value}" for name, value in merged.items()
                  if value is not None]
        lines += extra
        connection.sendall(raw or (
            "\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body)
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            assert piece, data
            data += piece
        answer = Answer(data)
        answer.socket = connection
        return answer

    yield send
    for each in sockets:
        each.close()


def accepts(answer):
    return answer.status == 101


# Good ones

def test_the_example_of_the_rfc(ask):
    answer = ask()
    assert answer.status == 101
    assert answer["Sec-WebSocket-Accept"] == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
    assert answer["Upgrade"].lower() == "websocket"
    assert answer["Connection"].lower() == "upgrade"
    assert answer["Sec-WebSocket-Protocol"] is None
    assert answer["Sec-WebSocket-Extensions"] is None
    assert answer["Content-Length"] is None
    assert answer["Transfer-Encoding"] is None


def test_any_key(ask):
    for _ in range(20):
        key = base64.b64encode(os.urandom(16)).decode()
        digest = hashlib.sha1(
            (key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
        assert ask({"Sec-WebSocket-Key": key})["Sec-WebSocket-Accept"] == (
            base64.b64encode(digest).decode())


@pytest.mark.parametrize("fields", [
    {"Upgrade": "WebSocket"}, {"Upgrade": "WEBSOCKET"},
    {"Upgrade": "h2c, websocket"}, {"Upgrade": " websocket "},
    {"Connection": "upgrade"}, {"Connection": "UPGRADE"},
    {"Connection": "keep-alive, Upgrade"},
    {"Connection": "Upgrade, HTTP2-Settings"},
    {"Connection": "keep-alive,Upgrade"},
    {"Connection": "keep-alive ,\tUpgrade , x"},
    {"Origin": "https://example.com"}, {"Content-Length": "0"},
    {"Sec-WebSocket-Extensions": "x-unknown"},
    {"Sec-WebSocket-Extensions": "permessage-deflate"}],
    ids=lambda fields: ",".join(f"{k}={v}" for k, v in fields.items()))
def test_forms_that_are_allowed(ask, fields):
    assert accepts(ask(fields))


def test_field_names_in_any_case(ask):
    assert accepts(ask({**{name: None for name in GOOD},
                        **{name.lower(): value
                           for name, value in GOOD.items()}}))


def test_connection_in_two_fields(ask):
    assert accepts(ask(extra=["Connection: keep-alive"]))


def test_arguments_in_the_address(ask):
    assert accepts(ask(path=PATH + "?user=ada&x=%20"))


def test_frames_behind_the_request(ask):
    """They may come in the same segment."""
    answer = ask(body=encode(TEXT, b"early"))
    assert accepts(answer)
    data = answer.body
    while len(data) < 7:
        piece = answer.socket.recv(100)
        assert piece
        data += piece
    assert data == b"\x81\x05early"


def test_request_byte_by_byte(echo_server):
    connection = socket.create_connection(
        ("127.0.0.1", echo_server.nginx.port), 5)
    lines = [f"GET {PATH} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in GOOD.items()]
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()
    for byte in request + encode(TEXT, b"ping"):
        connection.sendall(bytes([byte]))
    data = b""
    while not data.endswith(b"\x81\x04pong"):
        piece = connection.recv(1000)
        assert piece, data
        data += piece
    assert data.startswith(b"HTTP/1.1 101")
    connection.close()


# Bad ones

def refused(answer, status):
    assert answer.status == status, answer.lines
    assert answer["Sec-WebSocket-Accept"] is None


@pytest.mark.parametrize("version", ["0", "7", "8", "12", "14", "255"])
def test_other_version(ask, version):
    answer = ask({"Sec-WebSocket-Version": version})
    refused(answer, 426)
    assert "13" in re.split(r",\s*", answer["Sec-WebSocket-Version"])
    assert answer["Upgrade"].lower() == "websocket"
    assert "upgrade" in answer["Connection"].lower()


@pytest.mark.parametrize("version", ["", "x", "-1", "013", "1 3", "13x",
                                     "256", "99999999999999999999"])
def test_malformed_version(ask, version):
    assert ask({"Sec-WebSocket-Version": version}).status in (400, 426)


@pytest.mark.parametrize("key", [
    "", "short", KEY[:-1], KEY + "=", KEY.replace("=", ""),
    KEY[:-2] + "A=", "!" * 22 + "==", KEY + KEY, "A" * 24,
    base64.b64encode(b"x" * 15).decode(), base64.b64encode(b"x" * 17).decode(),
    KEY[:10] + " " + KEY[11:]])
def test_malformed_key(ask, key):
    refused(ask({"Sec-WebSocket-Key": key}), 400)


def test_two_keys(ask):
    refused(ask(extra=[f"Sec-WebSocket-Key: {KEY}"]), 400)


def test_two_versions(ask):
    assert ask(extra=["Sec-WebSocket-Version: 13"]).status in (400, 426)


@pytest.mark.parametrize("missing, status", [
    ("Sec-WebSocket-Key", 400), ("Sec-WebSocket-Version", 400),
    ("Host", 400)])
def test_missing_field(ask, missing, status):
    refused(ask({missing: None}), status)


@pytest.mark.parametrize("missing", ["Upgrade", "Connection"])
def test_no_upgrade(ask, missing):
    """Not a WebSocket request at all."""
    answer = ask({missing: None})
    assert answer.status in (400, 426)
    if answer.status == 426:
        assert answer["Upgrade"].lower() == "websocket"


@pytest.mark.parametrize("fields", [
    {"Upgrade": "h2c"}, {"Upgrade": "websockets"}, {"Upgrade": "web socket"},
    {"Connection": "close"}, {"Connection": "keep-alive"},
    {"Connection": "Upgraded"}, {"Connection": "X-Upgrade"}])
def test_wrong_upgrade(ask, fields):
    assert ask(fields).status in (400, 426)


@pytest.mark.parametrize("method", ["POST", "PUT", "HEAD", "DELETE",
                                    "OPTIONS"])
def test_method(ask, method):
    answer = ask(method=method, fields={"Content-Length": "0"})
    assert answer.status in (400, 405), answer.lines
    assert answer["Sec-WebSocket-Accept"] is None


def test_http_1_0(ask):
    assert ask(version="HTTP/1.0").status in (400, 426, 505)


def test_body(ask):
    answer = ask({"Content-Length": "5"}, body=b"hello")
    assert answer.status in (400, 413), answer.lines


def test_chunked_body(ask):
    answer = ask({"Transfer-Encoding": "chunked"}, body=b"0\r\n\r\n")
    assert answer.status in (400, 413), answer.lines


def test_http_2_preface(ask):
    """Where HTTP/2 is not spoken, its preface is just a bad request."""
    answer = ask(raw=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    assert answer.status in (400, 405, 505)


def http_2_frame(kind, flags, stream, payload):
    return (struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) +
            struct.pack("!I", stream) + payload)


def http_2_status(connection):
    """The status of the response on stream 1, without a HPACK decoder: it is
    the first field of the block, from the static table or as three digits."""
    data = b""
    while True:
        while len(data) >= 9 and len(data) >= 9 + int.from_bytes(
                data[:3], "big"):
            size = int.from_bytes(data[:3], "big")
            kind, block = data[3], data[9:9 + size]
            data = data[9 + size:]
            if kind == 1:
                known = {0x88: 200, 0x8C: 400, 0x8D: 404, 0x8E: 500}
                block = block[1:] if block[0] & 0xE0 == 0x20 else block
                return known.get(block[0]) or int(block[2:5])
        piece = connection.recv(65536)
        assert piece, data
        data += piece


@pytest.mark.parametrize("method", [b"GET", b"CONNECT"])
def test_http_2(echo_server, method):
    """HTTP/2 knows no Upgrade, and we do not speak RFC 8441."""
    connection = socket.create_connection(
        ("127.0.0.1", echo_server.http2_port), 5)
    fields = [(b":method", method), (b":scheme", b"http"),
              (b":path", PATH.encode()), (b":authority", b"localhost"),
              (b"sec-websocket-key", KEY.encode()),
              (b"sec-websocket-version", b"13")]
    block = b"".join(b"\x00" + bytes([len(name)]) + name +
                     bytes([len(value)]) + value for name, value in fields)
    connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
                       http_2_frame(4, 0, 0, b"") +
                       http_2_frame(1, 0x05, 1, block))
    assert 400 <= http_2_status(connection) < 500
    connection.close()


def test_plain_request(ask):
    answer = ask({name: None for name in GOOD if name != "Host"})
    assert answer.status in (400, 426)


def test_connection_stays_usable_after_a_refusal(ask):
    answer = ask({"Sec-WebSocket-Version": "8"})
    refused(answer, 426)


# Subprotocols

@pytest.mark.parametrize("offered, chosen", [
    (["chat.v1"], "chat.v1"),
    (["chat.v2"], "chat.v2"),
    (["chat.v1, chat.v2"], "chat.v1"),
    (["chat.v2,chat.v1"], "chat.v2"),
    (["other, chat.v1"], "chat.v1"),
    (["other", "chat.v2"], "chat.v2"),
    (["other"], None),
    (["CHAT.V1"], None),
    (["chat.v1x, xchat.v1"], None),
    ([], None),
])
def test_subprotocol(ask, offered, chosen):
    answer = ask(path="/subprotocol", extra=[
        f"Sec-WebSocket-Protocol: {value}" for value in offered])
    assert answer.status == 101
    assert answer["Sec-WebSocket-Protocol"] == chosen


@pytest.mark.parametrize("value", ["chat v1", "chat.v1, chat.v1", '"chat.v1"',
                                   "a/b"])
def test_malformed_subprotocol(ask, value):
    answer = ask(path="/subprotocol",
                 extra=[f"Sec-WebSocket-Protocol: {value}"])
    assert answer.status == 400


def test_subprotocol_where_none_is_set(ask):
    answer = ask(extra=["Sec-WebSocket-Protocol: chat.v1"])
    assert answer.status == 101
    assert answer["Sec-WebSocket-Protocol"] is None
