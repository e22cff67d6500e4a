"""Run one case with one system: server, client, accounting."""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from .processes import (cpu_by_name, kernel_memory, pss_by_name, tree,
                        wait_until_quiet)
from .systems import Setup

UNMEASURED = ("warm-up", "end")


class CaseFailed(Exception):
    pass


class Client:
    """The load client; see t/bench/load/scenario.hpp for the talk."""

    def __init__(self, case, system, log):
        setup = system.setup
        self._log = log
        self._process = subprocess.Popen(
            [setup.paths["load"], "--protocol", system.protocol, "--port",
             str(setup.port), "--path", system.path, *case.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log,
            text=True)

    def read(self):
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._log.seek(0)
            raise CaseFailed(self._log.read().strip() or "the client ended "
                             f"with {self._process.returncode}")
        return json.loads(line)

    def go(self):
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def close(self):
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def cpu(self):
        return sum(cpu_by_name([self._process.pid]).values())


def _difference(after, before):
    return {name: round(value - before.get(name, 0), 6)
            for name, value in after.items()
            if value - before.get(name, 0) > 0}


class Profiler:
    """perf over the servers of one phase; nothing without a folder."""

    def __init__(self, folder, pids, name):
        self._process = None
        if folder:
            self._process = subprocess.Popen(
                ["perf", "record", "-q", "-e", "cpu-clock", "-F", "4999", "-g",
                 "-o", os.path.join(folder, f"{name}.perf"), "-p",
                 ",".join(map(str, tree(pids)))])
            time.sleep(0.3)

    def stop(self):
        if self._process:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()


def _measure_phase(client, system, phase, profiler):
    pids = system.servers.pids
    wait_until_quiet(pids)
    memory = pss_by_name(pids)
    kernel = kernel_memory()
    before = cpu_by_name(pids)
    own = client.cpu()
    profile = profiler(pids, phase)
    client.go()

    result = client.read()
    own = client.cpu() - own
    quiet = wait_until_quiet(pids)
    profile.stop()
    used = _difference(cpu_by_name(pids), before)
    if phase == "idle":
        time.sleep(0.5)
    result.update(
        phase=phase, cpu=used, client_cpu=round(own, 6), quiet=quiet,
        memory=_difference(pss_by_name(pids), memory),
        kernel_memory=kernel_memory() - kernel)
    return result


def run_case(case, system_class, paths, keep=False, profile=None):
    """The results of the measured phases, one dictionary each."""
    directory = tempfile.mkdtemp(prefix="chat-bench-")
    os.chmod(directory, 0o755)
    setup = Setup(paths, directory, chats=case.chats, **case.server)
    system = system_class(setup)
    results = []

    def profiler(pids, phase):
        return Profiler(profile, pids, f"{case.name}-{system.name}-{phase}")

    log = open(setup.file("client.txt"), "w+")
    client = None
    try:
        system.start()
        client = Client(case, system, log)
        while True:
            phase = client.read()["phase"]
            if phase == "end":
                break
            if phase in UNMEASURED:
                client.go()
                client.read()
                continue
            results.append(_measure_phase(client, system, phase, profiler))
        left = system.left_behind()
        for result in results:
            result.update(case=case.name, system=system.name)
            if left and case.name != "half-1000":
                result["faults"]["left in Redis"] = [left, "inboxes"]
        return results
    except (RuntimeError, ValueError) as e:
        raise CaseFailed(str(e))
    finally:
        if client is not None:
            client.close()
        log.close()
        system.stop()
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)
