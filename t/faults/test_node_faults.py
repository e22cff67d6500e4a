"""Two nodes, nginx and chat-worker each, on one Redis."""

import asyncio

from harness.scenario import in_thread, times, under_load


@under_load(nodes=2)
async def test_two_nodes(run):
    """Nothing happens to them."""
    await asyncio.sleep(1)


@under_load(nodes=2)
async def test_chat_worker_of_one_node_killed(run):
    for _ in range(times(1, 5)):
        run.stack.worker.kill()
        await asyncio.sleep(1)
        await in_thread(run.stack.worker.start)
        await run.recovered()


@under_load(nodes=2, worker={"node": {"lease": "1s"}})
async def test_node_away_for_longer_than_its_lease(run):
    run.stack.worker.kill()
    await asyncio.sleep(3)
    await in_thread(run.stack.worker.start)
    await run.recovered()


@under_load(nodes=2, proxies=True)
async def test_redis_away_for_one_node(run):
    for _ in range(times(1, 5)):
        run.stack.redis_proxy.refusing = True
        run.stack.redis_proxy.cut()
        await asyncio.sleep(1)
        run.stack.redis_proxy.refusing = False
        await run.recovered()


def test_nobody_has_to_send_for_what_was_missed(make_stack):
    """A node without Redis misses a doorbell. It reads the inboxes when Redis
    is back, not when the next message comes."""
    here = make_stack()
    there = make_stack(peer=here, proxies=True)
    ada, bao = here.connect(1), there.connect(2)
    ada.say(21, "before")
    assert bao.contents(1) == ["before"]
    there.redis_proxy.refusing = True
    there.redis_proxy.cut()
    ada.say(21, "missed")
    bao.quiet()
    there.redis_proxy.refusing = False
    assert bao.contents(1, 5) == ["missed"]
