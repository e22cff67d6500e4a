"""The whole path: nginx, chat-worker, Redis and a membership database."""

import os
import re
import shutil
import signal
import tempfile
from pathlib import Path

from .chat_client import ChatClient
from .process import complaints, is_running, wait_until
from .proxy import Proxy
from .servers import ChatWorker, Nginx, PostgresMembership, Redis, Sqlite
from .websocket import WebSocket


class Stack:
    """Everything is started by the constructor. Users 1, 2 and 3 are in chat
    21, users 1 and 4 in chat 22; user 5 is in no chat.

    trust    chat_trust_init: a client may name its user by 230
    chat, server, http, main
             more directives for the chat location, its server, and above;
             @WORKER@ is chat-worker's socket, @FOLDER@ the stack's folder
    worker   settings for chat-worker, {section: {name: value}}
    workers  how many chat-workers serve this nginx
    postgres a running Postgres to keep the membership in, instead of SQLite
    peer     another Stack: this one is a node beside it, with the same Redis
             and the same members
    proxies  puts redis_proxy between chat-worker and Redis, and relay_proxy
             between nginx and the first chat-worker
    daemon   nginx goes to the background, as an upgrade of it needs
    redis_env, worker_env   more environment for these processes
    """

    def __init__(self, trust=True, chat="", server="", http="", main="",
                 nginx_workers=1, worker=None, workers=1, postgres=None,
                 redis_options=(), proxies=False, peer=None, daemon=False,
                 redis_env=None, worker_env=None):
        # Short, because a Unix socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="chat-"))
        self.folder.chmod(0o755)
        self.clients = []
        self.expected = []
        self.processes = []
        self.proxies = []
        try:
            if peer:
                self.redis, self.members = peer.redis, peer.members
            else:
                self._start_stores(postgres, redis_options, redis_env)
            self._start_workers(worker, workers, proxies, worker_env)
            target = "unix:@WORKER@"
            if workers > 1:
                target = "chat_workers"
                http += "upstream chat_workers {" + "".join(
                    f"server unix:{path};"
                    for path in self.relay_sockets) + "}"
            chat = (f"chat_pass {target}; chat_user $arg_user;"
                    + ("chat_trust_init on;" if trust else "") + chat)
            self.nginx = self._start(Nginx(
                self.folder, self.fill(chat), self.fill(server),
                self.fill(http), main, nginx_workers, daemon))
        except BaseException:
            self.stop(check=False)
            raise

    def _start_stores(self, postgres, redis_options, redis_env):
        self.redis = self._start(
            Redis(self.folder, *redis_options, env=redis_env))
        if postgres:
            self.members = PostgresMembership(postgres, self.folder.name)
        else:
            self.members = Sqlite(self.folder)
        self.members.add(21, 1, 2, 3)
        self.members.add(22, 1, 4)

    def _start_workers(self, settings, count, proxies, env):
        redis_url = self.redis.url
        if proxies:
            self.redis_proxy = self._proxy("redis", self.redis.socket)
            redis_url = f"unix://{self.redis_proxy.path}"
        self.workers = [
            self._start(ChatWorker(self.folder, redis_url, self.members.url,
                                   settings, f"chat-worker-{number}", env))
            for number in range(1, count + 1)]
        self.worker = self.workers[0]
        self.relay_sockets = [worker.socket for worker in self.workers]
        if proxies:
            self.relay_proxy = self._proxy("relay", self.worker.socket)
            self.relay_sockets[0] = self.relay_proxy.path

    def _start(self, process):
        self.processes.append(process)
        return process.start()

    def _proxy(self, name, target):
        self.proxies.append(
            Proxy(self.folder / f"{name}-proxy.sock", target))
        return self.proxies[-1]

    def fill(self, text):
        return text.replace("@WORKER@", str(self.relay_sockets[0])).replace(
            "@FOLDER@", str(self.folder))

    # Clients

    def connect(self, user=None, path="/chat/chat_websocket/", **options):
        """A client at the chat's address, proven to be `user` if given."""
        query = f"?user={user}" if user is not None else ""
        client = ChatClient(("127.0.0.1", self.nginx.port), path + query,
                            **options)
        self.clients.append(client)
        if user is not None:
            client.expect(240)
        return client

    def raw(self, path="/chat/chat_websocket/", **options):
        """A WebSocket without any knowledge of the chat's protocol."""
        client = WebSocket(("127.0.0.1", self.nginx.port), path, **options)
        self.clients.append(client)
        return client

    def attached(self):
        """Waits until a message gets all the way to Redis and back."""
        def answered():
            probe = self.connect(5)
            probe.send_message(21, "probe")
            reason = probe.expect(300)["data"]["msg"]
            probe.close()
            return "member" in reason
        wait_until(answered, 20, "the path from end to end")

    wait = staticmethod(wait_until)

    # Faults

    def expect(self, pattern):
        """Lines with this pattern are no mistake in this test's logs."""
        self.expected.append(re.compile(pattern))

    def kill_worker(self):
        """kill -9 for chat-worker, and a new one at once."""
        self.worker.kill()
        self.worker.start()

    def kill_nginx_worker(self, pid):
        """kill -9 for one nginx worker; nginx starts another."""
        os.kill(pid, signal.SIGKILL)
        wait_until(lambda: not is_running(pid)
                   and len(self.nginx.worker_pids()) ==
                   self.nginx.parts["workers"], what="a new nginx worker")

    # The end

    def stop(self, check=True):
        """Ends all, and fails for what stands in the logs or is left over."""
        for client in self.clients:
            client.abort()
        for proxy in self.proxies:
            proxy.close()
        pids = [p.pid for p in self.processes if p.alive]
        errors = []
        for process in reversed(self.processes):
            try:
                process.stop()
            except Exception as error:  # the others must end too
                errors.append(str(error))
        if check:
            errors += complaints(self.folder, self.expected)
            errors += [f"process {pid} is left" for pid in pids
                       if is_running(pid)]
            errors += [f"{p.name} ended by itself, status "
                       f"{p.popen.returncode}: {p.log_text()[-500:]}"
                       for p in self.processes if not p.ended_by_us]
        if errors:
            raise AssertionError("\n".join([*errors, f"in {self.folder}"]))
        shutil.rmtree(self.folder, ignore_errors=True)
