"""A fault, while messages are flowing, and the check of everything that the
clients saw. What was seen on the way (how long recovery took, what was logged,
which metrics moved) is left in build/faults/ for t/faults/report."""

import asyncio
import json
import os
import re
import resource
import time
import urllib.request
from collections import Counter, defaultdict

import pytest

from .history import History, check
from .load import Load
from .servers import BUILD

LONG = os.environ.get("CHAT_FAULTS") == "long"
LOAD_TIME = 8.0 if LONG else 1.2  # seconds of load around each fault

# Ten users in overlapping chats; some have two devices.
CHATS = {
    31: ["11", "12", "13", "14", "15", "16"],
    32: ["15", "16", "17", "18"],
    33: ["11", "18", "19", "20"],
    34: ["12", "20"],
}
TWO_DEVICES = ("11", "16")

WORKER = re.compile(r"^chat_workers\..*\.sock\.")  # in names of metrics
STATUS = "location = /status { chat_status json; }"
LOGGED = re.compile(r"\[(warn|warning|error|crit|alert)\]")
# What differs from run to run.
VOLATILE = re.compile(
    r"^\S+ \S+ |\d+#\d+: |\*\d+ |/tmp/\S+|, client: .*|\b\d+\b")


# Storms need descriptors, here and in nginx, which inherits the limit.
_, MAX_FILES = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_FILES, MAX_FILES))


async def in_thread(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(
        None, function, *arguments)


def times(short, long):
    """How often a fault is repeated."""
    return long if LONG else short


class Run:
    """What a fault gets to work with."""

    def __init__(self, stacks, history, load):
        self.stacks = stacks
        self.stack = stacks[0]
        self.history = history
        self.load = load
        self.healed = []
        self.notes = {}

    def over(self):
        """The harm ends now: the time of recovery counts from here."""
        self.healed.append(time.monotonic())

    async def recovered(self, timeout=20):
        """Ends the harm and waits until a message sent after it is stored."""
        self.over()
        await self.until(lambda: self.history.recovery(self.healed[-1]),
                         timeout, "recovery")

    @staticmethod
    async def until(condition, timeout=10, what="the condition"):
        deadline = time.monotonic() + timeout
        while not condition():
            assert time.monotonic() < deadline, f"{what}: not in {timeout} s"
            await asyncio.sleep(0.02)

    def status(self, number=0):
        return read_status(self.stacks[number])


def read_status(stack):
    address = f"http://127.0.0.1:{stack.nginx.port}/status"
    with urllib.request.urlopen(address, timeout=2) as answer:
        return json.load(answer)


class Metrics:
    """Looks at chat_status now and then. Counters that begin again, with a
    new process, are added up."""

    def __init__(self, stacks):
        self.stacks = stacks
        self.last = {}
        self.seen = set()  # stacks: what they had counted before is no news
        self.grown = Counter()
        self.highest = defaultdict(float)

    async def watch(self):
        while True:
            await in_thread(self.look)
            await asyncio.sleep(0.25)

    def look(self):
        for number, stack in enumerate(self.stacks):
            try:
                found = flatten(read_status(stack))
            except (OSError, ValueError):
                continue
            first = number not in self.seen
            self.seen.add(number)
            for name, value in found.items():
                self._take(number, name, value, first)

    def _take(self, stack, name, value, first):
        place = stack, name
        before = self.last.get(place, 0)
        if not first:
            name = WORKER.sub("chat_worker_", "chat_" + name)
            self.grown[name] += value - before if value >= before else value
            self.highest[name] = max(self.highest[name], value)
        self.last[place] = value


def flatten(value, prefix=""):
    """{"a": {"b": 1}} as {"a.b": 1}; closes by their reason."""
    found = {}
    if isinstance(value, dict):
        items = value.items()
    else:
        items = ((part.get("reason", number), part)
                 for number, part in enumerate(value)
                 if isinstance(part, dict))
    for name, part in items:
        if isinstance(part, (dict, list)):
            found.update(flatten(part, f"{prefix}{name}."))
        elif isinstance(part, (int, float)):
            found[f"{prefix}{name}"] = part
    return found


def logged(stacks):
    """The different lines of warnings and errors, and how often each came."""
    lines = Counter()
    for stack in {id(stack): stack for stack in stacks}.values():
        for log in sorted(stack.folder.glob("*.log")):
            if log.name.startswith(("redis", "postgres", "nginx.log")):
                continue
            for line in log.read_text(errors="replace").splitlines():
                if LOGGED.search(line):
                    lines[VOLATILE.sub("", line).strip()] += 1
    return lines


def record(name, result):
    folder = BUILD / "faults"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(
        json.dumps({"name": name, "long": LONG, **result}, indent=1,
                   ensure_ascii=False))


def inboxes_are_empty(stack, users):
    pipe = stack.redis.client.pipeline(transaction=False)
    for user in users:
        pipe.exists(f"WaitSendNews_{user}")
    return not any(pipe.execute())


def present(stack, users):
    """The users that a node with a fresh lease claims to have here."""
    redis = stack.redis.client
    settings = stack.worker.settings.get("node", {})
    lease = int(settings.get("lease", "10s").rstrip("s")) * 1000
    seconds, micros = redis.time()
    fresh = seconds * 1000 + micros // 1000 + lease * 0.6
    nodes = set(redis.zrangebyscore("chat:nodes", fresh, "+inf"))
    pipe = redis.pipeline(transaction=False)
    for user in users:
        pipe.zrange(f"chat:presence:{{WaitSendNews_{user}}}", 0, -1)
    return {user for user, found in zip(users, pipe.execute())
            if nodes & set(found)}


async def presence_is(run, users):
    """Waits: presence follows a moment later, and the lease of a node that
    was killed runs out."""
    everybody = run.history.users()
    await run.until(
        lambda: present(run.stack, everybody) == set(users), 15,
        "presence of exactly those who have a session")


async def _play(harm, run, metrics):
    """The load, the harm, and the settling afterwards."""
    watching = asyncio.create_task(metrics.watch())
    failed = None
    try:
        async with run.load as load:
            await asyncio.sleep(LOAD_TIME / 2)
            try:
                await harm(run)
            except AssertionError as error:
                failed = error  # what the clients saw says more
            if not run.healed:
                run.over()
            await asyncio.sleep(LOAD_TIME / 2)
            users = run.history.users()
            assert await load.settle(
                lambda: inboxes_are_empty(run.stack, users)), \
                "inboxes never emptied, or sends unanswered"
            await load.connected()
            await presence_is(run, users)
            watching.cancel()
            await in_thread(metrics.look)
        await presence_is(run, ())
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if failed:
        raise failed


def _result(run, metrics, closes):
    history = run.history
    recoveries = [history.recovery(at) for at in run.healed]
    return {
        "sent": len(history.sent),
        "stored": len(history.confirmed),
        "refused": len(history.refused),
        "reasons": sorted({reason for _, reason in history.refused.values()}),
        "recovery": [None if at is None else round(at, 3)
                     for at in recoveries],
        "silence": round(history.longest_silence(), 3),
        "slowest": round(history.slowest_answer(), 3),
        "closes": {str(code): count for code, count in closes.items()},
        "metrics": {name: count for name, count
                    in sorted(metrics.grown.items()) if count},
        "highest": {name: value for name, value
                    in sorted(metrics.highest.items()) if value},
        "logged": dict(logged(run.stacks)),
        **run.notes,
    }


def under_load(chats=None, nodes=1, rate=20, quiet=(), least=50,
               keeps_sockets=True, two_devices=TWO_DEVICES, postgres=False,
               **options):
    """Makes a test of a function that does the harm.

    chats, rate, quiet, two_devices   see harness.load.Load
    nodes          how many nginx with a chat-worker each, on one Redis
    least          messages that must have been stored, or nothing was tested
    keeps_sockets  no WebSocket may close
    options        of the Stack
    """
    chats = chats or CHATS

    def decorate(harm):
        @pytest.mark.timeout(600 if LONG else 120)
        def test(make_stack, request):
            more = dict(options)
            more["server"] = STATUS + more.get("server", "")
            if postgres:
                more["postgres"] = request.getfixturevalue(
                    "restarted_postgres")
            stack = make_stack(**more)
            stacks = [stack] + [
                make_stack(peer=stack, server=STATUS,
                           worker=options.get("worker"))
                for _ in range(1, nodes)]
            for chat, members in chats.items():
                stack.members.add(chat, *map(int, members))
            history = History(chats)
            urls = [f"ws://127.0.0.1:{each.nginx.port}/chat/chat_websocket/"
                    for each in stacks]
            load = Load(history, urls, rate, two_devices, quiet)
            run, metrics = Run(stacks, history, load), Metrics(stacks)
            problems = []
            try:
                asyncio.run(_play(harm, run, metrics))
            except AssertionError as error:
                problems.append(str(error))
            closes = Counter(code for client in load.clients
                             for code in client.closes)
            record(harm.__name__.removeprefix("test_"),
                   _result(run, metrics, closes))
            problems = check(history) + problems
            assert not problems, "\n".join(problems[:20])
            assert len(history.confirmed) > least
            if keeps_sockets:
                assert not closes, f"closed: {closes}"

        test.__name__ = harm.__name__
        test.__doc__ = harm.__doc__
        test.__module__ = harm.__module__
        return test
    return decorate
