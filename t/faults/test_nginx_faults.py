"""nginx: a worker killed, reload, binary upgrade."""

import random

from harness.process import is_running
from harness.scenario import in_thread, times, under_load


@under_load(nginx_workers=2, keeps_sockets=False)
async def test_nginx_worker_killed(run):
    run.stack.expect(r"exited on signal 9")
    for _ in range(times(3, 15)):
        pid = random.choice(run.stack.nginx.worker_pids())
        await in_thread(run.stack.kill_nginx_worker, pid)
        await run.recovered()


@under_load(nginx_workers=2, chat="chat_drain_timeout 1s;",
            keeps_sockets=False)
async def test_nginx_reloaded(run):
    for _ in range(times(1, 6)):
        old = run.stack.nginx.worker_pids()
        await in_thread(run.stack.nginx.reload)
        await run.recovered()
        await run.until(lambda: not any(map(is_running, old)),
                        what="the end of the old workers")
    assert_only_drained(run)


@under_load(nginx_workers=2, chat="chat_drain_timeout 1s;", daemon=True,
            keeps_sockets=False)
async def test_nginx_binary_upgraded(run):
    for _ in range(times(1, 4)):
        await in_thread(run.stack.nginx.upgrade)
        await run.recovered()
    assert_only_drained(run)


def assert_only_drained(run):
    codes = {code for client in run.load.clients for code in client.closes}
    assert codes == {1012}, codes
