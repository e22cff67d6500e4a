"""What the conformance tests say: frames byte by byte, and exact answers."""

import socket
import struct
import time

from harness.websocket import (BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT,
                               Closed, WebSocket, encode)

__all__ = ["BINARY", "CLOSE", "CONTINUATION", "PING", "PONG", "TEXT", "Wire",
           "close_payload", "encode", "split"]

NORMAL, PROTOCOL_ERROR, NOT_UTF8, TOO_BIG = 1000, 1002, 1007, 1009


def close_payload(code, reason=b""):
    return struct.pack("!H", code) + reason


def split(data, size):
    return [data[i:i + size] for i in range(0, len(data), size)]


class Wire(WebSocket):
    """A WebSocket whose every frame is asked for. The connection must have
    been ended by one of the closes() or fails() when a test is over, or the
    test says nothing about its end."""

    # Sending

    def chopped(self, data, size=1, pause=0):
        """In pieces, each a TCP segment of its own."""
        for piece in split(data, size):
            self.send_bytes(piece)
            if pause:
                time.sleep(pause)

    # Receiving

    def gets(self, opcode, payload, rsv=0):
        """The next frame is exactly this one."""
        frame = self.receive_frame()
        assert (frame[0], frame[2], frame[3]) == (opcode, True, rsv), frame
        assert frame[1] == payload, (len(frame[1]), len(payload))

    def echoes(self, opcode, payload):
        """Sends one message and gets it back."""
        self.send_frame(opcode, payload)
        self.gets(opcode, payload)

    def silent(self, seconds=0.2):
        try:
            frame = self.receive_frame(seconds)
        except TimeoutError:
            return
        raise AssertionError(f"unexpected frame: {frame}")

    # The end

    def ends(self, timeout=5):
        """The server closes the connection and sends nothing more."""
        try:
            frame = self.receive_frame(timeout)
        except Closed:
            assert self.buffer == b"", self.buffer
            return
        raise AssertionError(f"frame after the close frame: {frame}")

    def fails(self, code):
        """The server fails the connection: a close frame with this code at
        once, and the end, without waiting for anything from us."""
        opcode, payload, fin, rsv = self.receive_frame()
        assert (opcode, fin, rsv) == (CLOSE, True, 0), (opcode, payload)
        assert struct.unpack("!H", payload[:2])[0] == code, payload
        payload[2:].decode()
        self.ends()

    def closes(self, code=NORMAL, reason=b""):
        """A closing handshake that the client begins: the server repeats the
        code and ends the connection."""
        self.send_frame(CLOSE, close_payload(code, reason))
        self.closed_with(code)

    def closed_with(self, code):
        """The server's half of a closing handshake begun by the client."""
        opcode, payload, fin, rsv = self.receive_frame()
        assert (opcode, fin, rsv) == (CLOSE, True, 0), (opcode, payload)
        if code is None:
            assert payload == b"", payload
        else:
            assert struct.unpack("!H", payload[:2])[0] == code, payload
        self.ends()

    def just_ends(self):
        """The connection ends, with or without a close frame."""
        try:
            while True:
                assert self.receive_frame()[0] == CLOSE
        except Closed:
            pass

    def shut(self):
        """No more bytes from us, but we go on reading."""
        self.socket.shutdown(socket.SHUT_WR)
