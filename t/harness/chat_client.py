"""A client that speaks the chat's protocol (docs/wire-protocol.md)."""

import itertools
import json
import time
from collections import deque

from .websocket import WebSocket

IDENTIFY, ASKED, SEND, SENT, NEWS, ACKNOWLEDGE = 230, 231, 234, 235, 236, 237
WELCOME, FAILED = 240, 300

_numbers = itertools.count(1)


class ChatClient(WebSocket):
    """Frames that a test did not ask for wait in `pending` until it does, so
    that 231 and the own 236 do not get into the way of a 235."""

    def __init__(self, *args, **options):
        self.pending = deque()
        super().__init__(*args, **options)

    # Frames

    def send_json(self, code, data, msg=""):
        self.send_text(json.dumps({"code": code, "msg": msg, "data": data}))

    def next(self, timeout=None):
        """The next frame of the server as it came, whatever it is."""
        if self.pending:
            return self.pending.popleft()
        return json.loads(self.receive(timeout))

    def expect(self, code, timeout=None):
        """The next frame with this code. A 300 that nobody expects fails."""
        for frame in self.pending:
            if frame["code"] == code:
                self.pending.remove(frame)
                return frame
        timeout = self.timeout if timeout is None else timeout
        deadline = time.monotonic() + timeout
        while True:
            frame = json.loads(
                self.receive(max(0, deadline - time.monotonic())))
            if frame["code"] == code:
                return frame
            assert frame["code"] != FAILED, frame
            self.pending.append(frame)

    # The protocol

    def identify(self, user):
        """Names the user as the recipe's clients do: 231, 230."""
        self.expect(ASKED)
        self.send_json(IDENTIFY, user, "发送当前用户")
        return self.expect(WELCOME)

    def send_message(self, chat, content, send_id=None, **fields):
        """Sends 234 and returns the send_id."""
        now = int(time.time() * 1000)
        if send_id is None:
            send_id = f"{chat}{now}{next(_numbers)}"
        self.send_json(SEND, {
            "chat_id": chat, "send_id": send_id, "send_timestamp": now,
            "new_type": "text", "content": content, "resource_url": "",
            **fields}, "发送信息")
        return send_id

    def say(self, chat, content, **fields):
        """Sends 234 and waits for its 235; returns the send_id."""
        send_id = self.send_message(chat, content, **fields)
        frame = self.expect(SENT)
        assert frame["data"]["send_id"] == send_id, frame
        return send_id

    def news(self, count, timeout=None):
        """The next `count` news as a list of (key, news)."""
        found = []
        while len(found) < count:
            found += self.expect(NEWS, timeout)["data"].items()
        assert len(found) == count, found
        return found

    def contents(self, count, timeout=None):
        """The contents of the next `count` news."""
        return [news["content"] for _, news in self.news(count, timeout)]

    def acknowledge(self, keys):
        self.send_json(ACKNOWLEDGE, list(keys), "删除已接收到的信息")

    def quiet(self, seconds=0.3):
        """Fails if anything but a 231 comes within that time."""
        deadline = time.monotonic() + seconds
        try:
            while True:
                frame = self.next(max(0, deadline - time.monotonic()))
                assert frame["code"] == ASKED, frame
        except TimeoutError:
            pass
