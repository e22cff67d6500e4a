"""Servers that go away under the demo's page."""

import os
import signal

from harness.process import is_running, wait_until


def kill_nginx(nginx):
    """kill -9 to all of nginx: the workers of a dead master go on."""
    workers = nginx.worker_pids()
    nginx.kill()
    for pid in workers:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not any(is_running(pid) for pid in workers), 5,
               "the end of the nginx workers")


def test_reload_of_nginx(make_site):
    site = make_site(chat="chat_drain_timeout 1s;")
    ada, bao = site.chat(1), site.chat(2)
    ada.say("before")
    bao.wait_message("before")
    site.stack.nginx.reload()
    ada.say("during")
    for tab in (ada, bao):
        tab.wait_sessions(2)
    ada.say("after")
    bao.wait_message("after")
    assert bao.contents() == ["before", "during", "after"]
    assert ada.contents() == ["before", "during", "after"]
    assert [e for e in bao.events() if "ended: 1012" in e], bao.events()


def test_chat_worker_is_killed_and_the_socket_stays(site):
    ada, bao = site.chat(1), site.chat(2)
    site.stack.worker.kill()
    ada.say("while it is away")
    ada.wait_message("while it is away", "sending")
    site.stack.worker.start()
    bao.wait_message("while it is away")
    ada.wait_message("while it is away", "stored")
    bao.say("after")
    ada.wait_message("after")
    for tab in (ada, bao):
        assert tab.contents() == ["while it is away", "after"]
        assert tab.sessions == 1
        assert tab.state == "ready"


def test_nginx_is_killed_and_comes_back(site):
    ada, bao = site.chat(1), site.chat(2)
    ada.say("before")
    bao.wait_message("before")
    bao.click("#toggle")
    bao.wait_state("closed")
    ada.say("missed")
    ada.wait_message("missed")
    kill_nginx(site.stack.nginx)
    ada.wait_state("waiting")
    bao.click("#toggle")
    ada.say("while it is away")
    ada.wait_message("while it is away", "sending")
    site.stack.nginx.start()
    for number, tab in ((2, ada), (2, bao)):
        tab.wait_sessions(number, 40)
    bao.wait_message("while it is away")
    ada.wait_message("while it is away", "stored")
    assert bao.contents() == ["before", "missed", "while it is away"]
    assert ada.contents() == ["before", "missed", "while it is away"]


def test_what_was_lost_on_the_way_is_sent_again(site):
    ada, bao = site.chat(1), site.chat(2)
    [pid] = site.stack.nginx.worker_pids()
    os.kill(pid, signal.SIGSTOP)
    for number in range(5):
        ada.say(f"{number} in nobody's hands")
    ada.wait_message("4 in nobody's hands", "sending")
    kill_nginx(site.stack.nginx)
    site.stack.nginx.start()
    ada.wait_message("4 in nobody's hands", "stored", 40)
    bao.wait_message("4 in nobody's hands", timeout=40)
    assert bao.contents() == ada.contents() == [
        f"{number} in nobody's hands" for number in range(5)]


def test_an_nginx_worker_is_killed(site):
    site.stack.expect(r"exited on signal 9")
    ada, bao = site.chat(1), site.chat(2)
    [pid] = site.stack.nginx.worker_pids()
    site.stack.kill_nginx_worker(pid)
    ada.say("hello?")
    for tab in (ada, bao):
        tab.wait_sessions(2)
    bao.wait_message("hello?")
    ada.wait_message("hello?", "stored")


def test_redis_is_away(site):
    ada, bao = site.chat(1), site.chat(2)
    site.stack.redis.kill()
    ada.say("into the void")
    ada.wait_message("into the void", "failed")
    site.stack.redis.start()

    def accepted():
        if ada.messages()[0][2] == "failed":
            ada.click(".failure button")
        return ada.messages()[0][2] == "stored"
    wait_until(accepted, 20, "chat-worker to find Redis again")
    bao.wait_message("into the void")
    assert ada.sessions == 1
    assert bao.contents() == ["into the void"]


def test_a_page_left_before_the_answer_sends_again(site):
    ada, bao = site.chat(1), site.chat(2)
    site.stack.worker.kill()
    ada.say("important")
    ada.wait_message("important", "sending")
    ada.reload()
    ada.wait_message("important", "sending")
    site.stack.worker.start()
    ada.wait_message("important", "stored", 40)
    bao.wait_message("important")
    ada.say("next")
    bao.wait_message("next")
    assert bao.contents() == ["important", "next"]


def test_dropped_connections_lose_nothing(site):
    ada, bao = site.chat(1), site.chat(2)
    expected = []
    for number in range(5):
        expected.append(f"number {number}")
        ada.say(expected[-1])
        (ada if number % 2 else bao).click("#drop")
    bao.wait_message(expected[-1])
    ada.wait_message(expected[-1])
    assert bao.contents() == expected
    assert ada.contents() == expected
