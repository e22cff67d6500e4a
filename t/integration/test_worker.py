"""chat-worker by itself: command line, settings file, signals."""

import os
import pathlib
import signal
import socket
import subprocess
import time

import pytest

WORKER = pathlib.Path(os.environ.get("BUILD", "build"), "chat-worker").resolve()


@pytest.fixture
def settings(tmp_path):
    """Writes a settings file: the smallest one, and what is given."""
    def write(more=""):
        path = tmp_path / "worker.toml"
        path.write_text(f'[relay]\nlisten = ["unix:{tmp_path}/w.sock"]\n'
                        f'[membership]\nurl = "sqlite:{tmp_path}/chat.db"\n'
                        f'[redis]\nurl = "unix://{tmp_path}/redis.sock"\n'
                        + more)
        return path
    return write


def run(*arguments):
    return subprocess.run([WORKER, *map(str, arguments)], timeout=20,
                          capture_output=True, text=True, check=False)


def test_check_says_that_all_is_well(settings):
    result = run("-t", "-c", settings())
    assert result.returncode == 0
    assert "all is well" in result.stderr


@pytest.mark.parametrize("more,reason", [
    ("[chat]\nmax_pendin = 1\n", '8: unknown setting "chat.max_pendin"'),
    ("[talk]\n", '7: unknown section "talk"'),
    ("timeout = true\n", '7: "redis.timeout" must be a time'),
    ("[log]\nlevel = \"loud\"\n", '8: "log.level" must be'),
    ("[chat\n", "7: "),
])
def test_check_names_file_and_line(settings, more, reason):
    path = settings(more)
    for flags in (["-t"], []):
        result = run(*flags, "-c", path)
        assert result.returncode != 0
        assert f"{path}:{reason}" in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_command_line():
    assert "--config" in run("--help").stdout
    assert run("--version").stdout.startswith("chat-worker ")
    assert run().returncode != 0
    assert run("-c", "/nonexistent").stderr.strip() == \
        "chat-worker: /nonexistent: cannot be read"
    assert run("--nonsense").returncode != 0


def start(path):
    worker = subprocess.Popen([WORKER, "-c", path], stderr=subprocess.PIPE,
                              text=True)
    line = ""
    while "listening on" not in line:
        line = worker.stderr.readline()
        assert line, "ended before it listened"
    return worker


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_ends_cleanly_without_redis(settings, tmp_path, number):
    worker = start(settings())
    with socket.socket(socket.AF_UNIX) as nginx:
        nginx.connect(str(tmp_path / "w.sock"))
        worker.send_signal(number)
        assert worker.wait(20) == 0
    assert not (tmp_path / "w.sock").exists()


def test_an_address_in_use_is_an_error(settings):
    path = settings()
    worker = start(path)
    second = run("-c", path)
    worker.terminate()
    worker.wait(20)
    assert second.returncode != 0
    assert "w.sock" in second.stderr


def test_reload_takes_what_it_can_and_says_what_not(settings):
    worker = start(settings('[log]\nlevel = "info"\n'))
    seen = ""

    def reload_until(text):
        nonlocal seen
        worker.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + 10
        while text not in seen and time.monotonic() < deadline:
            seen += worker.stderr.readline()
        assert text in seen

    settings('batch = 7\n[chat]\nmax_pending = 5\n')
    reload_until("loaded again")
    assert "a change in [redis] needs a restart" in seen
    settings("[chat]\nmax_pending = 0\n")
    reload_until("the old settings stay")
    worker.terminate()
    assert worker.wait(20) == 0
