"""20,000 connections that are opened, used and closed leave nothing behind:
not in nginx, not in chat-worker, not in Redis.

They come in groups of four, each with a chat and users of its own, so that
anything kept for a user or a chat would add up too. A group waits for the
answers to all that it says, and then its connections end in different ways.
"""

import asyncio
import json
import os
import socket
import struct
import urllib.request
import zlib
from pathlib import Path

import pytest

from harness.chat_client import (ACKNOWLEDGE, ASKED, FAILED, IDENTIFY, NEWS,
                                 SEND, WELCOME)
from harness.process import SANITIZED
from harness.websocket import CLOSE, PING, PONG, TEXT, encode

ROUNDS, GROUPS = (2, 500) if SANITIZED else (5, 1000)  # after a first round
EVICTED = 40           # connections in each round that time out
# Groups at once: few, because nginx could give what they had free afterwards
# to a leak without growing.
AT_ONCE = 12
# Kilobytes that may come on top of the first round: 20 bytes for each of
# 20,000 connections, and malloc gives nobody less than 32. Without a leak up
# to 140 were seen, as the heap's pieces are not the same in every round.
BOUND = 400

PATH = "/chat/chat_websocket/"
# Longer than chat_compression_min_length.
CONTENT = "the same old story " * 30
GROUP = 4              # connections; the last is nobody's
# Not from a table: SQLite would keep more and more of its pages.
MEMBERS = " UNION ALL ".join(
    f"SELECT $1 * {GROUP} + {place}" for place in range(GROUP - 1))
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
TAIL = b"\0\0\xff\xff"


def frame(opcode, payload=b"", **options):
    return encode(opcode, payload, mask=lambda size: bytes(size), **options)


class Client:
    def __init__(self, reader, writer):
        self.reader = reader
        self.writer = writer
        self.inflate = None

    @classmethod
    async def open(cls, port, target, deflate=False):
        self = cls(*await asyncio.open_connection("127.0.0.1", port))
        self.writer.write(
            (f"GET {target} HTTP/1.1\r\nHost: localhost\r\n"
             "Upgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\n"
             "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
             f"{DEFLATE if deflate else ''}\r\n").encode())
        answer = await self.reader.readuntil(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        assert (b"permessage-deflate" in answer) == deflate, answer
        if deflate:
            self.inflate = zlib.decompressobj(-15)
        return self

    def send(self, code, data):
        text = json.dumps({"code": code, "msg": "", "data": data}).encode()
        if self.inflate:
            deflate = zlib.compressobj(wbits=-15)
            text = deflate.compress(text) + deflate.flush(zlib.Z_SYNC_FLUSH)
            self.writer.write(frame(TEXT, text.removesuffix(TAIL), rsv=4))
        else:
            self.writer.write(frame(TEXT, text))

    async def receive(self):
        """The next frame: (opcode, payload)."""
        head, size = await self.reader.readexactly(2)
        if size > 125:
            size = int.from_bytes(
                await self.reader.readexactly(2 if size == 126 else 8), "big")
        payload = await self.reader.readexactly(size)
        if head & 0x40:
            payload = self.inflate.decompress(payload + TAIL)
        return head & 0x0F, payload

    async def expect(self, code):
        """The data of the next frame with this code."""
        while True:
            opcode, payload = await self.receive()
            assert opcode == TEXT, (opcode, payload)
            found = json.loads(payload)
            if found["code"] == code:
                return found["data"]
            assert found["code"] != FAILED, found

    async def news(self, count):
        """Takes that many news, in however many frames, and returns their
        keys."""
        keys = []
        while len(keys) < count:
            keys += await self.expect(NEWS)
        return keys

    async def pong(self):
        """Afterwards all that was sent before is on its way to chat-worker."""
        self.writer.write(frame(PING))
        while (await self.receive())[0] != PONG:
            pass

    async def closed(self, code, answer=True):
        """Reads on until the server has closed, with this code."""
        while True:
            opcode, payload = await self.receive()
            if opcode == CLOSE:
                break
        assert struct.unpack("!H", payload[:2])[0] == code, payload
        if answer:
            self.writer.write(frame(CLOSE, payload[:2]))
        assert not await self.reader.read()


# Ways to end

async def end_properly(client):
    client.writer.write(frame(CLOSE, struct.pack("!H", 1000)))
    await client.closed(1000, answer=False)


async def end_by_reset(client):
    client.writer.get_extra_info("socket").setsockopt(
        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def end_without_a_word(_client):
    pass


async def end_in_mid_message(client):
    client.writer.write(frame(TEXT, b"x" * 1000, fin=False))
    client.writer.write(frame(TEXT, b"x" * 1000)[:500])


async def end_by_unmasked_frame(client):
    client.writer.write(encode(TEXT, b"x", mask=None))
    await client.closed(1002)


async def end_by_bad_text(client):
    client.writer.write(frame(TEXT, b"\xc0\x80"))
    await client.closed(1007)


async def end_by_size(client):
    client.writer.write(b"\x81\xff" + struct.pack("!Q", 1 << 20))
    await client.closed(1009)


ENDS = (end_properly, end_by_reset, end_without_a_word, end_in_mid_message,
        end_by_unmasked_frame, end_by_bad_text, end_by_size)


# What a group does

async def member(port, group, place, present):
    """One of the chat's three: says something, and hears what all say."""
    user = group * GROUP + place
    proven = place < 2
    client = await Client.open(
        port, f"{PATH}?user={user}" if proven else PATH,
        deflate=(group + place) % 2 == 0)
    try:
        if not proven:
            await client.expect(ASKED)
            client.send(IDENTIFY, user)
        await client.expect(WELCOME)
        await present.wait()
        client.send(SEND, {
            "chat_id": group, "send_id": f"{user}", "send_timestamp": 1,
            "new_type": "text", "content": CONTENT, "resource_url": ""})
        keys = await client.news(3)
        client.send(ACKNOWLEDGE, keys)
        await client.pong()
        await ENDS[(group + place) % len(ENDS)](client)
    finally:
        client.writer.close()


async def nobody(port, group):
    """Does not say who it is, and is told that it cannot send."""
    client = await Client.open(port, PATH, deflate=group % 2 == 0)
    await client.expect(ASKED)
    client.send(SEND, {"chat_id": group, "send_id": "1"})
    await client.expect(FAILED)
    await ENDS[group % len(ENDS)](client)
    client.writer.close()


async def silent(port):
    """Answers nothing, until nginx has enough of it."""
    client = await Client.open(port, "/evicting")
    await client.closed(1001)
    client.writer.close()


async def play(port, groups, at_once):
    room = asyncio.Semaphore(at_once)

    async def group(number):
        async with room:
            present = asyncio.Barrier(GROUP - 1)
            await asyncio.gather(nobody(port, number), *(
                member(port, number, place, present)
                for place in range(GROUP - 1)))

    async with asyncio.TaskGroup() as tasks:
        for _ in range(EVICTED):
            tasks.create_task(silent(port))
        for number in groups:
            tasks.create_task(group(number))


# What is left

def status(stack):
    url = f"http://127.0.0.1:{stack.nginx.port}/status?format=json"
    with urllib.request.urlopen(url, timeout=5) as answer:
        found = json.load(answer)
    worker, = found.pop("workers").values()
    return found, worker


def held(stack):
    """What nginx and chat-worker say that they have, by name, and Redis."""
    nginx, worker = status(stack)
    found = {name: nginx[name] for name in (
        "connections", "connections_closing", "connections_parked",
        "connections_unattached", "relay_unconfirmed_bytes",
        "relay_unsent_bytes")}
    found.update((name, worker[name]) for name in (
        "sessions", "users", "held_bytes", "acknowledge_waiting",
        "redis_waiting", "redis_commands", "relay_tickets"))
    for pattern in ("WaitSendNews_*", "chat:presence:*"):
        found[pattern] = sum(1 for _ in stack.redis.client.scan_iter(
            pattern, 10000))
    return {name: value for name, value in found.items() if value}


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def memory(pid):
    """Kilobytes of the process that are not a file's."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(rollup.partition("\nAnonymous:")[2].split()[0])


@pytest.mark.timeout(300)
def test_connections_leave_nothing_behind(make_stack, monkeypatch):
    # A buffer that grew in a burst goes back to the kernel when it is freed.
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "32768")
    # For chat-worker's end. nginx leaves much to the end of its process.
    options = os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=1"
    stack = make_stack(
        chat="chat_compression on;",
        server="""
        location = /status { chat_status; }
        location = /evicting {
            chat_pass unix:@WORKER@;
            chat_heartbeat_timeout 2s;
            chat_ping_interval 500ms;
        }""",
        # Full after the first round.
        worker={"membership": {"cache_size": GROUPS // 2, "query": MEMBERS},
                "log": {"level": "warn"}},
        worker_env={"ASAN_OPTIONS": options.strip(":")})
    groups = range(1000, 1000 + (ROUNDS + 1) * GROUPS)
    nginx, = stack.nginx.worker_pids()
    pids = {"nginx": nginx, "chat-worker": stack.worker.pid}
    open_files, sizes = [], []

    for start in range(groups.start, groups.stop, GROUPS):
        asyncio.run(play(stack.nginx.port, range(start, start + GROUPS),
                         AT_ONCE if sizes else 2 * AT_ONCE))
        stack.wait(lambda: not held(stack), what="nothing held")
        open_files.append([descriptors(pid) for pid in pids.values()])
        sizes.append([memory(pid) for pid in pids.values()])

    seen, worker = status(stack)
    assert seen["handshakes_total"] == \
        len(groups) * GROUP + (ROUNDS + 1) * EVICTED
    assert worker["stored_total"] == len(groups) * (GROUP - 1)
    assert worker["membership_evicted_total"] > 0
    assert {int(close["code"]) for close in seen["closes"]} == {
        1000, 1001, 1002, 1006, 1007, 1009}
    assert open_files[0] == open_files[-1], open_files
    if not SANITIZED:  # it keeps what is freed
        for name, first, last in zip(pids, sizes[0], sizes[-1]):
            assert last - first < BOUND, (name, sizes)
