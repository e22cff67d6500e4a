"""Starting, watching and ending server processes."""

import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

# Is this the build with sanitizers? What they take is no measure of memory.
SANITIZED = bool(os.environ.get("SANITIZE"))

# A sanitizer's report, wherever it was printed.
SANITIZER = re.compile(
    r"(Address|Leak|UndefinedBehavior)Sanitizer|runtime error:")
# Lines that nginx writes for bugs only, or that a test provokes knowingly.
SERIOUS = re.compile(r"\[(alert|emerg|crit)\]")


def wait_until(condition, timeout=10.0, what="the condition"):
    """Waits until condition() is true and returns what it returned."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not come true in {timeout} s")
        time.sleep(0.01)


def free_port():
    """A TCP port on 127.0.0.1 that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def accepts(address):
    """Does a server listen on address, (host, port) or a Unix path?"""
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as probe:
        probe.settimeout(1)
        try:
            probe.connect(address if family == socket.AF_INET
                          else str(address))
        except OSError:
            return False
        return True


def is_running(pid):
    """Is there a process with this id that is not just a zombie?"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def children(pid):
    """The process ids of pid's children."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except OSError:
        return []
    return [int(child) for child in text.split()]


def complaints(folder, expected=()):
    """Lines that no log in the folder may have: what a sanitizer reported,
    and what nginx takes for serious; but for the patterns expected."""
    for log in sorted(Path(folder).glob("*.log")):
        for line in log.read_text(errors="replace").splitlines():
            serious = SANITIZER.search(line) or (
                log.name.endswith("error.log") and SERIOUS.search(line))
            if serious and not any(e.search(line) for e in expected):
                yield f"{log.name}: {line}"


class Process:
    """One server: its command, its log, and the address that shows that it
    is ready. Output is appended to the log, over restarts too."""

    def __init__(self, name, command, log, ready=None, env=None, cwd=None):
        self.name = name
        self.command = [str(part) for part in command]
        self.log = Path(log)
        self.ready = ready
        self.env = env
        self.cwd = cwd
        self.popen = None
        self.ended_by_us = True

    @property
    def pid(self):
        return self.popen.pid

    @property
    def alive(self):
        return self.popen is not None and self.popen.poll() is None

    def start(self):
        with open(self.log, "ab") as log:
            self.popen = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log,
                stderr=log, cwd=self.cwd,
                env={**os.environ, **(self.env or {})})
        self.ended_by_us = False
        wait_until(self._is_ready, 20, f"{self.name} ready")
        return self

    def _is_ready(self):
        if not self.alive:
            raise RuntimeError(
                f"{self.name} ended with status {self.popen.returncode}:\n"
                f"{self.log_text()[-2000:]}")
        return self.ready is None or self.ready()

    def send_signal(self, number):
        os.kill(self.pid, number)

    def stop(self, number=signal.SIGTERM, timeout=15):
        """Ends the process and returns its exit status."""
        if self.popen is None:
            return None
        if self.alive:
            self.ended_by_us = True
            self.send_signal(number)
        try:
            return self.popen.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise RuntimeError(
                f"{self.name} did not end on signal {number}") from None

    def kill(self):
        """kill -9"""
        if self.alive:
            self.ended_by_us = True
            self.send_signal(signal.SIGKILL)
            self.popen.wait()

    def restart(self):
        self.stop()
        return self.start()

    def log_text(self):
        try:
            return self.log.read_text(errors="replace")
        except FileNotFoundError:
            return ""
