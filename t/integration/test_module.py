"""The nginx module with nothing but an echo worker behind it: what an operator
sees and sets."""

import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from harness.process import Process, complaints, free_port, wait_until
from harness.servers import HTTP2, HTTP2_LISTEN, MODULE, Nginx
from harness.websocket import (PING, PONG, TEXT, Closed, HandshakeFailed,
                               WebSocket, encode)

PATH = "/chat/chat_websocket/"
ECHO_WORKER = Path(MODULE).parent / "t/tools/echo_worker"
LOG = ("log_format chat '$status|$chat_user|$chat_status|$chat_close_code|"
       "$chat_closed_by|$chat_messages_in|$chat_messages_out|$chat_bytes_in|"
       "$chat_bytes_out|$chat_session_time';")


class Echo(Process):
    def __init__(self, folder):
        self.path = folder / "echo.sock"
        super().__init__(
            "echo_worker",
            [ECHO_WORKER, f"unix:{self.path}"],
            folder / "echo.log", self.path.exists)

    def start(self):
        super().start()
        self.path.chmod(0o777)
        return self


class Site:
    def __init__(self, chat="", **parts):
        self.folder = Path(tempfile.mkdtemp(prefix="chat-module-"))
        self.folder.chmod(0o755)
        self.clients = []
        self.echo = Echo(self.folder)
        self.echo.start()
        chat = f"chat_pass unix:{self.echo.path}; {chat}"
        self.nginx = Nginx(self.folder, chat, **parts)
        self.nginx.start()

    def connect(self, path=PATH, port=None, **options):
        client = WebSocket(("127.0.0.1", port or self.nginx.port), path,
                           **options)
        self.clients.append(client)
        return client

    def get(self, path):
        url = f"http://127.0.0.1:{self.nginx.port}{path}"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.read().decode()

    def status(self):
        return json.loads(self.get("/status?format=json"))

    def closes(self):
        return {(c["code"], c["reason"]): c["count"]
                for c in self.status()["closes"]}

    def error_log(self):
        return self.nginx.error_log.read_text()

    def stop(self):
        for client in self.clients:
            client.abort()
        if self.nginx.alive:
            self.nginx.stop()
        self.echo.stop()
        assert not list(complaints(self.folder))
        shutil.rmtree(self.folder)


STATUS = "location = /status { chat_status; }"


def echo(client, text="hello"):
    client.send_text(text)
    assert client.receive() == text


# Identity

def test_empty_user_is_forbidden(make_site):
    site = make_site("chat_user $arg_user;")
    echo(site.connect(PATH + "?user=ada"))
    with pytest.raises(HandshakeFailed) as failed:
        site.connect()
    assert failed.value.status == 403


def test_empty_user_may_name_itself(make_site):
    echo(make_site("chat_user $arg_user; chat_trust_init on;").connect())


def test_long_user_is_forbidden(make_site):
    site = make_site("chat_user $arg_user;")
    echo(site.connect(PATH + "?user=" + "x" * 1024))
    with pytest.raises(HandshakeFailed) as failed:
        site.connect(PATH + "?user=" + "x" * 1025)
    assert failed.value.status == 403


def test_auth_request(make_site):
    site = make_site(
        "auth_request /auth; auth_request_set $who $upstream_http_x_user;"
        " chat_user $who;",
        server="""
            location = /auth {
                internal;
                proxy_pass http://127.0.0.1:$server_port/who;
            }
            location = /who { add_header X-User carol; return 204; }""")
    echo(site.connect())
    site.clients[0].close()
    wait_until(lambda: 'user: "carol"' in site.error_log(), what="carol")


# Liveness

def test_silent_client_is_pinged_then_closed(make_site):
    site = make_site("chat_ping_interval 1s; chat_heartbeat_timeout 2s;")
    client = site.connect()
    begin = time.monotonic()
    opcode, payload, _, _ = client.receive_frame(3)
    assert (opcode, payload) == (PING, b"")
    assert 0.9 < time.monotonic() - begin < 1.6
    with pytest.raises(Closed) as closed:
        client.receive(3)
    assert (closed.value.code, closed.value.reason) == (1001,
                                                        "heartbeat timeout")
    assert 1.9 < time.monotonic() - begin < 2.8


def test_pong_is_a_sign_of_life(make_site):
    site = make_site("chat_ping_interval 1s; chat_heartbeat_timeout 2s;")
    client = site.connect()
    for _ in range(3):
        assert client.receive_frame(3)[0] == PING
        client.send_frame(PONG)
    echo(client)


def test_no_pings_when_off(make_site):
    site = make_site("chat_ping_interval 0; chat_heartbeat_timeout 2s;")
    client = site.connect()
    client.nothing(1.5)
    assert client.wait_closed().code == 1001


# Limits

def test_frame_rate(make_site):
    site = make_site("chat_max_frame_rate 20/s;", server=STATUS)
    client = site.connect()
    client.send_bytes(encode(PING) * 100)
    with pytest.raises(Closed) as closed:
        while True:
            client.receive(5)
    assert closed.value.code == 1008
    assert site.closes()[("1008", "frame rate")] == 1
    assert "[warn]" in site.error_log()


def test_fragments(make_site):
    site = make_site("chat_max_fragments 3; chat_limit_log_level error;",
                     server=STATUS)
    client = site.connect()
    client.send_bytes(encode(TEXT, b"a", fin=False) +
                      encode(0, b"b", fin=False) + encode(0, b"c"))
    assert client.receive() == "abc"
    client.send_bytes(encode(TEXT, b"a", fin=False) +
                      encode(0, b"b", fin=False) * 5)
    assert client.wait_closed().code == 1008
    assert site.closes()[("1008", "fragments")] == 1
    assert "[error]" in site.error_log()


def test_user_connections(make_site):
    site = make_site("chat_user $arg_user; chat_max_user_connections 2;",
                     server=STATUS)
    first = site.connect(PATH + "?user=ada")
    site.connect(PATH + "?user=ada")
    site.connect(PATH + "?user=bob")
    with pytest.raises(HandshakeFailed) as failed:
        site.connect(PATH + "?user=ada")
    assert failed.value.status == 429
    assert site.status()["handshakes_user_limit_total"] == 1
    first.close()
    echo(site.connect(PATH + "?user=ada"))


def test_limit_conn(make_site):
    site = make_site(
        "chat_user $arg_user; limit_conn user 2; limit_conn_status 429;",
        http="limit_conn_zone $chat_user zone=user:1m;")
    first = site.connect(PATH + "?user=ada")
    site.connect(PATH + "?user=ada")
    with pytest.raises(HandshakeFailed) as failed:
        site.connect(PATH + "?user=ada")
    assert failed.value.status == 429
    first.close()
    echo(site.connect(PATH + "?user=ada"))


def test_slow_consumer(make_site):
    site = make_site("chat_send_buffer 64k; chat_max_message 1m;",
                     server=STATUS)
    client = site.connect()
    client.socket.settimeout(20)
    for _ in range(40):
        client.send_text("x" * 500000)
        if site.closes():
            break
    assert ("1013", "slow consumer") in site.closes()


def test_message_of_any_length_while_nothing_waits(make_site):
    site = make_site("chat_send_buffer 1k; chat_max_message 1m;")
    echo(site.connect(), "x" * 1000000)


# Reload and exit

def test_drain(make_site):
    """Not all at once, so that they do not all come back at once."""
    site = make_site("chat_drain_timeout 2s;")
    clients = [site.connect() for _ in range(30)]
    old = site.nginx.worker_pids()
    begin = time.monotonic()
    site.nginx.reload()
    echo(site.connect())
    times = []
    while clients:
        told, _, _ = select.select([c.socket for c in clients], [], [], 5)
        assert told, f"{len(clients)} sessions are left"
        for client in [c for c in clients if c.socket in told]:
            times.append(time.monotonic() - begin)
            assert client.wait_closed(5).code == 1012
            client.socket.close()
            clients.remove(client)
    assert min(times) < 1.2 < max(times) < 3.5, times
    wait_until(lambda: not set(old) & set(site.nginx.worker_pids()),
               what="the old worker's end")


def test_drain_of_clients_that_do_not_answer(make_site):
    site = make_site("chat_drain_timeout 0;")
    for _ in range(5):
        site.connect()
    old = site.nginx.worker_pids()
    site.nginx.reload()
    wait_until(lambda: not set(old) & set(site.nginx.worker_pids()),
               timeout=12, what="the old worker's end")


def test_worker_shutdown_timeout(make_site):
    site = make_site("chat_drain_timeout 1h;",
                     main="worker_shutdown_timeout 1s;")
    client = site.connect()
    old = site.nginx.worker_pids()
    site.nginx.reload()
    assert client.wait_closed(5).code == 1006
    wait_until(lambda: not set(old) & set(site.nginx.worker_pids()),
               what="the old worker's end")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_end_with_open_sessions(make_site, number):
    site = make_site("chat_drain_timeout 1s;")
    clients = [site.connect() for _ in range(5)]
    for client in clients:
        echo(client)
    site.nginx.stop(number)


def test_single_process(make_site):
    site = make_site(main="master_process off;", server=STATUS)
    echo(site.connect())
    assert site.status()["connections"] == 1


# Logs and status

def test_access_log_at_open(make_site):
    site = make_site("chat_user $arg_user; access_log chat.log chat;",
                     http=LOG)
    log = site.nginx.folder / "chat.log"
    client = site.connect(PATH + "?user=ada")
    wait_until(log.read_text, what="the log line")
    echo(client)
    client.close()
    assert log.read_text().startswith("101|ada|open|-|-|0|0|0|0|0.0")
    assert len(log.read_text().splitlines()) == 1


def test_access_log_at_close(make_site):
    site = make_site("chat_user $arg_user; chat_log close;"
                     " access_log chat.log chat;", http=LOG)
    log = site.nginx.folder / "chat.log"
    client = site.connect(PATH + "?user=ada")
    echo(client, "12345")
    client.send_text("ping")
    assert client.receive() == "pong"
    assert log.read_text() == ""
    client.close(4001, "bye")
    wait_until(lambda: log.read_text(), what="the log line")
    line = log.read_text().strip().split("|")
    assert line[:7] == ["101", "ada", "close frame", "4001", "client", "2",
                        "2"]
    # 6 of header and mask each: 5 + 4 bytes of text, 2 + 3 of the close frame
    assert line[7] == str(6 * 3 + 5 + 4 + 5)
    assert line[8] == str(2 * 3 + 5 + 4 + 5)
    assert re.fullmatch(r"\d+\.\d{3}", line[9])


def test_error_log_names_user_and_session(make_site):
    site = make_site("chat_user $arg_user;")
    client = site.connect(PATH + "?user=ada")
    client.send_bytes(b"\xff\xff")
    assert client.wait_closed().code == 1002
    line, = (line for line in site.error_log().splitlines()
             if "closed with 1002" in line)
    assert "[info]" in line
    assert 'client: 127.0.0.1' in line
    assert 'user: "ada"' in line
    assert re.search(r"chat session: \d+\.\d+", line)


def test_nobody_writes_log_lines_of_their_own(make_site):
    site = make_site()
    client = site.connect()
    client.close(4000, "a\n2026/01/01 00:00:00 [alert] 1#1: b\x7f")
    wait_until(lambda: "closed with 4000" in site.error_log(), what="the line")
    assert "a.2026/01/01 00:00:00 [alert] 1#1: b.," in site.error_log()
    # What looks like an alert here is none.
    site.nginx.error_log.write_text("")


def test_status_over_workers_and_reloads(make_site):
    site = make_site(server=STATUS, workers=2)
    clients = [site.connect() for _ in range(10)]
    for client in clients:
        echo(client)
    wait_until(lambda: site.status()["connections"] == 10, what="10 sessions")
    for client in clients:
        client.close()
    wait_until(lambda: site.status()["connections"] == 0, what="their end")
    site.nginx.reload()
    wait_until(lambda: len(site.nginx.worker_pids()) == 2, what="reload")
    status = site.status()
    assert status["handshakes_total"] == 10
    assert status["messages_received_total"] == 10
    assert site.closes() == {("1000", "close frame"): 10}


def test_status_text_is_well_formed(make_site):
    site = make_site(server=STATUS)
    site.connect().close()
    for line in site.get("/status").splitlines():
        assert re.fullmatch(
            r'# (HELP|TYPE) chat_\w+ .*|chat_\w+(\{(\w+="[^"]*",?)+\})? \d+',
            line), line


def test_configuration_warning(make_site):
    site = make_site()
    site.nginx.write_config(
        chat=site.nginx.parts["chat"] + "chat_ping_interval 30s;")
    done = subprocess.run([*site.nginx.command, "-t"], text=True,
                          capture_output=True, check=True)
    assert ('"chat_ping_interval" should be less than '
            '"chat_heartbeat_timeout"') in done.stderr


# In company

def test_tls(make_site, certificate):
    port = free_port()
    site = make_site(server=f"""
        listen 127.0.0.1:{port} ssl {HTTP2_LISTEN};
        {HTTP2}
        ssl_certificate {certificate}/cert.pem;
        ssl_certificate_key {certificate}/key.pem;""")
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    client = site.connect(port=port, tls=tls)
    echo(client, "x" * 60000)
    begin = time.monotonic()
    client.send_bytes(b"\xff\xff")
    assert client.wait_closed().code == 1002
    assert time.monotonic() - begin < 1
    site.connect(port=port, tls=tls).close()
    site.connect(port=port, tls=tls).abort()


def test_frames_behind_the_handshake(make_site):
    """A client may not send before the 101 has come; what it does send is
    not lost."""
    site = make_site()
    with socket.create_connection(("127.0.0.1", site.nginx.port)) as raw:
        raw.sendall(b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n"
                    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" +
                    encode(TEXT, b"ping") + encode(TEXT, b"hello"))
        raw.settimeout(5)
        data = b""
        while not data.endswith(b"\x81\x05hello"):
            data += raw.recv(4096)
        assert b"\x81\x04pong" in data


def test_handshake_that_leaves_bit_by_bit(make_site):
    site = make_site("limit_rate 100;", server=STATUS)
    client = site.connect()
    echo(client)
    with socket.create_connection(("127.0.0.1", site.nginx.port)) as raw:
        raw.sendall(b"GET " + PATH.encode() + b" HTTP/1.1\r\nHost: x\r\n"
                    b"Upgrade: websocket\r\nConnection: Upgrade\r\n"
                    b"Sec-WebSocket-Version: 13\r\n"
                    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        raw.recv(1)
    client.close()
    wait_until(lambda: site.status()["connections"] == 0, what="their end")
    assert site.status()["connections_unattached"] == 0


def test_not_a_main_request(make_site):
    """The handshake belongs to the client's request, not to one that nginx
    makes for itself."""
    site = make_site(server="""
        location /outer { auth_request /chat/chat_websocket/; empty_gif; }""")
    with pytest.raises(urllib.error.HTTPError):
        site.get("/outer")


def test_descriptors_are_given_back(make_site):
    site = make_site()
    echo(site.connect())
    pid, = site.nginx.worker_pids()

    def descriptors():
        return len(os.listdir(f"/proc/{pid}/fd"))

    before = descriptors()
    for _ in range(3):
        for _ in range(50):
            site.connect()
        for client in site.clients[1:]:
            client.abort()
        del site.clients[1:]
    wait_until(lambda: descriptors() == before, what="closed descriptors")
