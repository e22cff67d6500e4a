"""A WebSocket client that sends exactly the bytes it is told to send.

Synchronous: what the server has sent is read when the test asks for it, and
pings are answered on the way.
"""

import base64
import os
import socket
import ssl
import struct
import time

CONTINUATION, TEXT, BINARY = 0x0, 0x1, 0x2
CLOSE, PING, PONG = 0x8, 0x9, 0xA


class HandshakeFailed(Exception):
    """The answer was not 101. status, headers and body say what it was."""

    def __init__(self, status, headers, body):
        super().__init__(f"HTTP status {status}")
        self.status = status
        self.headers = headers
        self.body = body


class Closed(Exception):
    """The server closed: code and reason of its close frame, or code 1006
    if the connection ended without one."""

    def __init__(self, code, reason=""):
        super().__init__(f"closed with {code} {reason!r}")
        self.code = code
        self.reason = reason


def encode(opcode, payload=b"", fin=True, mask=os.urandom, rsv=0):
    """One frame. mask=None leaves it unmasked, which is forbidden."""
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    masked = 0x80 if mask else 0
    size = len(payload)
    if size < 126:
        head += bytes([masked | size])
    elif size < 65536:
        head += bytes([masked | 126]) + struct.pack("!H", size)
    else:
        head += bytes([masked | 127]) + struct.pack("!Q", size)
    if not mask:
        return head + payload
    key = mask(4)
    return head + key + apply_mask(payload, key)


def apply_mask(payload, key):
    size = len(payload)
    stream = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^
            int.from_bytes(stream, "big")).to_bytes(size, "big")


class WebSocket:
    """Connects and shakes hands. `response_headers` are the server's, with
    names in lower case. `tls`: an ssl.SSLContext."""

    def __init__(self, address, path="/", headers=None, timeout=5.0,
                 tls=None, host="localhost"):
        self.timeout = timeout
        self.buffer = b""
        self.closed = None  # the Closed that was seen
        family = (socket.AF_INET if isinstance(address, tuple)
                  else socket.AF_UNIX)
        self.socket = socket.socket(family)
        try:
            self.socket.settimeout(timeout)
            self.socket.connect(address)
            if family == socket.AF_INET:
                self.socket.setsockopt(socket.IPPROTO_TCP,
                                       socket.TCP_NODELAY, 1)
            if tls:
                self.socket = tls.wrap_socket(self.socket,
                                              server_hostname=host)
            self._shake_hands(path, host, headers or {})
        except BaseException:
            self.socket.close()
            raise

    # Handshake

    def _shake_hands(self, path, host, headers):
        fields = {
            "Host": host,
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": base64.b64encode(os.urandom(16)).decode(),
        }
        fields.update(headers)  # a value of None leaves the header out
        request = f"GET {path} HTTP/1.1\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in fields.items()
            if value is not None) + "\r\n"
        self.send_bytes(request.encode())
        while b"\r\n\r\n" not in self.buffer:
            if not self._receive(time.monotonic() + self.timeout):
                raise HandshakeFailed(0, {}, self.buffer)
        head, _, self.buffer = self.buffer.partition(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        self.response_headers = {
            name.lower(): value.strip() for name, _, value in
            (line.partition(":") for line in lines)}
        status = int(status_line.split()[1])
        if status != 101:
            raise HandshakeFailed(status, self.response_headers,
                                  self._rest())

    def _rest(self):
        length = int(self.response_headers.get("content-length", 0))
        while len(self.buffer) < length:
            if not self._receive(time.monotonic() + self.timeout):
                break
        return self.buffer[:length]

    # Sending

    def send_bytes(self, data):
        self.socket.sendall(data)

    def send_frame(self, opcode, payload=b"", **options):
        self.send_bytes(encode(opcode, payload, **options))

    def send_text(self, text):
        self.send_frame(TEXT, text.encode())

    def send_binary(self, payload):
        self.send_frame(BINARY, payload)

    # Receiving

    def receive_frame(self, timeout=None):
        """The next frame: (opcode, payload, fin, rsv). Raises TimeoutError,
        or Closed(1006) at the end of the connection."""
        deadline = time.monotonic() + (self.timeout if timeout is None
                                       else timeout)
        while True:
            frame = self._take_frame()
            if frame:
                return frame
            if not self._receive(deadline):
                self.closed = self.closed or Closed(1006)
                raise self.closed

    def receive(self, timeout=None):
        """The next message: str or bytes. Answers pings, and the close frame
        before it raises Closed."""
        deadline = time.monotonic() + (self.timeout if timeout is None
                                       else timeout)
        message, kind = b"", None
        while True:
            opcode, payload, fin, _ = self.receive_frame(
                max(0, deadline - time.monotonic()))
            if opcode == PING:
                self.send_frame(PONG, payload)
            elif opcode == CLOSE:
                self._closing(payload)
            elif opcode != PONG:
                kind = opcode or kind
                message += payload
                if fin:
                    return message.decode() if kind == TEXT else message

    def nothing(self, seconds=0.3):
        """Fails if a message comes within that time."""
        try:
            message = self.receive(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected message: {message!r}")

    def _closing(self, payload):
        code = struct.unpack("!H", payload[:2])[0] if payload else 1005
        self.closed = Closed(code, payload[2:].decode())
        try:
            self.send_frame(CLOSE, payload)
        except OSError:
            pass
        raise self.closed

    def _take_frame(self):
        data = self.buffer
        if len(data) < 2:
            return None
        size, start = data[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(data[2:4], "big"), 4
        elif size == 127:
            size, start = int.from_bytes(data[2:10], "big"), 10
        if len(data) < start or len(data) < start + size:
            return None
        if data[1] & 0x80:
            raise AssertionError("a server must not mask")
        self.buffer = data[start + size:]
        return (data[0] & 0x0F, data[start:start + size],
                bool(data[0] & 0x80), data[0] >> 4 & 7)

    def _receive(self, deadline):
        """Reads what is there; False at the end of the connection."""
        self.socket.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            data = self.socket.recv(1 << 16)
        except (TimeoutError, ssl.SSLWantReadError, BlockingIOError):
            raise TimeoutError("nothing came") from None
        except ConnectionError:
            return False
        finally:
            self.socket.settimeout(self.timeout)
        self.buffer += data
        return bool(data)

    # The end

    def wait_closed(self, timeout=None):
        """Reads on until the server has closed; returns the Closed."""
        try:
            while True:
                self.receive(timeout)
        except Closed as closed:
            return closed

    def close(self, code=1000, reason=""):
        """The closing handshake; returns the server's Closed."""
        self.send_frame(CLOSE, struct.pack("!H", code) + reason.encode())
        closed = self.wait_closed()
        self.socket.close()
        return closed

    def abort(self):
        """Gone without a word, with a TCP reset."""
        try:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                   struct.pack("ii", 1, 0))
        except OSError:
            pass
        self.socket.close()
