"""PostgreSQL: stopped, killed, paused, cut off. Members are asked for anew
all the time here (cache_ttl), which is the hardest case."""

import asyncio
import signal

import psycopg2

from harness.scenario import in_thread, times, under_load

ASKING = {"membership": {"cache_ttl": "100ms", "timeout": "500ms"}}
NEVER_CACHED = {"membership": {"cache_size": 0, "timeout": "500ms"}}


@under_load(postgres=True, worker=ASKING)
async def test_postgresql_stopped(run):
    """Who is in the cache is served on."""
    server = run.stack.members.server
    await in_thread(server.stop)
    await asyncio.sleep(times(1.5, 10))
    await in_thread(server.start)
    await run.recovered()
    assert not run.history.refused


@under_load(postgres=True, worker=NEVER_CACHED)
async def test_postgresql_stopped_without_a_cache(run):
    server = run.stack.members.server
    await in_thread(server.stop)
    await asyncio.sleep(times(1, 10))
    await in_thread(server.start)
    await run.recovered()
    assert run.history.refused


@under_load(postgres=True, worker=NEVER_CACHED)
async def test_postgresql_killed(run):
    server = run.stack.members.server
    server.kill()
    await asyncio.sleep(0.5)
    await run.until(lambda: not server.alive)
    await in_thread(server.start)
    await run.recovered()


@under_load(postgres=True, worker=NEVER_CACHED)
async def test_postgresql_paused(run):
    """Past the timeout of a query."""
    server = run.stack.members.server
    server.signal_all(signal.SIGSTOP)
    await asyncio.sleep(times(1.5, 10))
    server.signal_all(signal.SIGCONT)
    await run.recovered()


@under_load(postgres=True, worker=NEVER_CACHED)
async def test_postgresql_connections_cut(run):
    def cut():
        with run.stack.members.server.connect() as db:
            db.cursor().execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = %s", (run.stack.members.name,))
        db.close()

    for _ in range(times(3, 20)):
        try:
            await in_thread(cut)
        except psycopg2.OperationalError:
            pass
        await run.recovered()
