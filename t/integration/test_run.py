"""make run: the demo as a person uses it."""

import os
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import urllib.request
from pathlib import Path

import pytest

from harness.chat_client import ChatClient
from harness.process import (SANITIZER, accepts, complaints, free_port,
                             is_running, wait_until)
from harness.servers import BUILD, ROOT

NAMES = ("nginx", "chat-worker", "redis")


class Demo:
    """`make run` in a session of its own, so that a signal to the group is
    what Ctrl-C is in a terminal."""

    def __init__(self, folder, port, command=("make", "run")):
        self.folder = Path(folder)
        self.port = port
        self.output = self.folder.parent / f"{self.folder.name}.out"
        self.seen = set()
        environment = {**os.environ, "PORT": str(port),
                       "RUN_DIR": str(folder), "BUILD": str(BUILD)}
        environment.pop("MAKEFLAGS", None)
        self.output.parent.mkdir(exist_ok=True)
        with open(self.output, "wb") as output:
            self.popen = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=output,
                stderr=output, stdin=subprocess.DEVNULL,
                start_new_session=True)

    def text(self):
        return self.output.read_text()

    def wait_ready(self):
        def ready():
            assert self.popen.poll() is None, self.text()
            return f"http://127.0.0.1:{self.port}/" in self.text()
        wait_until(ready, 60, "the address")
        self.seen.update(self.pid(name) for name in NAMES)
        return self

    def pid(self, name):
        return int((self.folder / f"{name}.pid").read_text())

    def connect(self, user):
        client = ChatClient(("127.0.0.1", self.port),
                            f"/chat/chat_websocket/?user={user}")
        client.expect(240)
        return client

    def stop(self, number=signal.SIGINT):
        """Ctrl-C; nothing that it started may be left."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, number)
        self.popen.wait(20)
        assert not [pid for pid in self.seen if is_running(pid)]
        assert not accepts(("127.0.0.1", self.port))
        assert not SANITIZER.search(self.text()), self.text()
        assert not list(complaints(self.folder))


@pytest.fixture
def folder():
    path = Path(tempfile.mkdtemp(prefix="chat-run-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(folder):
    demos = []

    def make(name="run", **options):
        demos.append(Demo(folder / name, free_port(), **options))
        return demos[-1].wait_ready()

    yield make
    for demo in demos:
        demo.stop()


def get(demo, path):
    url = f"http://127.0.0.1:{demo.port}{path}"
    with urllib.request.urlopen(url, timeout=5) as response:
        return (response.headers.get_content_type(),
                response.read().decode())


def restarted(demo, name):
    """kill -9, then waits for the next process of that name to serve."""
    old = demo.pid(name)
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: f"{name}" in demo.text() and "KILL" in demo.text())

    def is_back():
        new = demo.pid(name)
        return new != old and is_running(new)
    wait_until(is_back, 20, f"{name} started again")
    demo.seen.add(demo.pid(name))


def test_page_and_chat(start):
    demo = start()
    kind, page = get(demo, "/")
    assert kind == "text/html" and "<script" in page
    assert get(demo, "/client/index.js")[0] == "text/javascript"
    ada, bao = demo.connect(1), demo.connect(2)
    ada.say(21, "hello")
    assert bao.contents(1) == ["hello"]
    for name in NAMES:
        assert is_running(demo.pid(name))
    assert len(demo.text().splitlines()) < 12


def test_rows_added_while_it_runs_count_within_a_second(start):
    demo = start()
    eve = demo.connect(5)
    eve.send_message(21, "x")
    eve.expect(300)
    db = sqlite3.connect(demo.folder / "chat.db")
    with db:
        db.execute("INSERT INTO chat_chatlist_users (chat_id, user_id) "
                   "VALUES (21, 5)")
    db.close()

    def is_in():
        eve.send_message(21, "now")
        while (code := eve.next()["code"]) not in (235, 300):
            pass
        return code == 235
    wait_until(is_in, 1)


def test_each_process_that_is_killed_is_started_again(start):
    demo = start()
    ada, bao = demo.connect(1), demo.connect(2)
    ada.say(21, "one")
    for name in ("chat-worker", "redis"):
        restarted(demo, name)
        assert re.search(rf"{name} +ended \(signal KILL\)", demo.text())

        def works():
            ada.send_message(21, f"after {name}")
            while (code := ada.next(15)["code"]) not in (235, 300):
                pass
            return code == 235
        wait_until(works, 15)
    contents = [news["content"] for _, news in bao.news(3, 10)]
    assert contents == ["one", "after chat-worker", "after redis"]
    restarted(demo, "nginx")
    assert bao.wait_closed().code == 1006
    wait_until(lambda: accepts(("127.0.0.1", demo.port)))
    bao = demo.connect(2)
    assert bao.contents(3) == contents


def test_nginx_reload(start):
    demo = start()
    bao = demo.connect(2)
    os.kill(demo.pid("nginx"), signal.SIGHUP)
    assert bao.wait_closed(15).code == 1012
    demo.connect(1).say(21, "after the reload")
    assert demo.connect(2).contents(1) == ["after the reload"]


def test_a_second_start_goes_on_with_the_data(folder):
    for number, port in enumerate((free_port(), free_port())):
        demo = Demo(folder / "run", port).wait_ready()
        demo.connect(1).say(21, f"start {number}")
        demo.stop()
    demo = Demo(folder / "run", free_port()).wait_ready()
    assert demo.connect(2).contents(2) == ["start 0", "start 1"]
    demo.stop(signal.SIGTERM)
    assert demo.text().count("created") == 0


def test_several_side_by_side(start):
    one, two = start("one"), start("two")
    one.connect(1).say(21, "in one")
    two.connect(2).quiet()
    assert one.connect(2).contents(1) == ["in one"]
    one.stop()
    two.connect(1).say(21, "goes on")


def test_a_port_in_use_is_a_clear_error(start, folder):
    first = start()
    second = Demo(folder / "second", first.port)
    assert second.popen.wait(30) != 0
    assert f"port {first.port} is in use" in second.text()


def test_ends_though_sigint_was_ignored_at_the_start(start):
    """As it is in the background jobs of a script, of CI for one."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        demo = start()
    finally:
        signal.signal(signal.SIGINT, handler)
    demo.stop()
    assert "nginx        stopped" in demo.text()


def test_the_same_folder_twice_is_a_clear_error(start, folder):
    first = start()
    second = Demo(first.folder, free_port())
    assert second.popen.wait(30) != 0
    assert "already running" in second.text()
    assert is_running(first.pid("nginx"))


def test_a_deep_path_and_a_space(start):
    demo = start("a b/" + "long" * 25)
    ada = demo.connect(1)
    ada.say(21, "x")


def test_all_ends_when_the_script_is_killed(start):
    demo = start()
    os.killpg(demo.popen.pid, signal.SIGKILL)
    wait_until(lambda: not [p for p in demo.seen if is_running(p)])


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another")
def test_an_ordinary_user(start, folder):
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    # A checkout below /root cannot be read by others.
    copy = folder / "checkout"
    for part in ("client", os.path.relpath(BUILD, ROOT)):
        shutil.copytree(ROOT / part, copy / part, ignore=shutil.
                        ignore_patterns("*.o", "objs", "t", "nginx"))
    demo = start(command=[
        "setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}",
        "--clear-groups", "env", f"BUILD={os.path.relpath(BUILD, ROOT)}",
        copy / "client/demo/run"])
    ada = demo.connect(1)
    ada.say(21, "x")
    assert os.stat(demo.folder / "chat.db").st_uid == nobody.pw_uid
