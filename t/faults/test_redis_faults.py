"""Redis: away, slow, cut off, unwilling."""

import asyncio
import signal

from harness.scenario import LONG, in_thread, times, under_load


@under_load()
async def test_redis_restarted(run):
    for _ in range(times(1, 5)):
        await in_thread(run.stack.redis.stop)
        await asyncio.sleep(0.5)
        await in_thread(run.stack.redis.start)
        await run.recovered()


@under_load()
async def test_redis_stopped_for_longer(run):
    await in_thread(run.stack.redis.stop)
    await asyncio.sleep(times(4, 20))
    await in_thread(run.stack.redis.start)
    await run.recovered()


@under_load(redis_options=("--appendfsync", "always"))
async def test_redis_killed(run):
    """With its append-only file synced for each answer nothing that had a
    235 is lost."""
    for _ in range(times(2, 10)):
        run.stack.redis.kill()
        await asyncio.sleep(0.3)
        await in_thread(run.stack.redis.start)
        await run.recovered()


@under_load(worker={"redis": {"timeout": "500ms"}})
async def test_redis_paused(run):
    """Past every timeout."""
    run.stack.redis.send_signal(signal.SIGSTOP)
    await asyncio.sleep(times(2, 10))
    run.stack.redis.send_signal(signal.SIGCONT)
    await run.recovered()


@under_load()
async def test_redis_connections_cut(run):
    for _ in range(times(4, 30)):
        run.stack.redis.client.client_kill_filter(_type="normal",
                                                  skipme=True)
        await run.recovered()


@under_load(proxies=True)
async def test_redis_replies_cut_at_every_offset(run):
    """The short version leaves offsets out."""
    offsets = range(400) if LONG else [*range(0, 40, 3), *range(40, 400, 30)]
    for offset in offsets:
        run.stack.redis_proxy.cut_after(offset)
        await asyncio.sleep(0.1)


@under_load(proxies=True)
async def test_redis_replies_delayed(run):
    run.stack.redis_proxy.delay = 0.2
    await asyncio.sleep(times(2, 10))
    run.stack.redis_proxy.delay = 0
    await run.recovered()


@under_load(proxies=True)
async def test_redis_refuses_connections(run):
    run.stack.redis_proxy.refusing = True
    run.stack.redis_proxy.cut()
    await asyncio.sleep(times(1, 10))
    run.stack.redis_proxy.refusing = False
    await run.recovered()


@under_load()
async def test_redis_is_a_replica(run):
    """READONLY, as after a failover that left this one behind."""
    run.stack.redis.client.replicaof("127.0.0.1", 1)
    await asyncio.sleep(times(1.5, 10))
    run.stack.redis.client.replicaof("NO", "ONE")
    await run.recovered()


@under_load()
async def test_redis_has_no_replica_to_write_to(run):
    """NOREPLICAS."""
    run.stack.redis.client.config_set("min-replicas-to-write", 1)
    await asyncio.sleep(times(1, 10))
    run.stack.redis.client.config_set("min-replicas-to-write", 0)
    await run.recovered()


@under_load()
async def test_redis_out_of_memory(run):
    """OOM command not allowed."""
    run.stack.redis.client.config_set("maxmemory", 1)
    await asyncio.sleep(times(1, 10))
    run.stack.redis.client.config_set("maxmemory", 0)
    await run.recovered()
    lines = run.stack.worker.log_text().count("were not stored: OOM")
    assert 1 <= lines < 5 + times(1, 10) < len(run.history.refused)


@under_load(redis_options=("--aof-use-rdb-preamble", "yes"))
async def test_redis_is_loading(run):
    """LOADING Redis is loading the dataset in memory."""
    redis = run.stack.redis
    pipe = redis.client.pipeline(transaction=False)
    for number in range(2000):
        pipe.set(f"ballast:{number}", "x" * 2000)
    pipe.execute()
    redis.client.bgrewriteaof()
    await run.until(lambda: not redis.client.info("persistence")
                    ["aof_rewrite_in_progress"], what="the rewrite")
    await in_thread(redis.stop)
    redis.command += ["--key-load-delay", "1000",  # µs for each key
                      "--loading-process-events-interval-bytes", "1024"]
    starting = asyncio.create_task(in_thread(redis.start))
    await run.until(lambda: "Loading RDB" in redis.log_text() or
                    "Reading RDB" in redis.log_text(), what="loading")
    await starting
    await run.recovered()
    assert "LOADING" in run.stack.worker.log_text()


@under_load()
async def test_redis_forgot_its_scripts(run):
    for _ in range(times(4, 30)):
        run.stack.redis.client.script_flush()
        await asyncio.sleep(0.2)
