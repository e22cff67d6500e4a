"""What is measured, and with which systems."""


class Case:
    """One start of a server and one run of the load client.

    need: what a system must be able to do; arguments: for the client;
    unit: what one operation is; chats: (chat, users) of the membership
    database; main: measured again in further rounds first.
    """

    def __init__(self, name, title, unit, need, arguments, chats=(),
                 systems=None, main=False, short=False, **server):
        self.name = name
        self.title = title
        self.unit = unit
        self.need = need if isinstance(need, tuple) else (need,)
        self.arguments = arguments.split()
        self.chats = chats
        self.systems = systems
        self.main = main
        self.short = short
        self.server = server

    def fits(self, system):
        return (all(need in system.can for need in self.need)
                and (self.systems is None or system.name in self.systems))


def _one_chat(members):
    return [(1, range(1, members + 1))]


def _pairs(count):
    return [(1 + i, (1 + 2 * i, 2 + 2 * i)) for i in range(count)]


def _fanout(members, rate, window, seconds=1.0, extra="", senders=10):
    return (f"--members {members} --group {members} --senders {senders} "
            f"--phase warm-up:window:2:0.5 --phase rate:rate:{rate}:{seconds} "
            f"--phase full:window:{window}:{seconds} {extra}")


_ONLINE = "delivery"

CASES = [
    Case("fanout-30", "Fan-out to 30 online members", _ONLINE, "fanout",
         _fanout(30, 1000, 16), _one_chat(30)),
    Case("fanout-1000", "Fan-out to 1,000 online members", _ONLINE, "fanout",
         _fanout(1000, 30, 8), _one_chat(1000), main=True, short=True),
    Case("fanout-10000", "Fan-out to 10,000 online members", _ONLINE,
         "fanout", _fanout(10000, 3, 2, seconds=1.5), _one_chat(10000)),
    Case("half-1000", "Fan-out to 1,000 members, half of them offline",
         "member", "half",
         _fanout(1000, 30, 8, extra="--offline-every 2"), _one_chat(1000)),
    Case("pairs", "One-to-one between 1,000 pairs (both get the message)",
         "message", "pairs",
         "--members 2000 --group 2 --senders 2 --phase warm-up:window:50:0.5 "
         "--phase rate:rate:3000:1.5 --phase full:window:200:1.0",
         _pairs(1000), main=True),
    Case("heartbeat", "Heartbeats on 10,000 connections", "ping", "heartbeat",
         "--scenario heartbeat --members 10000 --phase warm-up:window:500:0.5 "
         "--phase rate:rate:15000:1 --phase full:window:1000:1",
         main=True, short=True),
    Case("idle", "10,000 idle connections", "connection", "idle",
         "--scenario idle --members 10000", main=True, short=True),
    Case("handshake", "Handshakes", "handshake", "handshake",
         "--scenario handshake --total 8000", main=True, short=True),
    Case("handshake-tls", "Handshakes over TLS (full, ECDSA P-256)",
         "handshake", ("handshake", "tls"),
         "--scenario handshake --total 2000 --tls", tls=True),
    Case("replay", "Replay of 100 messages to each of 1,000 returning users",
         "message", "replay",
         "--scenario replay --members 1001 --pending 100", _one_chat(1001)),
    Case("size-1k", "Fan-out to 1,000, 1 KiB of content", _ONLINE, "fanout",
         _fanout(1000, 20, 8, extra="--size 1024"), _one_chat(1000),
         systems=("project", "module", "nchan", "mosquitto", "socketio",
                  "floor")),
    Case("size-16k", "Fan-out to 1,000, 16 KiB of content", _ONLINE,
         "fanout", _fanout(1000, 5, 4, extra="--size 16384"), _one_chat(1000),
         systems=("project", "module", "nchan", "mosquitto", "socketio",
                  "floor")),
    Case("deflate", "Fan-out to 1,000, 1 KiB, permessage-deflate", _ONLINE,
         ("fanout", "deflate"),
         _fanout(1000, 20, 8, extra="--size 1024 --deflate"),
         _one_chat(1000), systems=("project", "nchan", "socketio", "bun"),
         deflate=True),
    Case("workers-2", "Fan-out to 1,000, two nginx workers", _ONLINE,
         ("fanout", "workers"), _fanout(1000, 30, 8), _one_chat(1000),
         workers=2),
    Case("no-aof", "Fan-out to 1,000, Redis without append-only file",
         _ONLINE, ("fanout", "aof"), _fanout(1000, 30, 8), _one_chat(1000),
         aof=False),
    Case("latency", "One pair, 200 messages a second", "message", "latency",
         "--members 2 --group 2 --senders 2 --phase warm-up:window:1:0.3 "
         "--phase rate:rate:200:2", _pairs(1), main=True, short=True),
    Case("linear-1000", "Fan-out to 1,000 beside 1,000 idle connections",
         _ONLINE, ("fanout", "linear"),
         _fanout(1000, 30, 8, extra="--idle 1000"), _one_chat(1000),
         systems=("project",)),
    Case("linear-10000", "Fan-out to 1,000 beside 10,000 idle connections",
         _ONLINE, ("fanout", "linear"),
         _fanout(1000, 30, 8, extra="--idle 10000"), _one_chat(1000),
         systems=("project",)),
]
