"""What the machine does: no disk space, no file descriptors, a clock that
jumps."""

import asyncio
import os
import resource
import subprocess
from pathlib import Path

import pytest

from harness.scenario import times, under_load

FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


# Disk

@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder],
        capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_disk_full_under_redis(make_stack, request, small_disk):
    """MISCONF: Redis cannot write its append-only file."""
    async def fill(run):
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                pass
        await asyncio.sleep(times(3, 15))
        filler.unlink()
        await run.recovered()
        assert run.history.refused

    fill.__name__ = "disk_full_under_redis"
    under_load(redis_options=("--dir", str(small_disk)))(fill)(
        make_stack, request)


# File descriptors

def limit_files(pid, more):
    """Lets the process open `more` files than it has now; returns a function
    that takes the limit back."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    number = max(int(name) for name in os.listdir(f"/proc/{pid}/fd")) + 1
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (number + more, before[1]))
    return lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, before)


@under_load(keeps_sockets=False)
async def test_nginx_has_no_file_descriptors(run):
    """Some clients go; while they are away others take what was left."""
    run.stack.expect("Too many open files")
    [pid] = run.stack.nginx.worker_pids()
    away = asyncio.gather(*(client.away(1)
                            for client in run.load.clients[:4]))
    await asyncio.sleep(0.2)
    others = [await asyncio.open_connection("127.0.0.1",
                                            run.stack.nginx.port)
              for _ in range(8)]
    for _, writer in others:
        writer.write(b"GET /")
    await asyncio.sleep(0.2)
    give_back = limit_files(pid, 0)
    await asyncio.sleep(times(2, 10))
    await away
    assert not all(client.socket for client in run.load.clients)
    for _, writer in others[4:]:
        writer.close()
    give_back()
    await run.recovered()
    await run.load.connected()
    for _, writer in others:
        writer.close()


@under_load(proxies=True)
async def test_chat_worker_has_no_file_descriptors(run):
    """It loses its connections and can neither make nor accept others."""
    give_back = limit_files(run.stack.worker.pid, 0)
    taken = [await asyncio.open_unix_connection(run.stack.worker.socket)
             for _ in range(12)]
    run.stack.redis_proxy.cut()
    run.stack.relay_proxy.cut()
    await asyncio.sleep(times(1.5, 10))
    for _, writer in taken:
        writer.close()
    give_back()
    await run.recovered()


# Clock

@pytest.mark.skipif(not FAKETIME, reason="needs libfaketime")
@pytest.mark.parametrize("seconds", [3600, -3600])
def test_clock_jumps(make_stack, request, tmp_path, seconds):
    """The wall clock of Redis and of one of two chat-workers jumps."""
    setting = tmp_path / "faketime"
    setting.write_text("+0")
    setting.chmod(0o644)
    # libc first: with its jemalloc Redis hangs under libfaketime.
    faked = {"LD_PRELOAD": f"{FAKETIME}:libc.so.6",
             "FAKETIME_NO_CACHE": "1", "FAKETIME_TIMESTAMP_FILE": str(setting),
             "FAKETIME_DONT_FAKE_MONOTONIC": "1"}

    async def jump(run):
        before = run.stack.redis.client.time()[0]
        setting.write_text(f"{seconds:+d}")
        await run.recovered()
        jumped = run.stack.redis.client.time()[0] - before
        assert abs(jumped - seconds) < 60, "libfaketime did nothing"
        await asyncio.sleep(times(3, 20))

    jump.__name__ = f"clock_jumps_{'back' if seconds < 0 else 'forward'}"
    # A sanitizer wants to be the first library.
    worker = None if os.environ.get("SANITIZE") else faked
    under_load(nodes=2, redis_env=faked, worker_env=worker)(jump)(
        make_stack, request)


@under_load()
async def test_sequence_counters_are_lost(run):
    """As when a key was deleted, or Redis came back from an old backup."""
    redis = run.stack.redis.client
    for _ in range(times(3, 20)):
        redis.delete(*(f"chat:seq:{{WaitSendNews_{user}}}"
                       for user in run.history.users()))
        await asyncio.sleep(0.3)
