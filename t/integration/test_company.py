"""The module beside nginx's other modules, in several servers at once, and
where nothing uses it."""

import re
import ssl
import time
import zlib
from pathlib import Path

import pytest

import relay_peer as relay
from harness.process import free_port, wait_until
from harness.servers import Nginx
from harness.websocket import TEXT, HandshakeFailed, WebSocket
from relay_bench import PATH, ping_pong


# Who the client is

class Proxied(WebSocket):
    """Comes through a balancer that says for whom."""

    def _shake_hands(self, *arguments):
        self.send_bytes(b"PROXY TCP4 203.0.113.7 127.0.0.1 4711 80\r\n")
        super()._shake_hands(*arguments)


@pytest.mark.parametrize("trusted, address", [
    ("set_real_ip_from 127.0.0.1; real_ip_header proxy_protocol;",
     "203.0.113.7"),
    ("", "127.0.0.1")], ids=["trusted", "not trusted"])
def test_proxy_protocol(make_bench, trusted, address):
    port = free_port()
    bench = make_bench("access_log proxied.log;", server=f"""
        listen 127.0.0.1:{port} proxy_protocol; {trusted}""")
    client = Proxied(("127.0.0.1", port), PATH + "?user=ada")
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    assert (attach.user, attach.address) == ("ada", address)
    link.send(attach.id, "hello")
    assert client.receive() == "hello"
    ping_pong(client)
    client.close()
    assert link.expect(relay.DETACH).id == attach.id
    log = bench.nginx.folder / "proxied.log"
    wait_until(lambda: log.read_text().startswith(f"{address} - "),
               what="the access log")


def tls_server(certificate, port, more=""):
    return f"""
        listen 127.0.0.1:{port} ssl;
        ssl_certificate {certificate}/cert.pem;
        ssl_certificate_key {certificate}/key.pem; {more}"""


def test_mutual_tls_names_the_user(make_bench, certificate):
    port = free_port()
    bench = make_bench("", server=tls_server(
        certificate, port, f"""
        ssl_client_certificate {certificate}/cert.pem;
        ssl_verify_client on;
        location /mutual {{ chat_user $ssl_client_s_dn;
                            chat_pass unix:@PEER@; }}"""))
    tls = ssl.create_default_context()
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    with pytest.raises(HandshakeFailed) as failed:
        WebSocket(("127.0.0.1", port), "/mutual", tls=tls)
    assert failed.value.status == 400
    tls.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    client = WebSocket(("127.0.0.1", port), "/mutual", tls=tls)
    attach = bench.peer.accept().expect(relay.ATTACH)
    assert attach.user == "CN=localhost"
    client.close()


# Who may come

def test_limit_req(make_bench):
    bench = make_bench(
        "limit_req zone=handshakes burst=1 nodelay; limit_req_status 429;",
        http="limit_req_zone $arg_user zone=handshakes:1m rate=1r/m;")
    clients = [bench.connect(), bench.connect()]
    with pytest.raises(HandshakeFailed) as failed:
        bench.connect()
    assert failed.value.status == 429
    bench.connect("?user=other")
    for client in clients:
        ping_pong(client)


def test_limit_conn_per_address(make_bench):
    """Counted until the session ends, although chat_log is open."""
    bench = make_bench("limit_conn address 3; limit_conn_status 429;",
                       http="limit_conn_zone $binary_remote_addr "
                            "zone=address:1m;")
    clients = [bench.connect(f"?user={n}") for n in range(3)]
    with pytest.raises(HandshakeFailed) as failed:
        bench.connect("?user=3")
    assert failed.value.status == 429
    clients[0].close()
    clients[1].abort()

    def comes_in():
        try:
            return bench.connect("?user=4")
        except HandshakeFailed:
            return None

    ping_pong(wait_until(comes_in, what="room for one more"))


# Several servers and locations

def test_settings_of_their_own(make_bench):
    port = free_port()
    bench = make_bench("chat_max_message 100; chat_heartbeat_timeout 7s;",
                       server="""
        location /chat/large {
            chat_pass unix:@PEER@;
            chat_user large;
        }
        location /chat/other {
            chat_pass unix:@PEER@;
            chat_user other;
            chat_relay_timeout 30s;
        }""", http=f"""
        chat_heartbeat_timeout 9s;
        server {{
            listen 127.0.0.1:{port};
            chat_pass unix:@PEER@;
            chat_user second;
            chat_max_message 50;
            location /files {{ chat_pass off; }}
            location /below {{ chat_subprotocol chat.v1; }}
        }}""")

    def at(path, port=bench.nginx.port):
        return WebSocket(("127.0.0.1", port), path)

    client, link, attach = bench.attached()
    assert attach.heartbeat_timeout == 7000
    large = at("/chat/large")
    attach = link.expect(relay.ATTACH)
    assert (attach.user, attach.heartbeat_timeout) == ("large", 9000)
    second = at("/below", port)
    attach = link.expect(relay.ATTACH)
    assert (attach.user, attach.heartbeat_timeout) == ("second", 9000)

    # Another chat_relay_*, another connection.
    other = at("/chat/other")
    assert bench.peer.accept().expect(relay.ATTACH).user == "other"
    with pytest.raises(HandshakeFailed) as failed:
        at("/files", port)
    assert failed.value.status == 404

    for session, limit in (client, 100), (second, 50):
        session.send_text("x" * limit)
        assert len(link.expect(relay.MESSAGE).payload) == limit
        session.send_text("x" * (limit + 1))
        assert session.wait_closed().code == 1009
        link.receipt()
        assert link.expect(relay.DETACH).code == 1009
    large.send_text("x" * 60000)
    assert len(link.expect(relay.MESSAGE).payload) == 60000
    ping_pong(other)


# Compression

class Deflating(WebSocket):
    """Offers permessage-deflate; receives one message at a time."""

    def __init__(self, port, path):
        super().__init__(("127.0.0.1", port), path, {
            "Sec-WebSocket-Extensions": "permessage-deflate"})
        self.agreed = self.response_headers["sec-websocket-extensions"]
        self.inflater = zlib.decompressobj(-15)

    def inflated(self):
        opcode, payload, fin, rsv = self.receive_frame()
        assert (opcode, fin, rsv) == (TEXT, True, 4)
        if "server_no_context_takeover" in self.agreed:
            self.inflater = zlib.decompressobj(-15)
        return self.inflater.decompress(payload + b"\0\0\xff\xff").decode()


def test_one_message_to_sessions_that_compress_differently(make_bench):
    bench = make_bench("chat_compression on;", server="""
        location /keeps {
            chat_pass unix:@PEER@;
            chat_user keeps;
            chat_compression on;
            chat_compression_context_takeover on;
        }""")
    plain, link, attach = bench.attached()
    ids = [attach.id]
    path = PATH + "?user=ada"
    clients = [Deflating(bench.nginx.port, where)
               for where in (path, path, "/keeps")]
    ids += [link.expect(relay.ATTACH).id for _ in clients]
    body = '{"key":"","to":"","text":"' + "what was said " * 50 + '"}'
    for number in range(3):
        link.fanout(body, [(number + 1, [session], [f"k{number}", f"u{user}"])
                           for user, session in enumerate(ids)],
                    offsets=[8, 16])
        for user, client in enumerate([plain, *clients]):
            wanted = (body[:8] + f"k{number}" + body[8:16] + f"u{user}"
                      + body[16:])
            assert wanted == (client.receive() if client is plain
                              else client.inflated())
    status = bench.status()
    assert (status["deflate_after_bytes_total"] * 5
            < status["deflate_before_bytes_total"])


# What it costs

def test_nothing_where_it_is_not_used(tmp_path):
    """Loaded only: no shared memory, no connection, no timer."""
    tmp_path.chmod(0o755)
    nginx = Nginx(tmp_path, "return 204;").start()
    pid, = nginx.worker_pids()
    proc = Path(f"/proc/{pid}")

    def switches():
        return re.search(r"\nvoluntary_ctxt_switches:\s+(\d+)",
                         (proc / "status").read_text())[1]

    time.sleep(0.5)  # what start() has connected is gone
    shared = (proc / "maps").read_text().count("/dev/zero")
    sockets = sum("socket:" in str(fd.readlink())
                  for fd in (proc / "fd").iterdir())
    before = switches()
    time.sleep(1.5)
    after = switches()
    nginx.stop()
    assert shared == 1  # nginx's own counters of stub_status
    assert sockets <= 2  # the listener, and the channel from the master
    assert before == after
