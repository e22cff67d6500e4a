"""nginx's side of the relay protocol, against a worker that the test plays:
what it sends, what it does with what it gets, and what it survives."""

import socket
import struct
import time

import pytest

import relay_peer as relay
from harness.process import wait_until
from harness.websocket import BINARY, CONTINUATION, PING, PONG, TEXT, encode
from relay_bench import ping_pong

# What nginx sends

def test_hello(bench):
    bench.connect()
    link = bench.peer.accept()
    bound, = struct.unpack_from("<I", link.peer_hello.payload, 4)
    assert bound >= 1 << 20
    assert link.peer_hello.payload[8:].decode().strip()


def test_attach_says_who_and_from_where(make_bench):
    bench = make_bench("chat_heartbeat_timeout 7s;")
    _, _, attach = bench.attached("?user=ada")
    assert attach.user == "ada"
    assert attach.address == "127.0.0.1"
    assert attach.heartbeat_timeout == 7000
    assert attach.mark == 0
    assert attach.flags == 0


def test_attach_of_a_session_that_may_name_itself(make_bench):
    bench = make_bench("chat_trust_init on;")
    _, _, attach = bench.attached("")
    assert attach.user == ""
    assert attach.flags == relay.TRUST_INIT


def test_every_session_has_an_id_of_its_own(bench):
    client, link, first = bench.attached()
    bench.connect()
    second = link.expect(relay.ATTACH)
    client.close()
    detach = link.expect(relay.DETACH)
    bench.connect()
    third = link.expect(relay.ATTACH)
    assert detach.id == first.id
    assert len({first.id, second.id, third.id}) == 3


def test_messages(bench):
    client, link, attach = bench.attached()
    client.send_text("text ☺")
    client.send_binary(b"\x00\xff")
    client.send_text("")
    client.send_frame(TEXT, b"in ", fin=False)
    client.send_frame(PING, b"between")
    client.send_frame(CONTINUATION, b"pieces")

    def message():
        frame = link.expect(relay.MESSAGE)
        assert frame.id == attach.id
        return frame.flags, frame.payload

    assert message() == (0, "text ☺".encode())
    assert message() == (relay.BINARY, b"\x00\xff")
    assert message() == (0, b"")
    assert message() == (0, b"in pieces")


def test_text_ping_stays_in_nginx(bench):
    client, link, _ = bench.attached()
    ping_pong(client)
    client.send_text("message")
    assert link.expect(relay.MESSAGE).payload == b"message"


@pytest.mark.parametrize("end, code", [
    (lambda client: client.close(1000), 1000),
    (lambda client: client.close(3999, "reason"), 3999),
    (lambda client: client.send_frame(0x8, b""), 1005),
    (lambda client: client.abort(), 1006),
    (lambda client: client.send_frame(0x3, b""), 1002),
    (lambda client: client.send_frame(TEXT, b"\xff"), 1007),
], ids=["1000", "3999", "empty", "reset", "protocol error", "not UTF-8"])
def test_detach(bench, end, code):
    client, link, attach = bench.attached()
    end(client)
    frame = link.expect(relay.DETACH)
    assert (frame.id, frame.code, frame.payload) == (attach.id, code, b"")


def test_two_nginx_workers_have_a_link_each(make_bench):
    bench = make_bench(workers=2)
    for _ in range(40):
        bench.connect()
    links = [bench.peer.accept(), bench.peer.accept()]
    assert links[0].peer_hello.id != links[1].peer_hello.id


# What the worker sends

def test_send(bench):
    client, link, attach = bench.attached()
    link.send(attach.id, "text ☺")
    link.send(attach.id, b"\x00\xff", relay.BINARY)
    link.send(attach.id, "")
    link.send(attach.id, "x" * 70000, mark=5)
    assert client.receive() == "text ☺"
    assert client.receive() == b"\x00\xff"
    assert client.receive() == ""
    assert client.receive() == "x" * 70000


def test_a_session_that_is_gone_is_ignored(bench):
    client, link, attach = bench.attached()
    link.send(attach.id + (1 << 32), "not for anybody")
    link.send((1 << 64) - 1, "nor this")
    link.close_session(attach.id ^ 1, 1000)
    link.fanout("nor this", [(1, [attach.id + 1, 0], [])])
    link.identify(12345, "nobody")
    link.send(attach.id, "here")
    assert client.receive() == "here"


def test_fanout_fills_the_holes_for_each(bench):
    client, link, first = bench.attached()
    others = []
    for _ in range(3):
        other = bench.connect()
        others.append((other, link.expect(relay.ATTACH)))
    link.fanout('{"":{"to":,"x":1}}', [
        (1, [first.id, others[0][1].id], ["1-a", '"ada"']),
        (2, [others[1][1].id], ["2-b", "17"])], [2, 10])
    link.fanout(b"\x00binary", [(0, [others[2][1].id], [])],
                flags=relay.BINARY)
    assert client.receive() == '{"1-a":{"to":"ada","x":1}}'
    assert others[0][0].receive() == '{"1-a":{"to":"ada","x":1}}'
    assert others[1][0].receive() == '{"2-b":{"to":17,"x":1}}'
    assert others[2][0].receive() == b"\x00binary"


def test_fanout_to_many(bench):
    client, link, first = bench.attached()
    clients, ids = [client], [first.id]
    for _ in range(200):
        clients.append(bench.connect())
        ids.append(link.expect(relay.ATTACH).id)
    for size in (10, 125, 126, 65535, 65536):
        link.fanout("x" * size, [(0, ids, [])])
    for each in clients:
        for size in (10, 125, 126, 65535, 65536):
            assert each.receive() == "x" * size


@pytest.mark.parametrize("code, reason", [
    (1000, ""), (1003, "text only"), (1008, "语" * 41), (4999, "own")])
def test_close(bench, code, reason):
    client, link, attach = bench.attached()
    link.send(attach.id, "last words")
    link.close_session(attach.id, code, reason)
    assert client.receive() == "last words"
    closed = client.wait_closed()
    assert (closed.code, closed.reason) == (code, reason)


def test_written(bench):
    client, link, attach = bench.attached()
    link.send(attach.id, "x" * 10, relay.REPORT_WRITTEN)
    frame = link.expect(relay.WRITTEN)
    assert frame.id == attach.id
    assert client.receive() == "x" * 10


def test_written_waits_for_a_slow_client(make_bench):
    bench = make_bench("chat_send_buffer 64m;")
    client, link, attach = bench.attached()
    for _ in range(8):
        link.send(attach.id, "x" * 1000000)
    link.send(attach.id, "end", relay.REPORT_WRITTEN)
    link.nothing(0.5)
    while client.receive() != "end":
        pass
    assert link.expect(relay.WRITTEN).id == attach.id


def test_worker_may_ping(bench):
    _, link, _ = bench.attached()
    link.raw(relay.encode(relay.PING, id=77))
    frame = link.expect(relay.PONG)
    assert frame.id == 77


# Receipts and resumption

def test_messages_without_receipt_come_again(bench):
    client, link, attach = bench.attached("?user=ada")
    for number in range(5):
        client.send_text(f"{number}")
    for _ in range(5):
        link.expect(relay.MESSAGE)
    link.receipt(2)
    ping_pong(client)
    link.send(attach.id, "seen", mark=42)
    assert client.receive() == "seen"
    link.cut()

    link = bench.peer.accept()
    again = link.expect(relay.ATTACH)
    assert again.flags == relay.RESUMED
    assert (again.user, again.mark) == ("ada", 42)
    for number in (2, 3, 4):
        frame = link.expect(relay.MESSAGE)
        assert (frame.id, frame.payload) == (again.id, b"%d" % number)
    link.receipt()
    client.send_text("5")
    assert link.expect(relay.MESSAGE).payload == b"5"


def test_nothing_comes_again_after_its_receipt(bench):
    client, link, _ = bench.attached()
    client.send_text("one")
    link.expect(relay.MESSAGE)
    link.receipt()
    ping_pong(client)
    time.sleep(0.1)
    link.cut()
    link = bench.peer.accept()
    link.expect(relay.ATTACH)
    link.nothing()


def test_mark_is_the_highest(bench):
    client, link, attach = bench.attached()
    link.send(attach.id, "a", mark=10)
    link.fanout("b", [(12, [attach.id], [])])
    link.send(attach.id, "c", mark=11)
    link.send(attach.id, "d")
    for letter in "abcd":
        assert client.receive() == letter
    link.cut()
    assert bench.peer.accept().expect(relay.ATTACH).mark == 12


def test_identity_is_kept(make_bench):
    bench = make_bench("chat_trust_init on;")
    client, link, attach = bench.attached("")
    link.identify(attach.id, "17", number=True)
    link.send(attach.id, "done")
    client.receive()
    link.cut()
    again = bench.peer.accept().expect(relay.ATTACH)
    assert again.user == "17"
    assert again.flags == (relay.TRUST_INIT | relay.RESUMED | relay.CLAIMED |
                           relay.NUMBER)


def test_sessions_and_messages_from_when_the_worker_was_away(make_bench):
    bench = make_bench(listening=False)
    client = bench.connect("?user=ada")
    client.send_text("are you there?")
    gone = bench.connect("?user=bao")
    gone.close()
    time.sleep(0.3)
    bench.listen_again()
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    assert attach.user == "ada"
    frame = link.expect(relay.MESSAGE)
    assert (frame.id, frame.payload) == (attach.id, b"are you there?")
    link.send(attach.id, "yes")
    assert client.receive() == "yes"


def test_a_session_that_closed_meanwhile_is_not_attached(bench):
    client, link, _ = bench.attached("?user=ada")
    other = bench.connect("?user=bao")
    link.expect(relay.ATTACH)
    bench.peer.stop()
    time.sleep(0.2)
    client.close()
    bench.listen_again()
    link = bench.peer.accept()
    assert link.expect(relay.ATTACH).user == "bao"
    link.nothing()
    ping_pong(other)


# A close that the client has caused waits for the answers to what was before

CLOSE_FRAME = encode(0x8, b"\x03\xe8")


@pytest.mark.parametrize("end, code", [
    (CLOSE_FRAME, 1000), (encode(0x3), 1002), (encode(TEXT, b"\xff"), 1007)],
    ids=["close", "protocol error", "not UTF-8"])
def test_messages_before_a_close_are_answered(bench, end, code):
    client, link, attach = bench.attached()
    client.send_bytes(encode(TEXT, b"one") + encode(TEXT, b"two") + end)
    for text in (b"one", b"two"):
        assert link.expect(relay.MESSAGE).payload == text
    for count, text in enumerate((b"one", b"two")):
        link.nothing(0.1)
        link.send(attach.id, text)
        link.receipt(count + 1)
        assert client.receive_frame()[1] == text
    opcode, payload, _, _ = client.receive_frame()
    assert (opcode, int.from_bytes(payload[:2], "big")) == (0x8, code)
    assert link.expect(relay.DETACH).code == code


def test_close_does_not_wait_for_ever(bench):
    client, link, _ = bench.attached()
    started = time.monotonic()
    client.send_bytes(encode(TEXT, b"text") + CLOSE_FRAME)
    assert link.expect(relay.MESSAGE)
    assert client.wait_closed().code == 1000
    assert 0.5 < time.monotonic() - started < 4
    assert link.expect(relay.DETACH).code == 1000


def test_close_does_not_wait_for_a_lost_link(bench):
    client, link, _ = bench.attached()
    client.send_bytes(encode(TEXT, b"text") + CLOSE_FRAME)
    assert link.expect(relay.MESSAGE)
    bench.peer.stop()
    assert client.wait_closed().code == 1000


def test_worker_closes_while_a_close_waits(bench):
    client, link, attach = bench.attached()
    client.send_bytes(encode(TEXT, b"text") + CLOSE_FRAME)
    assert link.expect(relay.MESSAGE)
    link.close_session(attach.id, 1008, "no")
    closed = client.wait_closed()
    assert (closed.code, closed.reason) == (1008, "no")
    assert link.expect(relay.DETACH).code == 1008


def test_client_that_is_gone_is_not_waited_for(bench):
    client, link, _ = bench.attached()
    client.send_bytes(encode(TEXT, b"text") + CLOSE_FRAME)
    client.abort()
    assert link.expect(relay.MESSAGE)
    assert link.expect(relay.DETACH)


# Faults

BAD = {
    "garbage": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "unknown kind": relay.encode(99),
    "wrong way": relay.encode(relay.MESSAGE, b"text", id=1),
    "second hello": relay.hello(),
    "too long": relay.HEADER.pack(0xFFFFFFFF, relay.SEND, 0, 0, 1),
    "short send": relay.encode(relay.SEND, b"1234567", relay.HAS_MARK),
    "short fanout": relay.encode(relay.FANOUT, b"x" * 11),
    "bad fanout": relay.fanout(b"body", [(0, [1], [])])[:-8] + b"x" * 8 +
                  relay.encode(relay.FANOUT, b"\xff" * 12),
    "long user": relay.encode(relay.IDENTIFY, b"x" * 1025, id=1),
    "receipt too high": relay.encode(relay.RECEIPT, id=1000),
}


@pytest.mark.parametrize("fault", BAD)
def test_bad_frames_cost_no_session(bench, fault):
    client, link, first = bench.attached("?user=ada")
    client.send_text("before")
    link.expect(relay.MESSAGE)
    link.raw(BAD[fault])
    link.wait_closed(5)
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    assert attach.user == "ada"
    assert link.expect(relay.MESSAGE).payload == b"before"
    link.send(attach.id, "after")
    assert client.receive() == "after"


def test_receipts_do_not_go_back(bench):
    client, link, _ = bench.attached()
    for text in ("one", "two", "three"):
        client.send_text(text)
        link.expect(relay.MESSAGE)
    link.receipt(2)
    link.receipt(1)
    link.wait_closed(5)
    link = bench.peer.accept()
    link.expect(relay.ATTACH)
    assert link.expect(relay.MESSAGE).payload == b"three"


@pytest.mark.parametrize("greeting", [
    relay.hello(version=2), relay.hello(magic=b"chat"),
    relay.hello(max_payload=2047), relay.encode(relay.SEND, b"text"),
    b"\x00" * 16], ids=["version", "magic", "bound", "no hello", "zeros"])
def test_bad_hello_is_refused_and_tried_again(bench, greeting):
    client = bench.connect()
    link = bench.peer.accept(greet=False)
    link.raw(greeting)
    link.wait_closed(5)
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    link.send(attach.id, "text")
    assert client.receive() == "text"


def test_cut_in_the_middle_of_a_frame(bench):
    client, link, attach = bench.attached()
    whole = relay.encode(relay.SEND, b"x" * 1000, id=attach.id)
    link.raw(whole[:500])
    time.sleep(0.1)
    link.cut()
    link = bench.peer.accept()
    attach = link.expect(relay.ATTACH)
    link.send(attach.id, "whole")
    assert client.receive() == "whole"


def test_frames_byte_by_byte(bench):
    client, link, attach = bench.attached()
    frames = (relay.encode(relay.SEND, b"one", id=attach.id) +
              relay.fanout(b"two", [(1, [attach.id], [])]) +
              relay.encode(relay.CLOSE, b"three", code=1000, id=attach.id))
    for byte in frames:
        link.raw(bytes([byte]))
        time.sleep(0.001)
    assert client.receive() == "one"
    assert client.receive() == "two"
    assert client.wait_closed().reason == "three"


def test_silent_worker_is_given_up(make_bench):
    bench = make_bench("chat_relay_timeout 1s;")
    client, link, _ = bench.attached()
    link.answers_ping = False
    link.wait_closed(5)
    bench.peer.accept().expect(relay.ATTACH)
    ping_pong(client)


def test_worker_that_does_not_read(make_bench):
    """At chat_relay_buffer nginx stops reading from the clients that have
    something to say; pings of the others are answered."""
    bench = make_bench("chat_relay_buffer 256k; chat_relay_timeout 60s;")
    client, link, _ = bench.attached()
    quiet = bench.connect()
    link.expect(relay.ATTACH)
    client.socket.settimeout(1)
    sent = 0
    with pytest.raises(TimeoutError):
        for _ in range(4000):
            client.send_text("x" * 10000)
            sent += 10000
    assert sent < 20000000
    quiet.send_frame(PING, b"still there?")
    assert quiet.receive_frame()[:2] == (PONG, b"still there?")
    ping_pong(quiet)

    # It reads again and gives receipts: all that was sent whole arrives.
    received = 0
    while received < sent:
        received += len(link.expect(relay.MESSAGE).payload)
        link.receipt()
    assert not client.closed


def test_slow_client_is_closed_and_the_others_are_not(make_bench):
    bench = make_bench("chat_send_buffer 256k;")
    _, link, slow = bench.attached()
    quick = bench.connect()
    attach = link.expect(relay.ATTACH)
    for _ in range(200):
        link.send(slow.id, "x" * 100000)
    frame = link.expect(relay.DETACH, 10)
    assert frame.id == slow.id
    link.send(attach.id, "fine")
    assert quick.receive() == "fine"


def test_worker_is_not_connected_before_it_is_needed(bench):
    with pytest.raises(TimeoutError):
        bench.peer.accept(timeout=0.5)
    bench.connect()
    bench.peer.accept()


def test_client_that_floods_while_the_worker_is_away(make_bench):
    bench = make_bench("chat_relay_buffer 256k;", listening=False)
    client = bench.connect()
    client.socket.settimeout(1)
    with pytest.raises(TimeoutError):
        for _ in range(4000):
            client.send_text("x" * 10000)
    other = bench.connect()
    ping_pong(other)


def test_half_of_a_close_from_the_worker(bench):
    """The worker closes its sending side only: that ends the link."""
    client, link, _ = bench.attached()
    link.socket.shutdown(socket.SHUT_WR)
    link.wait_closed(5)
    bench.peer.accept().expect(relay.ATTACH)
    ping_pong(client)


def test_opcode_of_what_is_sent(bench):
    client, link, attach = bench.attached()
    link.send(attach.id, "text")
    link.send(attach.id, b"binary", relay.BINARY)
    assert client.receive_frame() == (TEXT, b"text", True, 0)
    assert client.receive_frame() == (BINARY, b"binary", True, 0)


def test_links_end_with_nginx(bench):
    _, link, _ = bench.attached()
    bench.nginx.stop()
    link.wait_closed(5)
    wait_until(lambda: not bench.nginx.alive, what="nginx gone")
