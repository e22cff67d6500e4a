"""poll and select say again and again what epoll says once: reading has to be
stopped and resumed by hand there, and what is forgotten spins or hangs. nginx
has them only where it was configured so (NGX_FLAGS in the Makefile)."""

import os
import socket
import ssl
import subprocess
import time
from pathlib import Path

import pytest

import relay_peer as relay
from harness.process import free_port, wait_until
from harness.servers import NGINX
from harness.websocket import PING, PONG
from relay_bench import ping_pong

BUILT_WITH = subprocess.run([NGINX, "-V"], capture_output=True,
                            text=True).stderr


def needs(method):
    return pytest.mark.skipif(
        f"--with-{method}_module" not in BUILT_WITH,
        reason=f"this nginx has no {method}")


@pytest.fixture(params=["epoll", pytest.param("poll", marks=needs("poll")),
                        pytest.param("select", marks=needs("select"))])
def make_bench(make_bench, request):
    """select takes no descriptor over 1023."""
    return lambda *args, **options: make_bench(
        *args, events=f"use {request.param}; worker_connections 500;",
        **options)


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rests(bench):
    """nginx does not run in circles."""
    pid, = bench.nginx.worker_pids()
    before = cpu_seconds(pid)
    time.sleep(0.5)
    assert cpu_seconds(pid) - before < 0.2


def flood(client, count=2000):
    """Sends until nobody takes it any more; returns the whole messages."""
    client.socket.settimeout(0.5)
    sent = 0
    try:
        for sent in range(count):
            client.send_text(f"{sent:06}" + "x" * 10000)
    except TimeoutError:
        return sent
    raise AssertionError("nobody stopped it")


def test_messages_both_ways(make_bench):
    bench = make_bench()
    client, link, attach = bench.attached()
    for size in 0, 1, 70, 5000, 60000:
        client.send_text("x" * size)
        assert link.expect(relay.MESSAGE).payload == b"x" * size
        link.send(attach.id, "y" * size)
        assert client.receive() == "y" * size
    rests(bench)


def test_parked_while_the_worker_is_away(make_bench):
    bench = make_bench("chat_relay_buffer 64k;", listening=False)
    client, other = bench.connect(), bench.connect()
    sent = flood(client)
    ping_pong(other)
    rests(bench)

    bench.listen_again()
    link = bench.peer.accept()
    received = 0
    while received < sent:
        frame = link.next()
        if frame.kind == relay.MESSAGE:
            assert frame.payload.startswith(b"%06d" % received)
            received += 1
            link.receipt()
    rests(bench)


def test_parked_by_a_worker_that_does_not_read(make_bench):
    bench = make_bench("chat_relay_buffer 4m; chat_relay_timeout 60s;")
    client, link, attach = bench.attached()
    sent = flood(client)
    rests(bench)
    for _ in range(sent):
        link.expect(relay.MESSAGE)
        link.receipt()
    link.send(attach.id, "got them")
    assert client.receive() == "got them"


def test_parked_client_that_goes(make_bench):
    """Unnoticed while it is not read from, at the latest when it is again."""
    bench = make_bench("chat_relay_buffer 64k;", listening=False)
    client = bench.connect()
    flood(client)
    client.abort()
    rests(bench)
    bench.listen_again()
    link = bench.peer.accept()
    try:
        while True:
            if link.next(3).kind == relay.MESSAGE:
                link.receipt()
    except TimeoutError:
        pass
    wait_until(lambda: bench.status()["connections"] == 0, what="its end")


def test_slow_consumer(make_bench):
    bench = make_bench("chat_send_buffer 64k;")
    client, link, attach = bench.attached()
    for _ in range(100):
        link.send(attach.id, "x" * 100000)
    detach = link.expect(relay.DETACH)
    assert (detach.id, detach.code) == (attach.id, 1013)
    assert client.wait_closed().code in (1013, 1006)


def test_reader_that_was_slow_gets_all(make_bench):
    bench = make_bench("chat_send_buffer 64m;")
    client, link, attach = bench.attached()
    for number in range(100):
        link.send(attach.id, f"{number}" + "x" * 100000)
    rests(bench)
    for number in range(100):
        assert client.receive() == f"{number}" + "x" * 100000


def test_reload_drains(make_bench):
    bench = make_bench("chat_drain_timeout 1s;")
    clients = [bench.connect() for _ in range(10)]
    old = bench.nginx.worker_pids()
    bench.nginx.reload()
    for client in clients:
        assert client.wait_closed(5).code == 1012
        client.socket.close()
    wait_until(lambda: not set(old) & set(bench.nginx.worker_pids()),
               what="the old worker's end")


def test_client_that_shuts_its_side(make_bench):
    bench = make_bench()
    client, link, attach = bench.attached()
    client.send_text("last words")
    client.socket.shutdown(socket.SHUT_WR)
    assert link.expect(relay.MESSAGE).payload == b"last words"
    link.receipt()
    detach = link.expect(relay.DETACH)
    assert (detach.id, detach.code) == (attach.id, 1006)
    assert client.wait_closed().code == 1006
    rests(bench)


def test_tls(make_bench, certificate):
    """A record that was read in part makes no event any more."""
    port = free_port()
    bench = make_bench("chat_relay_buffer 64k;", server=f"""
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}/cert.pem;
        ssl_certificate_key {certificate}/key.pem;""")
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    client = bench.connect(port=port, tls=tls)
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    for number in range(50):
        client.send_text(f"{number}" + "x" * 10000)
    rests(bench)
    for number in range(50):
        payload = link.expect(relay.MESSAGE).payload
        assert payload == b"%d" % number + b"x" * 10000
        link.receipt()
    link.send(attach.id, "y" * 60000)
    assert client.receive() == "y" * 60000
    rests(bench)


def test_silent_client_is_evicted(make_bench):
    bench = make_bench("chat_ping_interval 1s; chat_heartbeat_timeout 2s;")
    client = bench.connect()
    assert client.receive_frame(3)[0] == PING
    client.send_frame(PONG)
    assert client.receive_frame(3)[0] == PING
    assert client.wait_closed().code == 1001
