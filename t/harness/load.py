"""Clients under load, for the fault suite: they behave as the JavaScript
library does (reconnect, repeat unanswered sends with the same send_id, drop
keys that were shown before, acknowledge in batches) and record everything in
a History."""

import asyncio
import itertools
import json
import random
from collections import OrderedDict

import websockets

from .history import Message

_LOST = (OSError, asyncio.TimeoutError, websockets.ConnectionClosed,
         websockets.InvalidHandshake, EOFError)


class LoadClient:
    """One device of one user. run() until cancelled; send() at any time."""

    def __init__(self, history, url, user, name="1"):
        self.history = history
        self.device = history.device(user, name)
        self.url = f"{url}?user={user}"
        self.user = user
        self.size = 50                 # bytes of content
        self.unanswered = OrderedDict()  # Message -> its frame
        self.known_keys = set()
        self.unacknowledged = []
        self.socket = None
        self.online = asyncio.Event()  # cleared: stays away
        self.online.set()
        self.reading = asyncio.Event()  # cleared: does not read
        self.reading.set()
        self.closes = []               # close codes that were seen

    # Sending

    async def send(self, message):
        self.history.on_send(message)
        self.unanswered[message] = json.dumps({
            "code": 234, "msg": "", "data": {
                "chat_id": message.chat, "send_id": message.send_id,
                "send_timestamp": 1, "new_type": "text",
                "content": "x" * self.size, "resource_url": ""}})
        await self._transmit(self.unanswered[message])

    async def _transmit(self, text):
        if self.socket:
            try:
                await self.socket.send(text)
            except _LOST:
                pass  # is sent again with the next connection

    # Connection

    async def run(self):
        pause = 0.05
        while True:
            await self.online.wait()
            try:
                async with websockets.connect(
                        self.url, open_timeout=5, close_timeout=1,
                        ping_interval=None, max_size=None) as socket:
                    pause = 0.05
                    await self._serve(socket)
            except _LOST as lost:
                self.closes.append(getattr(lost, "code", 1006))
            finally:
                self.socket = None
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 1)

    async def _serve(self, socket):
        for text in list(self.unanswered.values()):
            await socket.send(text)
        self.socket = socket
        acknowledging = asyncio.create_task(self._acknowledge(socket))
        try:
            async for text in socket:
                await self.reading.wait()
                self._receive(json.loads(text))
        finally:
            acknowledging.cancel()

    async def away(self, seconds):
        """Disconnects without a word and stays away for a while."""
        self.online.clear()
        if self.socket:
            self.socket.transport.abort()
        await asyncio.sleep(seconds)
        self.online.set()

    # Receiving

    def _receive(self, frame):
        code, data = frame["code"], frame["data"]
        if code == 235:
            message = Message.of_send_id(data["send_id"])
            self.history.on_235(message)
            self.unanswered.pop(message, None)
        elif code == 300 and data["send_id"]:
            message = Message.of_send_id(data["send_id"])
            self.history.on_300(message, data["msg"])
            self.unanswered.pop(message, None)
        elif code == 236:
            for key, news in data.items():
                self._receive_news(key, news)

    def _receive_news(self, key, news):
        self.history.on_236(self.device, key, news["send_id"])
        if key not in self.known_keys:
            self.known_keys.add(key)
            self.history.on_shown(self.device, news["send_id"])
        self.unacknowledged.append(key)

    async def _acknowledge(self, socket):
        while True:
            await asyncio.sleep(0.05)
            if self.unacknowledged:
                keys, self.unacknowledged = self.unacknowledged, []
                self.history.on_237(self.device, keys)
                await socket.send(json.dumps(
                    {"code": 237, "msg": "", "data": keys}))


class Load:
    """Clients for every member (two devices for some), each of which sends
    to its chats at `rate` messages a second until told to stop."""

    def __init__(self, history, urls, rate=20, second_devices=()):
        """urls: one per node; the clients are spread over them."""
        self.history = history
        self.rate = rate
        users = sorted({user for members in history.members.values()
                        for user in members}, key=int)
        places = itertools.cycle(urls)
        self.clients = [LoadClient(history, next(places), user)
                        for user in users]
        self.clients += [LoadClient(history, next(places), user, "2")
                         for user in second_devices]
        self.sending = True
        self.tasks = []

    def client(self, user):
        return next(client for client in self.clients
                    if client.user == user)

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(client.run())
                      for client in self.clients]
        self.tasks += [asyncio.create_task(self._send(client))
                       for client in self.clients
                       if client.device.name == "1"]
        await asyncio.sleep(0.5)
        return self

    async def _send(self, client):
        chats = [chat for chat, members in self.history.members.items()
                 if client.user in members]
        for number in itertools.count():
            await asyncio.sleep(random.uniform(0, 2 / self.rate))
            if not self.sending:
                return
            for chat in chats:
                await client.send(Message(client.user, chat, number))

    async def settle(self, empty, timeout=30):
        """Stops sending and waits until every send was answered and every
        inbox is empty: empty() asks Redis."""
        self.sending = False
        deadline = asyncio.get_running_loop().time() + timeout
        for client in self.clients:
            client.online.set()
        while any(client.unanswered for client in self.clients) or \
                not empty():
            if asyncio.get_running_loop().time() > deadline:
                return False
            await asyncio.sleep(0.05)
        await asyncio.sleep(0.2)
        return True

    async def __aexit__(self, *_):
        for task in self.tasks:
            task.cancel()
        results = await asyncio.gather(*self.tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result
