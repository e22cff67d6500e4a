"""Several chat-workers behind one chat_pass: sessions are spread over them,
move when one dies, and come back."""

import shutil
import tempfile
from pathlib import Path

import pytest

import relay_peer as relay
from harness.process import complaints, wait_until
from harness.servers import Nginx
from harness.websocket import WebSocket

PATH = "/chat/chat_websocket/?user="
CLIENTS = 6


class Pair:
    """Two scripted chat-workers behind one upstream."""

    def __init__(self, servers="server unix:{0}; server unix:{1};"):
        self.folder = Path(tempfile.mkdtemp(prefix="chat-upstream-"))
        self.folder.chmod(0o755)
        self.peers = [relay.RelayPeer(self.folder / f"worker{i}.sock")
                      for i in range(2)]
        for peer in self.peers:
            Path(peer.path).chmod(0o777)
        servers = servers.format(*(peer.path for peer in self.peers))
        self.nginx = Nginx(self.folder, "chat_pass workers;"
                           " chat_user $arg_user;",
                           http="upstream workers { %s }" % servers)
        self.nginx.start()
        self.clients = []
        self.links = []

    def connect(self, count=CLIENTS):
        for i in range(count):
            self.clients.append(WebSocket(("127.0.0.1", self.nginx.port),
                                          f"{PATH}u{i}"))
            if not self.links:
                self.links = [peer.accept() for peer in self.peers]

    def stop(self):
        for client in self.clients:
            client.abort()
        self.nginx.stop()
        for peer in self.peers:
            peer.stop()
        assert not list(complaints(self.folder))
        shutil.rmtree(self.folder)


@pytest.fixture
def make_pair():
    pairs = []

    def make(*args):
        pairs.append(Pair(*args))
        return pairs[-1]

    yield make
    for pair in pairs:
        pair.stop()


def attached(link, count):
    return [link.expect(relay.ATTACH) for _ in range(count)]


def test_sessions_are_spread(make_pair):
    pair = make_pair()
    pair.connect()
    users = [a.user for link in pair.links
             for a in attached(link, CLIENTS // 2)]
    assert sorted(users) == [f"u{i}" for i in range(CLIENTS)]


def test_weights(make_pair):
    pair = make_pair("server unix:{0} weight=2; server unix:{1};")
    pair.connect()
    assert len(attached(pair.links[0], 4)) == 4
    assert len(attached(pair.links[1], 2)) == 2


def test_server_that_is_down_is_left_alone(make_pair):
    pair = make_pair("server unix:{0}; server unix:{1} down;")
    pair.clients.append(WebSocket(("127.0.0.1", pair.nginx.port),
                                  PATH + "x"))
    pair.peers[0].accept().expect(relay.ATTACH)
    with pytest.raises(TimeoutError):
        pair.peers[1].accept(timeout=0.3)


def test_backup_is_used_only_in_need(make_pair):
    pair = make_pair("server unix:{0}; server unix:{1} backup;")
    pair.connect(2)
    attached(pair.links[0], 2)
    pair.links[1].nothing()
    pair.peers[0].stop()
    assert all(a.flags & relay.RESUMED for a in attached(pair.links[1], 2))


def test_dead_workers_sessions_move_with_their_messages(make_pair):
    pair = make_pair()
    pair.connect()
    dead, alive = pair.links
    moved = {a.user: a.id for a in attached(dead, 3)}
    stay = attached(alive, 3)
    for user in moved:
        pair.clients[int(user[1:])].send_text(f"from {user}")
    for _ in moved:
        dead.expect(relay.MESSAGE)

    pair.peers[0].stop()

    again = attached(alive, 3)
    assert {a.user: a.id for a in again} == moved
    assert all(a.flags & relay.RESUMED for a in again)
    texts = [alive.expect(relay.MESSAGE).payload.decode() for _ in moved]
    assert sorted(texts) == sorted(f"from {user}" for user in moved)

    for attach in again + stay:
        alive.send(attach.id, "hello")
    for client in pair.clients:
        assert client.receive() == "hello"


def test_worker_that_is_back_gets_its_share(make_pair):
    pair = make_pair()
    pair.connect()
    attached(pair.links[0], 3)
    attached(pair.links[1], 3)
    pair.peers[0].stop()
    attached(pair.links[1], 3)

    pair.peers[0].listen()
    Path(pair.peers[0].path).chmod(0o777)
    back = pair.peers[0].accept()

    users = {a.id: a for a in attached(back, 3)}
    assert all(a.flags & relay.RESUMED for a in users.values())
    gone = {pair.links[1].expect(relay.DETACH).id for _ in range(3)}
    assert gone == set(users)
    back.nothing()

    for session, attach in users.items():
        back.send(session, "welcome")
        assert pair.clients[int(attach.user[1:])].receive() == "welcome"


def test_session_with_unconfirmed_message_stays(make_pair):
    pair = make_pair()
    pair.connect(2)
    attached(pair.links[0], 1)
    attached(pair.links[1], 1)
    pair.peers[0].stop()
    attached(pair.links[1], 1)
    for client in pair.clients:
        client.send_text("wait")
    for _ in pair.clients:
        pair.links[1].expect(relay.MESSAGE)

    pair.peers[0].listen()
    Path(pair.peers[0].path).chmod(0o777)
    back = pair.peers[0].accept()
    back.nothing()

    pair.links[1].receipt()
    attached(back, 1)


def test_reconnects_are_counted_once_in_the_log(make_pair):
    pair = make_pair()
    pair.connect(1)
    pair.peers[0].stop()
    pair.peers[1].stop()
    wait_until(lambda: pair.nginx.error_log.read_text().count("is away") == 2,
               what="both workers reported away")
    for peer in pair.peers:
        peer.listen()
        Path(peer.path).chmod(0o777)
    for peer in pair.peers:
        peer.accept()
    wait_until(lambda: pair.nginx.error_log.read_text().count("is back") == 2,
               what="both workers reported back")
    assert pair.nginx.error_log.read_text().count("is away") == 2
