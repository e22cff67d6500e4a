"""Clients under load, for the fault suite: they behave as the JavaScript
library does (reconnect, repeat unanswered sends with the same send_id, drop
keys that were shown before, acknowledge in batches) and record everything in
a History."""

import asyncio
import itertools
import json
import random
import socket as sockets
from collections import OrderedDict
from urllib.parse import urlsplit

import websockets

from .history import Message

_LOST = (OSError, asyncio.TimeoutError, websockets.ConnectionClosed,
         websockets.InvalidHandshake, EOFError)
_sessions = itertools.count(1)


class LoadClient:
    """One device of one user. run() until cancelled; send() at any time.

    copies   how often each message goes out (more than one: resent at once)
    size     characters in a message
    receive_buffer  bytes the kernel keeps for us; None: its own default
    """

    def __init__(self, history, url, user, name="1"):
        self.history = history
        self.device = history.device(user, name)
        self.url = f"{url}?user={user}"
        self.user = user
        self.copies = 1
        self.size = 50
        self.receive_buffer = None
        self.unanswered = OrderedDict()  # Message -> its frame
        self.known_keys = set()
        self.unacknowledged = []
        self.socket = None
        self.session = None
        self.ghosts = []               # sockets that this client left open
        self.online = asyncio.Event()  # cleared: stays away
        self.online.set()
        self.closes = []               # close codes of sessions that ended
        self.failed_connects = 0

    # Sending

    async def send(self, message):
        self.history.on_send(message)
        self.unanswered[message] = json.dumps({
            "code": 234, "msg": "", "data": {
                "chat_id": message.chat, "send_id": message.send_id,
                "send_timestamp": 1, "new_type": "text",
                "content": "x" * self.size, "resource_url": ""}})
        await self.transmit(*[self.unanswered[message]] * self.copies)

    async def transmit(self, *texts):
        try:
            for text in texts:
                if self.socket:
                    await self.socket.send(text)
        except _LOST:
            pass  # is sent again with the next connection

    # Connection

    async def run(self):
        pause = 0.05
        while True:
            await self.online.wait()
            try:
                socket = await self._connect()
            except _LOST:
                self.failed_connects += 1
            else:
                pause = 0.05
                await self._live_through(socket)
            await asyncio.sleep(pause * random.uniform(0.5, 1))
            pause = min(pause * 2, 1)

    async def _connect(self):
        options = {}
        if self.receive_buffer:
            place = urlsplit(self.url)
            options["sock"] = sock = sockets.socket()
            sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF,
                            self.receive_buffer)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(
                sock, (place.hostname, place.port))
        return await websockets.connect(
            self.url, open_timeout=30, close_timeout=1, ping_interval=None,
            max_size=None, **options)

    async def _live_through(self, socket):
        """One session, until it ends in whatever way."""
        self.session = next(_sessions)
        self.serving = asyncio.create_task(self._serve(socket))
        try:
            await self.serving
            self.closes.append(socket.close_code)
        except _LOST as lost:
            self.closes.append(getattr(lost, "code", 1006))
        except asyncio.CancelledError:
            if socket not in self.ghosts:
                raise
        finally:
            self.socket = None
            if socket not in self.ghosts:
                socket.transport.abort()

    async def _serve(self, socket):
        for text in list(self.unanswered.values()):
            await socket.send(text)
        self.socket = socket
        acknowledging = asyncio.create_task(self._acknowledge(socket))
        try:
            async for text in socket:
                self._receive(json.loads(text))
        finally:
            acknowledging.cancel()

    # Misbehaviour

    async def away(self, seconds):
        """Disconnects without a word and stays away for a while."""
        self.online.clear()
        if self.socket:
            self.socket.transport.abort()
            self.socket = None
        await asyncio.sleep(seconds)
        self.online.set()

    def vanish(self):
        """As a phone that has changed its network: the old connection stays
        open, without a FIN, and nobody reads or answers there any more."""
        if self.socket:
            self.ghosts.append(self.stop_reading())
            self.socket = None
            self.serving.cancel()

    def stop_reading(self):
        self.socket.transport.pause_reading()
        return self.socket

    @staticmethod
    def read_again(socket):
        if not socket.transport.is_closing():
            socket.transport.resume_reading()

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
        self.history.on_236(self.device, key, news["send_id"], self.session)
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

    def __init__(self, history, urls, rate=20, second_devices=(), quiet=()):
        """urls: one per node; the clients are spread over them.
        quiet: users who only listen."""
        self.history = history
        self.rate = rate
        self.quiet = quiet
        users = sorted({user for members in history.members.values()
                        for user in members}, key=int)
        self.places = itertools.cycle(urls)
        self.clients = [LoadClient(history, next(self.places), user)
                        for user in users]
        next(self.places)  # a user's second device is on another node
        self.clients += [LoadClient(history, next(self.places), user, "2")
                         for user in second_devices]
        self.sending = True
        self.tasks = []

    def client(self, user):
        return next(client for client in self.clients
                    if client.user == user)

    def add(self, user, name):
        """One more device, at once."""
        client = LoadClient(self.history, next(self.places), user, name)
        self.clients.append(client)
        self.tasks.append(asyncio.create_task(client.run()))
        return client

    async def connected(self, timeout=60):
        """Waits until every client has a session."""
        async def wait():
            while not all(client.socket for client in self.clients):
                await asyncio.sleep(0.02)
        await asyncio.wait_for(wait(), timeout)

    async def __aenter__(self):
        self.tasks = [asyncio.create_task(client.run())
                      for client in self.clients]
        await self.connected()
        self.tasks += [asyncio.create_task(self._send(client))
                       for client in self.clients
                       if client.device.name == "1"
                       and client.user not in self.quiet]
        return self

    async def _send(self, client):
        for number in itertools.count():
            await asyncio.sleep(random.uniform(0, 2 / self.rate))
            if not self.sending:
                return
            for chat, members in self.history.members.items():
                if client.user in members:
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
        for client in self.clients:
            for ghost in client.ghosts:
                ghost.transport.abort()
        for result in results:
            if isinstance(result, Exception):
                raise result
