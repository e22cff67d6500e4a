"""A chat-worker that does what it is told to, right or wrong: the relay
protocol (docs/relay-protocol.md) seen from the worker's side.

    with RelayPeer(folder / "worker.sock") as peer:
        nginx = ...              # chat_pass unix:<peer.path>
        client = WebSocket(...)
        link = peer.accept()     # HELLO both ways
        attach = link.expect(ATTACH)
        link.send(attach.id, "hello")

Nothing is read or answered unless a method is called, so a worker that never
reads is one of which no method is called. PING is answered on the way.
"""

import os
import socket
import struct
import time
from typing import NamedTuple

(HELLO, ATTACH, MESSAGE, DETACH, SEND, FANOUT, CLOSE, IDENTIFY, RECEIPT,
 WRITTEN, REQUEST, RESPONSE, PING, PONG) = range(1, 15)

BINARY, REPORT_WRITTEN, HAS_MARK = 1, 2, 4
TRUST_INIT, RESUMED, CLAIMED, NUMBER = 1, 2, 4, 8

MAGIC = b"CHAT"
VERSION = 1
MAX_PAYLOAD = 1 << 24
HEADER = struct.Struct("<IBBHQ")


class Frame(NamedTuple):
    kind: int
    flags: int
    code: int
    id: int
    payload: bytes


class Attach(NamedTuple):
    id: int
    flags: int
    mark: int
    heartbeat_timeout: int  # milliseconds
    user: str
    address: str


class LinkClosed(Exception):
    """nginx has closed the relay connection."""


def encode(kind, payload=b"", flags=0, code=0, id=0):
    return HEADER.pack(len(payload), kind, flags, code, id) + payload


def hello(instance=1, max_payload=MAX_PAYLOAD, name=b"relay_peer",
          version=VERSION, magic=MAGIC):
    payload = magic + struct.pack("<I", max_payload) + name
    return encode(HELLO, payload, code=version, id=instance)


def fanout(body, recipients, offsets=(), flags=0):
    """recipients: (mark, [connection id, ...], [text for each hole])."""
    payload = struct.pack("<IIHH", len(body), len(recipients), len(offsets),
                          0)
    payload += struct.pack(f"<{len(offsets)}I", *offsets) + body
    for mark, sessions, texts in recipients:
        payload += struct.pack("<QH", mark, len(sessions))
        payload += struct.pack(f"<{len(texts)}H", *map(len, texts))
        payload += struct.pack(f"<{len(sessions)}Q", *sessions)
        payload += b"".join(texts)
    return encode(FANOUT, payload, flags)


def decode_attach(frame):
    mark, timeout, user, address = struct.unpack_from("<QIHH", frame.payload)
    assert len(frame.payload) == 16 + user + address, frame
    return Attach(frame.id, frame.flags, mark, timeout,
                  frame.payload[16:16 + user].decode(),
                  frame.payload[16 + user:].decode())


def as_bytes(message):
    return message.encode() if isinstance(message, str) else message


class Link:
    """One relay connection."""

    def __init__(self, connection, timeout):
        self.socket = connection
        self.timeout = timeout
        self.buffer = b""
        self.messages = 0  # MESSAGE frames read so far
        self.answers_ping = True
        self.peer_hello = None

    # Reading

    def next(self, timeout=None):
        """The next frame as it comes; PING is answered and not returned."""
        deadline = time.monotonic() + (self.timeout if timeout is None
                                       else timeout)
        while True:
            frame = self._take()
            if frame is None:
                self._receive(deadline)
            elif frame.kind == PING:
                if self.answers_ping:
                    self.raw(encode(PONG, id=frame.id))
            else:
                return frame

    def expect(self, kind, timeout=None):
        """The next frame, which must be of this kind."""
        frame = self.next(timeout)
        assert frame.kind == kind, frame
        return decode_attach(frame) if kind == ATTACH else frame

    def nothing(self, seconds=0.3):
        """Fails if a frame comes within that time."""
        try:
            frame = self.next(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected frame: {frame}")

    def wait_closed(self, timeout=None):
        """Reads on until nginx closes."""
        try:
            while True:
                self.next(timeout)
        except LinkClosed:
            pass

    def _take(self):
        if len(self.buffer) < HEADER.size:
            return None
        length, kind, flags, code, number = HEADER.unpack_from(self.buffer)
        end = HEADER.size + length
        if len(self.buffer) < end:
            return None
        payload, self.buffer = (self.buffer[HEADER.size:end],
                                self.buffer[end:])
        self.messages += kind == MESSAGE
        return Frame(kind, flags, code, number, payload)

    def _receive(self, deadline):
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            raise LinkClosed
        self.buffer += data

    # Writing

    def raw(self, data):
        self.socket.settimeout(self.timeout)
        self.socket.sendall(data)

    def greet(self, **options):
        """HELLO both ways."""
        self.raw(hello(**options))
        self.peer_hello = self.expect(HELLO)
        assert self.peer_hello.payload[:4] == MAGIC, self.peer_hello
        assert self.peer_hello.code == VERSION, self.peer_hello

    def send(self, session, message, flags=0, mark=None):
        payload = as_bytes(message)
        if mark is not None:
            flags |= HAS_MARK
            payload = struct.pack("<Q", mark) + payload
        self.raw(encode(SEND, payload, flags, id=session))

    def fanout(self, body, recipients, offsets=(), flags=0):
        self.raw(fanout(as_bytes(body), [
            (mark, sessions, [as_bytes(text) for text in texts])
            for mark, sessions, texts in recipients], offsets, flags))

    def close_session(self, session, code, reason=""):
        self.raw(encode(CLOSE, as_bytes(reason), code=code, id=session))

    def identify(self, session, user, number=False):
        self.raw(encode(IDENTIFY, as_bytes(user), NUMBER if number else 0,
                        id=session))

    def receipt(self, count=None):
        """For all MESSAGE frames read so far, unless told otherwise."""
        self.raw(encode(RECEIPT,
                        id=self.messages if count is None else count))

    def respond(self, request, status, content_type, body):
        content_type = as_bytes(content_type)
        self.raw(encode(RESPONSE, struct.pack("<H", len(content_type)) +
                        content_type + as_bytes(body), code=status,
                        id=request))

    # The end

    def cut(self):
        """Gone from one moment to the next, as when the worker is killed."""
        self.socket.close()


class RelayPeer:
    """Listens on a Unix socket for relay connections."""

    def __init__(self, path, timeout=10.0):
        self.path = str(path)
        self.timeout = timeout
        self.links = []
        self.listener = None
        self.listen()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def listen(self):
        """(Again) after stop()."""
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(16)

    def accept(self, greet=True, timeout=None, **options):
        """The next relay connection of an nginx worker."""
        self.listener.settimeout(self.timeout if timeout is None else timeout)
        connection, _ = self.listener.accept()
        link = Link(connection, self.timeout)
        self.links.append(link)
        if greet:
            link.greet(**options)
        return link

    def stop(self):
        """As when the worker is killed: nobody listens any more."""
        for link in self.links:
            link.cut()
        self.links.clear()
        if self.listener:
            self.listener.close()
            self.listener = None
            os.unlink(self.path)
