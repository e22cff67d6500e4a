"""Start servers, and read what the kernel says about them."""

import os
import signal
import socket
import subprocess
import time

TICK = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def children_of(pid):
    found = []
    for task in _tasks(pid):
        try:
            with open(f"/proc/{pid}/task/{task}/children") as f:
                found += [int(child) for child in f.read().split()]
        except OSError:
            pass
    return found


def tree(pids):
    """The processes and all their descendants."""
    todo = list(pids)
    found = []
    while todo:
        pid = todo.pop()
        if os.path.exists(f"/proc/{pid}") and pid not in found:
            found.append(pid)
            todo += children_of(pid)
    return found


def _tasks(pid):
    try:
        return os.listdir(f"/proc/{pid}/task")
    except OSError:
        return []


def _stat(pid):
    with open(f"/proc/{pid}/stat") as f:
        name, rest = f.read().rsplit(")", 1)
    return name.split("(", 1)[1], rest.split()


def cpu_of(pid):
    """Seconds of CPU time (user and system) of a process, its threads, and
    its children that have ended.

    /proc/PID/stat counts in ticks of 10 ms; the same sum of run time is in
    /proc/PID/task/TID/schedstat in nanoseconds, so that is taken where the
    kernel has it.
    """
    _, fields = _stat(pid)
    own = (int(fields[11]) + int(fields[12])) / TICK
    ended = (int(fields[13]) + int(fields[14])) / TICK
    try:
        exact = 0
        for task in _tasks(pid):
            with open(f"/proc/{pid}/task/{task}/schedstat") as f:
                exact += int(f.read().split()[0])
        own = exact / 1e9
    except (OSError, ValueError, IndexError):
        pass
    return own + ended


def cpu_by_name(pids):
    """{process name: seconds} over the processes and their descendants."""
    used = {}
    for pid in tree(pids):
        try:
            name = _stat(pid)[0]
            used[name] = used.get(name, 0) + cpu_of(pid)
        except OSError:
            pass
    return used


def pss_by_name(pids):
    """{process name: bytes of proportional set size}."""
    sizes = {}
    for pid in tree(pids):
        try:
            name = _stat(pid)[0]
            with open(f"/proc/{pid}/smaps_rollup") as f:
                for line in f:
                    if line.startswith("Pss:"):
                        size = int(line.split()[1]) * 1024
                        sizes[name] = sizes.get(name, 0) + size
        except OSError:
            pass
    return sizes


def kernel_memory():
    """Bytes of unreclaimable slab: sockets, descriptors and epoll entries of
    servers and client together."""
    with open("/proc/meminfo") as f:
        for line in f:
            if line.startswith("SUnreclaim:"):
                return int(line.split()[1]) * 1024
    return 0


def wait_until_quiet(pids, limit=10.0):
    """Returns when the servers use less than 2 % of a core: what the last
    phase caused must be done before its CPU time is read."""
    deadline = time.monotonic() + limit
    last = sum(cpu_by_name(pids).values())
    while time.monotonic() < deadline:
        time.sleep(0.05)
        current = sum(cpu_by_name(pids).values())
        if current - last < 0.001:
            return True
        last = current
    return False


class Servers:
    """The processes of one system under test; everything ends with it."""

    def __init__(self, directory):
        self.directory = directory
        self._processes = []

    def start(self, arguments, env=None):
        name = os.path.basename(arguments[0])
        log = open(os.path.join(self.directory, f"{name}.log"), "ab")
        process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, cwd=self.directory,
            env={**os.environ, **(env or {})}, start_new_session=True)
        log.close()
        self._processes.append(process)
        return process

    @property
    def pids(self):
        return [process.pid for process in self._processes]

    def wait_for(self, address, limit=10.0):
        """Until something listens at a port or Unix socket path."""
        deadline = time.monotonic() + limit
        while True:
            for process in self._processes:
                if process.poll() is not None:
                    raise RuntimeError(
                        f"{process.args[0]} ended with {process.returncode}:\n"
                        + self.logs())
            family = (socket.AF_UNIX if isinstance(address, str)
                      else socket.AF_INET)
            with socket.socket(family) as probe:
                try:
                    probe.connect(address if isinstance(address, str)
                                  else ("127.0.0.1", address))
                    return
                except OSError:
                    pass
            if time.monotonic() > deadline:
                raise RuntimeError(f"nothing listens at {address}:\n"
                                   + self.logs())
            time.sleep(0.02)

    def logs(self):
        text = ""
        for name in sorted(os.listdir(self.directory)):
            if name.endswith(".log"):
                with open(os.path.join(self.directory, name),
                          errors="replace") as f:
                    text += f"--- {name}\n{f.read()[-2000:]}"
        return text

    def stop(self):
        for process in reversed(self._processes):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 3
        for process in reversed(self._processes):
            try:
                process.wait(max(0.01, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                for pid in tree([process.pid]):
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
                process.wait()
        self._processes = []
