"""TLS, where a write that is tried again must be the same write."""

import re
import socket
import ssl
import subprocess
import time

import pytest

from harness.process import SANITIZED, free_port, wait_until
from harness.websocket import PING, PONG, encode
from test_limits import Site


@pytest.fixture
def site(tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
                    "-keyout", tmp_path / "key.pem", "-out",
                    tmp_path / "cert.pem", "-days", "2", "-subj",
                    "/CN=localhost"], check=True, capture_output=True)
    port = free_port()
    site = Site("chat_send_buffer 2m; chat_heartbeat_timeout 2s;",
                server=f"""
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {tmp_path}/cert.pem;
        ssl_certificate_key {tmp_path}/key.pem;
        location = /status {{ chat_status; }}""")
    site.tls_port = port
    yield site
    site.stop()


def connect(site):
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    client = site.connect(port=site.tls_port, tls=tls)
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    return client


def test_queue_grows_while_a_record_is_half_sent(site):
    client = connect(site)
    pings = 0
    while pings < 12000:
        client.send_bytes(encode(PING, b"x" * 125) * 40)
        pings += 40
        if pings % 1200 == 0:
            time.sleep(0.02)
    time.sleep(0.3)
    # Through connect()'s small window all this takes half a minute.
    client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    client.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_WINDOW_CLAMP,
                             1 << 20)
    for _ in range(pings):
        assert client.receive_frame()[:2] == (PONG, b"x" * 125)
    client.close()


def test_end_while_a_record_is_half_sent(site):
    client = connect(site)
    for _ in range(200):
        client.send_bytes(encode(PING, b"x" * 125) * 40)
    wait_until(lambda: "heartbeat timeout" in site.log(), what="the eviction")
    wait_until(lambda: site.metric("connections") == 0, timeout=12,
               what="the session's end")


@pytest.mark.skipif(SANITIZED, reason="the sanitizer keeps what is freed")
def test_idle_connection_is_small(site):
    """What nginx had for the handshake is given back."""
    clients = [connect(site) for _ in range(20)]
    before = site.memory()
    clients += [connect(site) for _ in range(100)]
    each = (site.memory() - before) / 100
    assert each < 64 * 1024, each  # most of it is OpenSSL's
    assert not re.search("lost", site.log())
