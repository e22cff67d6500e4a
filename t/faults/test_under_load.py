"""Each fault while messages are flowing, and then the check of everything
that the clients saw. CHAT_FAULT_TIME: seconds of load around each fault."""

import asyncio
import os
import random
import re
import resource
import signal
from collections import Counter

import pytest

from harness.history import History, check
from harness.load import Load
from harness.process import children, is_running

LOAD_TIME = float(os.environ.get("CHAT_FAULT_TIME", "1.5"))

# Ten users in overlapping chats; some have two devices.
CHATS = {
    31: ["11", "12", "13", "14", "15", "16"],
    32: ["15", "16", "17", "18"],
    33: ["11", "18", "19", "20"],
    34: ["12", "20"],
}
TWO_DEVICES = ("11", "16")

FAULTS = {}


def fault(**options):
    """A function that does the harm, and the options of its Stack."""
    def register(function):
        FAULTS[function.__name__] = (function, options)
        return function
    return register


async def in_thread(function, *arguments):
    return await asyncio.get_running_loop().run_in_executor(
        None, function, *arguments)


@fault()
async def nothing(stack, load):
    pass


@fault()
async def chat_worker_killed(stack, load):
    for _ in range(3):
        stack.worker.kill()
        await in_thread(stack.worker.start)
        await asyncio.sleep(0.5)


@fault()
async def chat_worker_restarted(stack, load):
    for _ in range(3):
        await in_thread(stack.worker.restart)
        await asyncio.sleep(0.5)


@fault()
async def chat_worker_paused(stack, load):
    stack.worker.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    stack.worker.send_signal(signal.SIGCONT)


@fault(nginx_workers=2)
async def nginx_worker_killed(stack, load):
    stack.expect(r"exited on signal 9")
    for _ in range(3):
        pid = random.choice(stack.nginx.worker_pids())
        await in_thread(stack.kill_nginx_worker, pid)
        await asyncio.sleep(0.5)


@fault(nginx_workers=2, chat="chat_drain_timeout 1s;")
async def nginx_reloaded(stack, load):
    old = stack.nginx.worker_pids()
    await in_thread(stack.nginx.reload)
    await asyncio.sleep(2.5)
    assert not [pid for pid in old if is_running(pid)]


@fault()
async def redis_restarted(stack, load):
    await in_thread(stack.redis.stop)
    await asyncio.sleep(0.5)
    await in_thread(stack.redis.start)


@fault(nginx_workers=2, chat="chat_drain_timeout 1s;", daemon=True)
async def nginx_upgraded(stack, load):
    await in_thread(stack.nginx.upgrade)
    await asyncio.sleep(0.5)


@fault(redis_options=("--appendfsync", "always"))
async def redis_killed(stack, load):
    stack.redis.kill()
    await asyncio.sleep(0.3)
    await in_thread(stack.redis.start)


@fault(worker={"redis": {"timeout": "500ms"}})
async def redis_paused(stack, load):
    stack.redis.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    stack.redis.send_signal(signal.SIGCONT)


@fault()
async def redis_connections_cut(stack, load):
    for _ in range(5):
        stack.redis.client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.sleep(0.2)


@fault(proxies=True)
async def redis_replies_cut_at_every_offset(stack, load):
    for offset in [*range(0, 40), *range(40, 400, 23)]:
        stack.redis_proxy.cut_after(offset)
        await asyncio.sleep(0.05)


@fault(proxies=True)
async def redis_replies_delayed(stack, load):
    stack.redis_proxy.delay = 0.2
    await asyncio.sleep(2)
    stack.redis_proxy.delay = 0


@fault(proxies=True)
async def redis_refuses_connections(stack, load):
    stack.redis_proxy.refusing = True
    stack.redis_proxy.cut()
    await asyncio.sleep(1)
    stack.redis_proxy.refusing = False


@fault()
async def redis_out_of_memory(stack, load):
    stack.redis.client.config_set("maxmemory", 1)
    await asyncio.sleep(1)
    stack.redis.client.config_set("maxmemory", 0)


@fault()
async def redis_is_a_read_only_replica(stack, load):
    """As after a failover that the clients have not noticed."""
    stack.redis.client.replicaof("127.0.0.1", "1")
    await asyncio.sleep(1)
    stack.redis.client.replicaof("NO", "ONE")


@fault()
async def redis_has_no_replica_to_write_to(stack, load):
    stack.redis.client.config_set("min-replicas-to-write", 1)
    await asyncio.sleep(1)
    stack.redis.client.config_set("min-replicas-to-write", 0)


@fault(postgres=True, worker={"membership": {"cache_ttl": "100ms"}})
async def postgresql_restarted(stack, load):
    await in_thread(stack.members.server.stop)
    await asyncio.sleep(1)
    await in_thread(stack.members.server.start)


@fault(postgres=True, worker={"membership": {
    "cache_ttl": "100ms", "timeout": "500ms"}})
async def postgresql_paused(stack, load):
    server = stack.members.server
    processes = [server.pid, *children(server.pid)]
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    await asyncio.sleep(1.5)
    for pid in processes:
        os.kill(pid, signal.SIGCONT)


@fault(worker={"membership": {"cache_ttl": "20ms"}})
async def members_come_and_go(stack, load):
    for _ in range(10):
        stack.members.remove(31, 13)
        await asyncio.sleep(0.1)
        stack.members.add(31, 13)
        await asyncio.sleep(0.1)
    load.history.optional.update(
        (message, "13") for message in load.history.sent
        if message.chat == 31)


@fault(proxies=True)
async def relay_cut(stack, load):
    for _ in range(5):
        stack.relay_proxy.cut()
        await asyncio.sleep(0.3)


@fault(proxies=True)
async def relay_cut_in_mid_frame(stack, load):
    for offset in [*range(1, 40, 3), 100, 1000]:
        stack.relay_proxy.cut_after(offset)
        await asyncio.sleep(0.15)


@fault(proxies=True)
async def relay_garbage_from_chat_worker(stack, load):
    stack.expect(r"relay")
    for data in (b"\0" * 16, b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n"):
        stack.relay_proxy.inject(data)
        await asyncio.sleep(0.5)


@fault(workers=2)
async def one_of_two_chat_workers_killed(stack, load):
    for worker in stack.workers:
        worker.kill()
        await asyncio.sleep(1)
        await in_thread(worker.start)


@fault(nodes=2)
async def two_nodes(stack, load):
    await asyncio.sleep(1)


@fault(nodes=2)
async def chat_worker_of_one_node_killed(stack, load):
    stack.worker.kill()
    await asyncio.sleep(1)
    await in_thread(stack.worker.start)


@fault(nodes=2, proxies=True)
async def redis_away_for_one_node(stack, load):
    stack.redis_proxy.refusing = True
    stack.redis_proxy.cut()
    await asyncio.sleep(1)
    stack.redis_proxy.refusing = False


@fault(chat="chat_send_buffer 64k; chat_max_message 256k;")
async def clients_stop_reading(stack, load):
    slow = [load.client("16"), load.client("20")]
    for client in load.clients:
        client.size = 20000
    for client in slow:
        client.reading.clear()
    await asyncio.sleep(3)
    for client in slow:
        client.reading.set()
    for client in load.clients:
        client.size = 50


@fault()
async def hundreds_connect_at_once(stack, load):
    def storm():
        for _ in range(4):
            crowd = [stack.raw("/chat/chat_websocket/?user=11")
                     for _ in range(250)]
            for socket in crowd:
                socket.abort()
    await in_thread(storm)


@fault()
async def chat_worker_out_of_descriptors(stack, load):
    pid = stack.worker.pid
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used - 1, limits[1]))
    stack.redis.client.client_kill_filter(_type="normal", skipme=True)
    await asyncio.sleep(1)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@fault()
async def nginx_out_of_descriptors(stack, load):
    stack.expect(r"Too many open files")
    [pid] = stack.nginx.worker_pids()
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = len(os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used - 3, limits[1]))
    await asyncio.gather(*(client.away(0.3) for client in load.clients[:6]))
    stack.worker.kill()
    await in_thread(stack.worker.start)
    await asyncio.sleep(1)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


@fault()
async def clients_vanish_and_return(stack, load):
    await asyncio.gather(*(
        client.away(random.uniform(0.1, 1.5))
        for client in load.clients for _ in range(2)))


@fault()
async def half_of_the_clients_are_offline(stack, load):
    await asyncio.gather(*(client.away(2) for client in load.clients[::2]))


@pytest.mark.timeout(180)
@pytest.mark.parametrize("name", FAULTS)
def test_fault(make_stack, request, name):
    harm, options = FAULTS[name][0], dict(FAULTS[name][1])
    nodes = options.pop("nodes", 1)
    if options.get("postgres"):
        options["postgres"] = request.getfixturevalue("own_postgres")
    stack = make_stack(**options)
    stacks = [stack] + [make_stack(peer=stack) for _ in range(1, nodes)]
    for chat, members in CHATS.items():
        stack.members.add(chat, *map(int, members))
    history = History(CHATS)

    def inboxes_are_empty():
        return not any(stack.redis.client.hlen(f"WaitSendNews_{user}")
                       for user in range(11, 21))

    async def run():
        urls = [f"ws://127.0.0.1:{each.nginx.port}/chat/chat_websocket/"
                for each in stacks]
        async with Load(history, urls,
                        second_devices=TWO_DEVICES) as load:
            await asyncio.sleep(LOAD_TIME / 2)
            await harm(stack, load)
            await asyncio.sleep(LOAD_TIME / 2)
            settled = await load.settle(inboxes_are_empty)
            closes = [code for client in load.clients
                      for code in client.closes]
        return settled, closes

    settled, closes = asyncio.run(run())
    faults = check(history)
    assert not faults, "\n".join(faults[:20])
    assert settled, "inboxes that were never emptied, or sends unanswered"
    assert len(history.confirmed) > 50
    if re.match("nothing|two_nodes|chat_worker|one_of_two|redis|relay|"
                "postgresql|members", name):
        assert not closes, f"closed: {closes}"
    report(name, history, closes, stacks)


def report(name, history, closes, stacks):
    """What docs/guarantees.md tells about the fault; pytest -rP shows it."""
    print(f"{name}: {len(history.sent)} sent, {len(history.refused)} refused, "
          f"longest silence {history.longest_silence():.2f} s")
    print("  closed with:", dict(Counter(closes)))
    print("  300:", dict(Counter(
        reason for _, reason in history.refused.values())))
    for stack in stacks:
        for log in (stack.nginx.error_log,
                    *(worker.log for worker in stack.workers)):
            lines = Counter(
                re.sub(r"^.*?\[(\w+)\] [\d#:* ]*", r"[\1] ", line)
                for line in log.read_text().splitlines()
                if re.search(r"\[(warn|warning|error|crit|alert)\]", line))
            for line, count in lines.most_common(4):
                print(f"  {log.name} x{count}: {line[:200]}")
