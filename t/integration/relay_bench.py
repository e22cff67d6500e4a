"""nginx between clients and a chat-worker that the test plays."""

import json
import shutil
import tempfile
import urllib.request
from pathlib import Path

import relay_peer as relay
from harness.process import complaints
from harness.servers import Nginx
from harness.websocket import WebSocket

PATH = "/chat/chat_websocket/"


class Bench:
    """A RelayPeer, nginx in front of it, and clients. @PEER@ stands for the
    peer's socket."""

    def __init__(self, chat="", listening=True, server="", http="", **parts):
        self.folder = Path(tempfile.mkdtemp(prefix="chat-relay-"))
        self.folder.chmod(0o755)
        self.clients = []
        self.peer = relay.RelayPeer(self.folder / "worker.sock")
        Path(self.peer.path).chmod(0o777)
        if not listening:
            self.peer.stop()

        def fill(text):
            return text.replace("@PEER@", self.peer.path)

        self.nginx = Nginx(
            self.folder,
            fill("chat_pass unix:@PEER@; chat_user $arg_user;" + chat),
            server=fill("location = /status { chat_status json; }" + server),
            http=fill(http), **parts)
        self.nginx.start()

    def connect(self, query="?user=someone", port=None, **options):
        client = WebSocket(("127.0.0.1", port or self.nginx.port),
                           PATH + query, **options)
        self.clients.append(client)
        return client

    def attached(self, query="?user=someone"):
        """A client, its link and its ATTACH: the first of this bench."""
        client = self.connect(query)
        link = self.peer.accept()
        return client, link, link.expect(relay.ATTACH)

    def status(self):
        url = f"http://127.0.0.1:{self.nginx.port}/status"
        with urllib.request.urlopen(url, timeout=5) as answer:
            return json.load(answer)

    def listen_again(self):
        self.peer.listen()
        Path(self.peer.path).chmod(0o777)

    def stop(self):
        for client in self.clients:
            client.abort()
        self.peer.stop()
        self.nginx.stop()
        assert not list(complaints(self.folder))
        shutil.rmtree(self.folder)


def ping_pong(client):
    """The client's own connection works, whatever the relay does."""
    client.send_text("ping")
    assert client.receive() == "pong"
