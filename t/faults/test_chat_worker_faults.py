"""chat-worker and the relay to it: killed, paused, cut off, speaking nonsense,
not reading. No WebSocket may close."""

import asyncio
import signal

from harness.scenario import LONG, in_thread, times, under_load


@under_load()
async def test_nothing(run):
    """The load alone: what the other figures compare with."""


@under_load()
async def test_chat_worker_killed(run):
    for _ in range(times(3, 20)):
        run.stack.worker.kill()
        await in_thread(run.stack.worker.start)
        await run.recovered()


@under_load()
async def test_chat_worker_killed_with_messages_unread(run):
    """It stands still for a moment before it is killed."""
    for _ in range(times(2, 20)):
        run.stack.worker.send_signal(signal.SIGSTOP)
        await asyncio.sleep(0.1)
        run.stack.worker.kill()
        await in_thread(run.stack.worker.start)
        await run.recovered()


@under_load()
async def test_chat_worker_restarted(run):
    for _ in range(times(3, 20)):
        await in_thread(run.stack.worker.restart)
        await run.recovered()


@under_load()
async def test_chat_worker_away(run):
    run.stack.worker.kill()
    await asyncio.sleep(2)
    await in_thread(run.stack.worker.start)
    await run.recovered()


@under_load()
async def test_chat_worker_paused(run):
    run.stack.worker.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2)
    run.stack.worker.send_signal(signal.SIGCONT)
    await run.recovered()


@under_load(chat="chat_relay_timeout 1s;")
async def test_chat_worker_paused_past_chat_relay_timeout(run):
    run.stack.worker.send_signal(signal.SIGSTOP)
    await asyncio.sleep(2.5)
    run.stack.worker.send_signal(signal.SIGCONT)
    await run.recovered()


@under_load(proxies=True)
async def test_relay_cut(run):
    for _ in range(times(4, 30)):
        run.stack.relay_proxy.cut()
        await run.recovered()


@under_load(proxies=True)
async def test_relay_cut_in_mid_frame(run):
    """Counted in bytes from chat-worker, from its HELLO on."""
    offsets = range(1, 400, 3) if LONG else [*range(1, 40, 4), 100, 1000]
    for offset in offsets:
        run.stack.relay_proxy.cut_after(offset)
        await asyncio.sleep(0.12)


@under_load(proxies=True)
async def test_relay_garbage_from_chat_worker(run):
    for data in (b"\0" * 16, b"\xff" * 64, b"GET / HTTP/1.1\r\n\r\n"):
        run.stack.relay_proxy.inject(data)
        await run.recovered()


@under_load(proxies=True, chat="chat_relay_buffer 16k;")
async def test_relay_never_read(run):
    """Neither side's bytes are taken: nginx fills chat_relay_buffer, and
    then no longer reads from clients that have something to say."""
    run.stack.relay_proxy.holding = True
    await asyncio.sleep(times(3, 8))
    await run.until(lambda: run.status()["connections_parked"] > 0,
                    what="clients that are no longer read from")
    run.stack.relay_proxy.holding = False
    await run.recovered()


@under_load(workers=2)
async def test_one_of_two_chat_workers_killed(run):
    for worker in run.stack.workers:
        worker.kill()
        await run.recovered()
        await in_thread(worker.start)
        await asyncio.sleep(0.5)
