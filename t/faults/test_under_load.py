"""Each fault while messages are flowing, and then the check of everything
that the clients saw. CHAT_FAULT_TIME: seconds of load around each fault."""

import asyncio
import os
import random
import re
import signal

import pytest

from harness.history import History, check
from harness.load import Load
from harness.process import is_running

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
def test_fault(make_stack, name):
    harm, options = FAULTS[name][0], dict(FAULTS[name][1])
    nodes = options.pop("nodes", 1)
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
    if re.match("nothing|two_nodes|chat_worker|one_of_two|redis|relay", name):
        assert not closes, f"closed: {closes}"
    print(f"{name}: {len(history.sent)} sent, {len(history.refused)} refused, "
          f"longest silence {history.longest_silence():.2f} s")
