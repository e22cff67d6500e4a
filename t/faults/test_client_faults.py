"""Clients that vanish, do not read, storm, repeat themselves, meddle, or come
with several devices; and chats whose members change."""

import asyncio
import json
import random
import time

import pytest

from harness.scenario import in_thread, read_status, times, under_load


@under_load(keeps_sockets=False)
async def test_clients_cut_off_and_back(run):
    await asyncio.gather(*(
        client.away(random.uniform(0.1, 1.5))
        for client in run.load.clients for _ in range(times(2, 10))))


@under_load(keeps_sockets=False)
async def test_half_of_the_clients_are_offline(run):
    await asyncio.gather(*(client.away(times(2, 20))
                           for client in run.load.clients[::2]))


@under_load(chat="chat_heartbeat_timeout 2s; chat_ping_interval 1s;")
async def test_clients_vanish_without_fin(run):
    """Each leaves a connection that nobody reads or answers any more, and
    comes back with another one; heartbeat ends the old ones."""
    for _ in range(times(2, 6)):
        for client in run.load.clients:
            client.vanish()
        await run.load.connected()
    run.over()
    ghosts = sum(len(client.ghosts) for client in run.load.clients)
    assert ghosts == times(2, 6) * len(run.load.clients)
    began = time.monotonic()
    await run.until(lambda: ended(run, "heartbeat") == ghosts,
                    what="the end of those that are not there")
    run.notes["evicted"] = round(time.monotonic() - began, 2)


def ended(run, reason):
    return sum(part["count"] for part in run.status()["closes"]
               if part["reason"] == reason)


@under_load(chat="chat_send_buffer 128k;", keeps_sockets=False)
async def test_clients_stop_reading(run):
    """User 20 has a small buffer and stops reading while user 12 sends a lot:
    1013, and the rest comes from the inbox."""
    slow, busy = run.load.client("20"), run.load.client("12")
    slow.receive_buffer = 4096
    await slow.away(0)
    await run.load.connected()
    busy.size = slow.size = 20000
    asleep = slow.stop_reading()
    await run.until(lambda: ended(run, "slow consumer") > 0, 30,
                    "the end of the client that does not read")
    busy.size = slow.size = 50
    run.over()
    slow.read_again(asleep)


STORM = [str(1000 + number) for number in range(times(500, 5000))]


@under_load(chats={36: ["21", *STORM]}, rate=4, quiet=STORM, least=2,
            two_devices=(), keeps_sockets=False, nginx_workers=2,
            worker={"redis": {"batch": 500}})
async def test_reconnection_storm(run):
    """All connections are lost in one moment, and all clients come back at
    once."""
    run.stack.expect(r"exited on signal 9")
    run.load.sending = True
    began = time.monotonic()
    for pid in run.stack.nginx.worker_pids():
        await in_thread(run.stack.kill_nginx_worker, pid)
    run.over()
    await run.load.connected()
    run.notes["all back"] = round(time.monotonic() - began, 2)


@under_load()
async def test_every_message_is_sent_twice(run):
    """The same send_id, back to back."""
    for client in run.load.clients:
        client.copies = 2
    await asyncio.sleep(times(1, 10))
    await run.until(lambda: worker_metric(run, "duplicates_total") > 10,
                    what="repetitions that were recognised")


@under_load(nodes=2)
async def test_messages_are_sent_again_on_another_node(run):
    """By the same user's other device, at the same time."""
    one, two = [client for client in run.load.clients
                if client.user == "11"]
    assert one.url != two.url
    end = time.monotonic() + times(1.5, 10)
    while time.monotonic() < end:
        await two.transmit(*one.unanswered.values())
        await asyncio.sleep(0.001)


def worker_metric(run, name):
    return sum(worker.get(name, 0)
               for worker in run.status()["workers"].values())


@under_load()
async def test_keys_of_others_are_acknowledged(run):
    """User 20 acknowledges what others got, faster than they do."""
    thief, done = run.load.client("20"), set()
    end = time.monotonic() + times(1.5, 10)
    while time.monotonic() < end:
        keys = {key for device in run.history.devices if device.user != "20"
                for _, key, _, _ in device.arrived} - done
        keys = sorted(keys)[:500]  # a message has its limit
        done.update(keys)
        await thief.transmit(json.dumps(
            {"code": 237, "msg": "", "data": keys}))
        await asyncio.sleep(0.005)
    assert len(done) > 100


@under_load(keeps_sockets=False)
async def test_many_devices_of_one_user(run):
    """They come at once, and go and come while messages arrive."""
    devices = [run.load.add(user, f"more {number}")
               for user in ("11", "18") for number in range(times(6, 30))]
    await run.load.connected()
    await asyncio.gather(*(device.away(random.uniform(0, 0.5))
                           for device in devices))
    await run.load.connected()


CACHED = 0.2  # seconds
MARGIN = 1.0  # for a lookup under load


async def change_members(run, settle):
    """User 20 leaves chat 34, user 17 joins it, and back, while the members
    talk. `settle`: seconds until a change counts for every message."""
    members = run.stack.members

    async def change(user, joined):
        began = time.monotonic()
        await in_thread(members.add if joined else members.remove, 34,
                        int(user))
        run.history.on_membership(34, user, joined, began,
                                  time.monotonic() + settle)

    for _ in range(times(1, 5)):
        await change("20", False)
        await change("17", True)
        await asyncio.sleep(settle + 0.5)
        await change("17", False)
        await change("20", True)
        await asyncio.sleep(settle + 0.5)


@under_load(worker={"membership": {"cache_ttl": "200ms"}})
async def test_members_change(run):
    await change_members(run, CACHED + MARGIN)
    assert any("member" in reason
               for _, reason in run.history.refused.values())


@pytest.mark.timeout(300)
def test_a_large_backlog_stalls_nobody(make_stack):
    """A user comes back to a full inbox while two others talk."""
    stack = make_stack(server="location = /status { chat_status json; }")
    count = times(10000, 100000) - 1
    first = 1_600_000_000_000_000
    news = json.dumps({"chat_id": 21, "content": "x" * 100,
                       "send_user_id": 3, "receive_user_id": 2})
    pipe = stack.redis.client.pipeline(transaction=False)
    for start in range(0, count, 1000):
        pipe.hset("WaitSendNews_2", mapping={
            f"{first + number}-m{number}": news
            for number in range(start, min(start + 1000, count))})
    pipe.set("chat:seq:{WaitSendNews_2}", first + count - 1)
    pipe.execute()
    ada, dai = stack.connect(1), stack.connect(4)
    bao = stack.connect(2)
    waits, got, began = [], 0, time.monotonic()
    while got < count:
        asked = time.monotonic()
        ada.send_message(22, "ping")
        dai.news(1)
        waits.append(time.monotonic() - asked)
        while got < count:
            try:
                frame = bao.next(0.002)
            except TimeoutError:
                break
            assert frame["code"] == 236, frame
            got += len(frame["data"])
            bao.acknowledge(frame["data"])
            if len(waits) < got / 2000:
                break
    took = time.monotonic() - began
    waits.sort()
    print(f"{got} in {took:.1f} s; the others waited {waits[len(waits) // 2]}"
          f" (median), {waits[-1]} s (longest)")
    assert waits[-1] < 1.0
    stack.wait(lambda: not stack.redis.client.exists("WaitSendNews_2"), 30)
    assert read_status(stack)["connections"] == 3


def test_a_full_inbox_refuses_and_keeps_what_it_has(make_stack):
    stack = make_stack(worker={"redis": {"max_inbox_messages": 5}})
    ada = stack.connect(1)
    for number in range(5):
        ada.say(22, f"{number}")
        [(key, _)] = ada.news(1)
        ada.acknowledge([key])
    ada.send_message(22, "one too many")
    assert "full" in ada.expect(300)["data"]["msg"]
    dai = stack.connect(4)
    found = dai.news(5)
    assert [news["content"] for _, news in found] == list("01234")
    dai.acknowledge([key for key, _ in found])
    stack.wait(lambda: not stack.redis.inbox(4))
    ada.say(22, "and on")
    assert dai.contents(1) == ["and on"]


