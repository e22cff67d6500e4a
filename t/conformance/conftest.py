"""One nginx and one echo worker for the whole suite."""

import shutil
import ssl
import subprocess
import tempfile
from pathlib import Path

import pytest

from harness.process import Process, accepts, complaints, free_port
from harness.servers import BUILD, HTTP2, HTTP2_LISTEN, Nginx
from wire import Wire

ECHO_WORKER = BUILD / "t/tools/echo_worker"

# Locations beside /chat/chat_websocket/, which has the defaults of the suite.
LOCATIONS = {
    "/small": "chat_max_message 1000;",
    "/fragments": "chat_max_fragments 10;",
    "/subprotocol": "chat_subprotocol chat.v2 chat.v1;",
    "/deflate": "chat_compression on; chat_compression_min_length 0;",
    "/deflate-small": "chat_compression on; chat_max_message 1000;",
    "/deflate-no-context": """chat_compression on;
        chat_compression_min_length 0;
        chat_compression_context_takeover off off;""",
    "/deflate-context": """chat_compression on;
        chat_compression_min_length 0;
        chat_compression_context_takeover on on;""",
    "/deflate-window": """chat_compression on;
        chat_compression_min_length 0;
        chat_compression_window_bits 10 11;""",
}

COMMON = """
            chat_max_message 16m;
            chat_send_buffer 64m;
            chat_relay_buffer 64m;
"""


class EchoServer:
    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="chat-conformance-"))
        self.folder.chmod(0o755)
        echo_socket = self.folder / "echo.sock"
        self.echo = Process("echo", [ECHO_WORKER, f"unix:{echo_socket}"],
                            self.folder / "echo.log",
                            lambda: accepts(echo_socket)).start()
        echo_socket.chmod(0o777)
        locations = "\n".join(
            f"location {path} {{ chat_pass unix:{echo_socket}; {more} }}"
            for path, more in LOCATIONS.items())
        self.tls_port = free_port()
        self.http2_port = free_port()
        certificate = self.make_certificate()
        self.nginx = Nginx(
            self.folder, f"chat_pass unix:{echo_socket};",
            server=f"""{COMMON}
        listen 127.0.0.1:{self.tls_port} ssl;
        ssl_certificate {certificate};
        ssl_certificate_key {certificate}.key;
        {locations}""",
            http=f"""server {{
        listen 127.0.0.1:{self.http2_port} {HTTP2_LISTEN};
        {HTTP2}
        location / {{ chat_pass unix:{echo_socket}; }}
    }}""").start()

    def make_certificate(self):
        path = self.folder / "certificate"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes",
             "-subj", "/CN=localhost", "-days", "2", "-keyout", f"{path}.key",
             "-out", path], check=True, capture_output=True)
        return path

    def stop(self):
        self.nginx.stop()
        self.echo.stop()
        assert not list(complaints(self.folder))
        shutil.rmtree(self.folder)


@pytest.fixture(scope="session")
def echo_server():
    server = EchoServer()
    yield server
    server.stop()


@pytest.fixture
def connect(echo_server):
    """Opens a WebSocket; keywords as for Wire."""
    opened = []

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE

    def open_one(path="/chat/chat_websocket/", tls=False, **options):
        port = echo_server.tls_port if tls else echo_server.nginx.port
        opened.append(Wire(("127.0.0.1", port), path,
                           tls=context if tls else None, **options))
        return opened[-1]

    yield open_one
    for client in opened:
        client.abort()


@pytest.fixture
def ws(connect):
    return connect()
