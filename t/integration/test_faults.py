"""Processes that are killed, stopped, restarted or reloaded under clients."""

import re
import signal
import time

import pytest

KILLED = r"exited on signal 9"


def sent(client, send_id, timeout=15):
    """Waits for this send's answer; True if it was 235."""
    deadline = time.monotonic() + timeout
    while True:
        frame = client.next(max(0.01, deadline - time.monotonic()))
        if (frame["code"] in (235, 300)
                and frame["data"]["send_id"] == send_id):
            return frame["code"] == 235


def answered(client, chat=21):
    return sent(client, client.send_message(chat, "are you there?"))


# chat-worker

@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_chat_worker_restarts_and_no_socket_closes(stack, how):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "before")
    stack.worker.stop(how)
    send_id = ada.send_message(21, "while it is away")
    time.sleep(0.5)
    bao.send_text("ping")
    while bao.receive() != "pong":
        pass
    stack.worker.start()
    assert sent(ada, send_id)
    ada.say(21, "after")
    contents = [news["content"] for news in
                stack.redis.inbox(2).values()]
    assert sorted(contents) == ["after", "before", "while it is away"]


def test_killed_chat_worker_delivers_in_order_and_once(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    send_ids = []
    for number in range(300):
        send_ids.append(ada.send_message(21, f"{number}"))
        if number == 150:
            stack.kill_worker()
    for send_id in send_ids:
        assert sent(ada, send_id)
    assert bao.contents(300, 15) == [f"{number}" for number in range(300)]
    bao.quiet()


def test_a_session_opened_while_chat_worker_is_away(stack):
    stack.worker.kill()
    client = stack.raw("/chat/chat_websocket/?user=1")
    client.send_text("ping")
    assert client.receive() == "pong"
    stack.worker.start()
    assert '"code":240' in client.receive(10)


def test_a_claimed_user_stays_known_over_a_restart(stack):
    client = stack.connect()
    client.identify(1)
    stack.kill_worker()
    client.say(21, "x")
    assert client.contents(1) == ["x"]
    client.nothing(2.5)  # no 231 either


def test_chat_worker_ends_cleanly_on_sigterm(stack):
    client = stack.connect(1)
    client.say(21, "x")
    assert stack.worker.stop(signal.SIGTERM) == 0
    stack.worker.start()
    client.say(21, "y")


def test_chat_worker_reloads_on_sighup(stack):
    client = stack.connect(1)
    stack.worker.settings["log"]["level"] = "info"
    stack.worker.write_config()
    stack.worker.send_signal(signal.SIGHUP)
    stack.wait(lambda: "loaded again" in stack.worker.log_text())
    client.say(21, "x")


def test_chat_worker_keeps_its_settings_when_the_new_ones_are_wrong(stack):
    client = stack.connect(1)
    stack.worker.config.write_text("[nonsense]\n")
    stack.worker.send_signal(signal.SIGHUP)
    stack.wait(lambda: "nonsense" in stack.worker.log_text())
    client.say(21, "x")


# nginx

def test_two_nginx_workers(make_stack):
    stack = make_stack(nginx_workers=2)
    ada = stack.connect(1)
    others = [stack.connect(user) for user in (2, 3) for _ in range(8)]
    ada.say(21, "to all")
    for client in others:
        assert client.contents(1) == ["to all"]


def test_killed_nginx_worker_loses_no_message(make_stack):
    stack = make_stack(nginx_workers=2)
    stack.expect(KILLED)
    bao = stack.connect(2)
    ada = stack.connect(1)
    ada.say(21, "one")
    for pid in stack.nginx.worker_pids():
        stack.kill_nginx_worker(pid)
    assert bao.wait_closed().code == 1006
    ada = stack.connect(1)
    ada.say(21, "two")
    assert stack.connect(2).contents(2) == ["one", "two"]


def test_sessions_of_the_other_nginx_worker_go_on(make_stack):
    stack = make_stack(nginx_workers=2)
    stack.expect(KILLED)
    clients = [stack.connect(2) for _ in range(12)]
    stack.kill_nginx_worker(stack.nginx.worker_pids()[0])
    time.sleep(0.2)
    stack.connect(1).say(21, "x")
    alive = 0
    for client in clients:
        try:
            alive += client.contents(1, 2) == ["x"]
        except Exception:
            assert client.closed.code == 1006
    assert 0 < alive < len(clients)


def test_reload_closes_sessions_with_1012_and_serves_new_ones(make_stack):
    stack = make_stack(chat="chat_drain_timeout 1s;")
    bao = stack.connect(2)
    old = stack.nginx.worker_pids()
    stack.nginx.reload()
    assert bao.wait_closed(5).code == 1012
    stack.wait(lambda: not set(old) & set(stack.nginx.worker_pids()))
    stack.connect(1).say(21, "after the reload")
    assert stack.connect(2).contents(1) == ["after the reload"]


def test_quit_drains_too(make_stack):
    stack = make_stack(chat="chat_drain_timeout 1s;")
    client = stack.connect(1)
    assert stack.nginx.stop(signal.SIGQUIT) == 0
    assert client.wait_closed(5).code == 1012


# Redis

def test_redis_stopped_and_back(stack):
    ada, bao = stack.connect(1), stack.connect(2)
    ada.say(21, "before")
    stack.redis.stop()
    send_id = ada.send_message(21, "without Redis")
    assert not sent(ada, send_id, 10)
    stack.redis.start()
    stack.wait(lambda: answered(ada), 15)
    ada.say(21, "after")
    contents = [news["content"] for _, news in bao.news(3)]
    assert contents == ["before", "are you there?", "after"]


def test_redis_killed_keeps_what_had_235(stack):
    ada = stack.connect(1)
    for number in range(50):
        ada.say(21, f"{number}")
    time.sleep(1.1)  # the append-only file is synced every second
    stack.redis.kill()
    stack.redis.start()
    bao = stack.connect(2)
    assert bao.contents(50, 15) == [f"{number}" for number in range(50)]


def test_redis_paused_past_every_timeout(make_stack):
    stack = make_stack(worker={"redis": {"timeout": "500ms"}})
    ada, bao = stack.connect(1), stack.connect(2)
    stack.redis.send_signal(signal.SIGSTOP)
    try:
        assert not sent(ada, ada.send_message(21, "paused"), 10)
    finally:
        stack.redis.send_signal(signal.SIGCONT)
    stack.wait(lambda: answered(ada), 15)
    bao.send_text("ping")


def test_a_session_opened_while_redis_is_away_is_served_later(stack):
    stack.connect(1).say(21, "before")
    time.sleep(1.1)
    stack.redis.stop()
    bao = stack.raw("/chat/chat_websocket/?user=2")
    stack.redis.start()
    text = ""
    while '"code":236' not in text:
        text = bao.receive(15)
    assert "before" in text


def test_chat_worker_starts_while_redis_is_away(stack):
    ada = stack.connect(1)
    stack.redis.stop()
    stack.worker.restart()
    assert not sent(ada, ada.send_message(21, "x"), 10)
    stack.redis.start()
    stack.wait(lambda: answered(ada), 15)


# Clients

def test_a_silent_client_is_evicted_and_a_pinging_one_is_not(make_stack):
    stack = make_stack(chat="chat_heartbeat_timeout 2s; chat_ping_interval 0;")
    silent = stack.raw("/chat/chat_websocket/?user=1")
    pinging = stack.raw("/chat/chat_websocket/?user=2")
    for _ in range(4):
        time.sleep(0.8)
        pinging.send_text("ping")
    closed = silent.wait_closed(1)
    assert closed.code == 1001
    assert "heartbeat" in closed.reason
    pinging.send_text("ping")
    while pinging.receive() != "pong":
        pass


def test_websocket_pings_keep_a_client_that_answers(make_stack):
    stack = make_stack(
        chat="chat_heartbeat_timeout 2s; chat_ping_interval 500ms;")
    client = stack.connect(1)
    client.quiet(3)  # answers the pings
    client.say(21, "still here")


def test_logs_say_little_about_a_restart(stack):
    """One line when the worker goes and one when it is back, not one for
    each attempt."""
    stack.connect(1)
    stack.worker.kill()
    time.sleep(3)
    stack.worker.start()
    time.sleep(1)
    lines = [line for line in stack.nginx.error_log.read_text().splitlines()
             if re.search(r"\[(warn|error)\]", line)]
    assert 1 <= len(lines) <= 4, lines
