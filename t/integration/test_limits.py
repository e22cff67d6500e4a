"""What one client, one message or one chat-worker can make nginx hold or do.
The chat-worker is scripted (relay_peer.py)."""

import re
import resource
import shutil
import socket
import tempfile
import time
from pathlib import Path

import pytest

from harness.process import SANITIZED, complaints, wait_until
from harness.servers import Nginx
from harness.websocket import (CLOSE, PING, TEXT, HandshakeFailed, WebSocket,
                               encode)
from relay_peer import ATTACH, DETACH, MESSAGE, REQUEST, WRITTEN, RelayPeer

PATH = "/chat/chat_websocket/"
STATUS = "location = /status { chat_status; }"


class Site:
    def __init__(self, chat="", server=STATUS, **parts):
        self.folder = Path(tempfile.mkdtemp(prefix="chat-limits-"))
        self.folder.chmod(0o755)
        self.peer = RelayPeer(self.folder / "worker.sock")
        Path(self.peer.path).chmod(0o777)
        self.clients = []
        self.nginx = Nginx(self.folder, f"chat_pass unix:{self.peer.path}; "
                           + chat,
                           server=server.replace("WORKER", self.peer.path),
                           **parts)
        self.nginx.start()

    def connect(self, path=PATH, port=None, **options):
        client = WebSocket(("127.0.0.1", port or self.nginx.port), path,
                           **options)
        self.clients.append(client)
        return client

    def linked(self, **options):
        """A client, its relay connection and its ATTACH."""
        client = self.connect()
        link = self.peer.accept(**options)
        return client, link, link.expect(ATTACH)

    def get(self, path):
        with socket.create_connection(("127.0.0.1", self.nginx.port), 10) as s:
            s.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            return s.makefile("rb").read().decode().partition("\r\n\r\n")[2]

    def metric(self, name):
        return int(re.search(rf"^chat_{name} (\d+)", self.get("/status"),
                             re.M)[1])

    def log(self):
        return self.nginx.error_log.read_text()

    def memory(self):
        """Resident bytes of the nginx worker."""
        pid, = self.nginx.worker_pids()
        pages = Path(f"/proc/{pid}/statm").read_text().split()[1]
        return int(pages) * resource.getpagesize()

    def stop(self):
        for client in self.clients:
            client.abort()
        self.nginx.stop()
        self.peer.stop()
        assert not list(complaints(self.folder))
        shutil.rmtree(self.folder)


# Other modules at work on the same request

@pytest.mark.parametrize("log", ["open", "close"])
def test_mirror_that_outlives_the_handshake(make_site, log):
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        site = make_site(f"mirror /mirror; chat_log {log};",
                         server=f"""{STATUS}
                location = /mirror {{
                    internal;
                    proxy_pass http://127.0.0.1:{port};
                }}""")
        client = site.connect()
        upstream, _ = slow.accept()
        with upstream:
            client.send_text("early")
            time.sleep(0.2)
            upstream.recv(65536)
            upstream.sendall(b"HTTP/1.0 200 OK\r\n\r\n" + b"x" * 100000)
        link = site.peer.accept()
        attach = link.expect(ATTACH)
        assert link.expect(MESSAGE).payload == b"early"
        link.send(attach.id, "answer")
        assert client.receive() == "answer"


def test_end_of_nginx_while_a_mirror_runs(make_site):
    with socket.create_server(("127.0.0.1", 0)) as slow:
        port = slow.getsockname()[1]
        site = make_site(
            "mirror /mirror; chat_log close;",
            main="worker_shutdown_timeout 200ms;", server=f"""{STATUS}
                location = /mirror {{
                    internal;
                    proxy_pass http://127.0.0.1:{port};
                }}""")
        old = site.nginx.worker_pids()
        site.connect()
        upstream, _ = slow.accept()
        with upstream:
            site.nginx.reload()
            wait_until(lambda: not set(old) & set(site.nginx.worker_pids()),
                       what="the old worker's end")
    assert site.metric("connections") == 0


def test_error_page_opens_nothing(make_site):
    site = make_site("deny all; error_page 403 /other;", server=STATUS +
                     "location = /other { chat_pass unix:WORKER; }")
    with pytest.raises(HandshakeFailed) as failed:
        site.connect()
    assert failed.value.status == 403
    assert "sec-websocket-accept" not in failed.value.headers


# Memory

@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what is freed")
def test_queue_that_never_empties_stays_small(make_site):
    site = make_site("chat_send_buffer 1m;")
    client = site.connect()
    client.socket.setblocking(False)
    before = site.memory()
    pings, answer = encode(PING, b"x" * 120) * 200, 122 * 200
    pending, asked, got = b"", 0, 0

    while got < 60_000_000:
        if not pending and asked - got < 900_000:
            pending, asked = pings, asked + answer
        try:
            pending = pending[client.socket.send(pending):]
        except BlockingIOError:
            pass
        if asked - got > 600_000:
            try:
                data = client.socket.recv(16384)
            except BlockingIOError:
                continue
            assert data
            got += len(data)

    client.socket.setblocking(True)
    assert site.memory() - before < 8 << 20


# Logs

def test_nothing_forges_a_line_of_the_log(make_site):
    site = make_site()
    client, link, attach = site.linked()
    link.identify(attach.id, "eve\n2026/01/01 00:00:00 [warn] 1#1: forged")
    time.sleep(0.1)
    client.send_frame(CLOSE, b"\x03\xe8bye\n2026/01/01 [warn] 1#1: forged\x7f")
    wait_until(lambda: "closed with 1000" in site.log(), what="the log line")
    assert not re.search(r"^2026/01/01", site.log(), re.M)
    assert "bye.2026" in site.log()


def test_close_then_end_of_stream_is_a_close(make_site):
    """Whoever waits for the answers still knows why the session ends."""
    site = make_site()
    client, link, _ = site.linked()
    client.send_bytes(encode(TEXT, b"asked") + encode(CLOSE, b"\x0f\xa1bye"))
    link.expect(MESSAGE)
    client.socket.shutdown(socket.SHUT_WR)
    assert link.expect(DETACH).code == 4001
    assert "closed with 4001 by client" in site.log()


# Relay

def test_message_over_the_workers_limit(make_site):
    """Each chat-worker takes what it says, also when it comes later."""
    site = make_site("chat_max_message 64k;")
    client = site.connect()
    other = site.connect()
    link = site.peer.accept(greet=False)
    client.send_text("x" * 4000)
    other.send_text("fits")
    time.sleep(0.2)
    link.greet(max_payload=3000)
    frames = [link.next() for _ in range(3)]
    assert sorted(frame.kind for frame in frames[:2]) == [ATTACH, ATTACH]
    assert client.wait_closed().code == 1009
    kinds = {frame.kind: frame for frame in [frames[2], link.next()]}
    assert kinds[MESSAGE].payload == b"fits"
    assert kinds[DETACH].code == 1009


def test_resent_message_over_the_next_workers_limit(make_site):
    site = make_site()
    client, link, _ = site.linked()
    client.send_text("x" * 4000)
    link.expect(MESSAGE)
    link.cut()
    link = site.peer.accept(max_payload=3000)
    link.expect(ATTACH)
    assert link.expect(DETACH).code == 1009
    assert client.wait_closed().code == 1009
    link.nothing()


def test_worker_that_fails_again_and_again(make_site):
    """The pauses grow although it says HELLO each time."""
    site = make_site()
    client, link, _ = site.linked()
    client.send_text("poison")
    link.expect(MESSAGE)
    link.cut()
    begin = time.monotonic()
    times = 0
    while time.monotonic() - begin < 3:
        link = site.peer.accept()
        link.expect(ATTACH)
        link.expect(MESSAGE)
        link.cut()
        times += 1
    assert times <= 8
    assert site.log().count("is away") == 1


def test_receipt_that_goes_back(make_site):
    site = make_site()
    client, link, _ = site.linked()
    for text in "abc":
        client.send_text(text)
        link.expect(MESSAGE)
    link.receipt(2)
    link.receipt(1)
    link.wait_closed()
    link = site.peer.accept()
    link.expect(ATTACH)
    assert link.expect(MESSAGE).payload == b"c"


def test_large_relay_buffer_while_the_worker_does_not_read(make_site):
    """What chat_relay_buffer allows is no reason to give the worker up."""
    site = make_site("chat_relay_buffer 128m; chat_max_message 16m;")
    clients = [site.connect() for _ in range(5)]
    link = site.peer.accept()
    for _ in clients:
        link.expect(ATTACH)
    for client in clients:
        client.socket.settimeout(20)
        client.send_text("x" * (15 << 20))
    time.sleep(0.5)
    link.timeout = 30
    for _ in clients:
        assert len(link.expect(MESSAGE).payload) == 15 << 20
    assert "away" not in site.log()


def test_waiting_bytes_are_counted(make_site):
    site = make_site()
    site.peer.stop()
    client = site.connect()
    client.send_text("x" * 1000)
    wait_until(lambda: site.metric("relay_unconfirmed_bytes") == 1016,
               what="the message in the metrics")
    site.peer.listen()
    Path(site.peer.path).chmod(0o777)
    link = site.peer.accept()
    link.expect(ATTACH)
    link.expect(MESSAGE)
    link.receipt()
    wait_until(lambda: site.metric("relay_unconfirmed_bytes") == 0,
               what="the receipt in the metrics")


def test_written_is_for_this_relay_connection(make_site):
    site = make_site()
    client, link, attach = site.linked()
    link.send(attach.id, "page", flags=2, mark=7)
    assert client.receive() == "page"
    assert link.expect(WRITTEN).id == attach.id
    link.nothing()


# Status

def test_status_of_workers_that_answer_late(make_site):
    site = make_site(server=STATUS)
    _, link, _ = site.linked()
    with socket.create_connection(("127.0.0.1", site.nginx.port)) as asker:
        asker.sendall(b"GET /status HTTP/1.1\r\nHost: x\r\n\r\n")
        request = link.expect(REQUEST)
        asker.settimeout(5)
        assert b"200 OK" in asker.recv(65536)
        link.respond(request.id, 200, "text/plain", "chat_worker_x 1\n")
        time.sleep(0.7)
    assert "chat_connections 1" in site.get("/status")


def test_status_of_several_workers(make_site):
    """Each metric once, with the samples of all chat-workers, each asked
    once."""
    site = make_site(server=STATUS + """
        location /other { chat_pass unix:WORKER; chat_relay_timeout 9s; }
        location /second { chat_pass unix:WORKER.2; }""")
    told = ("# HELP chat_worker_a First.\n# TYPE chat_worker_a gauge\n"
            "chat_worker_a 1\n# TYPE chat_worker_b histogram\n"
            "chat_worker_b_bucket{le=\"1\"} 2\nchat_worker_b_sum 3\n")
    with RelayPeer(site.peer.path + ".2") as second:
        Path(second.path).chmod(0o777)
        links = []
        for path, peer in ((PATH, site.peer), ("/other", site.peer),
                           ("/second", second)):
            site.connect(path)
            links.append(peer.accept())
            links[-1].expect(ATTACH)
        with socket.create_connection(
                ("127.0.0.1", site.nginx.port), 10) as asker:
            asker.sendall(b"GET /status HTTP/1.0\r\n\r\n")
            for link in links[1:]:
                request = link.expect(REQUEST)
                link.respond(request.id, 200, "text/plain", told)
            text = asker.makefile("rb").read().decode()
        links[0].nothing()
    first, other = f"unix:{site.peer.path}", f"unix:{second.path}"
    assert text.endswith(
        "# HELP chat_worker_a First.\n# TYPE chat_worker_a gauge\n"
        f'chat_worker_a{{worker="{first}"}} 1\n'
        f'chat_worker_a{{worker="{other}"}} 1\n'
        "# TYPE chat_worker_b histogram\n"
        f'chat_worker_b_bucket{{worker="{first}",le="1"}} 2\n'
        f'chat_worker_b_sum{{worker="{first}"}} 3\n'
        f'chat_worker_b_bucket{{worker="{other}",le="1"}} 2\n'
        f'chat_worker_b_sum{{worker="{other}"}} 3\n'), text
