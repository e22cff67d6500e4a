"""redis-server, PostgreSQL, SQLite, chat-worker and nginx as the tests run
them: on loopback or Unix sockets only, everything in one folder."""

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path

import psycopg2
import redis

from .process import (Process, accepts, children, free_port, is_running,
                      wait_until)

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("BUILD", "build")
MODULE = BUILD / "ngx_http_chat_module.so"
CHAT_WORKER = BUILD / "chat-worker"
NGINX = shutil.which(os.environ.get("TEST_NGINX_BINARY", "nginx"),
                     path=os.environ["PATH"] + ":/usr/sbin")
NGINX_VERSION = tuple(int(part) for part in re.search(
    r"nginx/([\d.]+)", subprocess.run(
        [NGINX, "-v"], capture_output=True, text=True).stderr)[1].split("."))
# What turns HTTP/2 on: a parameter of listen, from 1.25.1 on a directive.
HTTP2_LISTEN, HTTP2 = (("", "http2 on;") if NGINX_VERSION >= (1, 25, 1)
                       else ("http2", ""))

TABLES = """
CREATE TABLE IF NOT EXISTS auth_user (
    id integer PRIMARY KEY, username varchar(150) NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS chat_chatlist (
    id integer PRIMARY KEY, name varchar(100) NOT NULL);
CREATE TABLE IF NOT EXISTS chat_chatlist_users (
    id {serial} PRIMARY KEY,
    chat_id integer NOT NULL REFERENCES chat_chatlist (id),
    user_id integer NOT NULL REFERENCES auth_user (id),
    UNIQUE (chat_id, user_id));
"""


class Redis(Process):
    def __init__(self, folder, *options, env=None):
        self.socket = folder / "redis.sock"
        super().__init__(
            "redis", ["redis-server", "--port", "0", "--unixsocket",
                      self.socket, "--dir", folder, "--appendonly", "yes",
                      "--save", "", *options],
            folder / "redis.log", self._answers, env)
        self.url = f"unix://{self.socket}"
        self.client = redis.Redis(unix_socket_path=str(self.socket),
                                  decode_responses=True)

    def _answers(self):
        try:
            return self.client.ping()
        except redis.exceptions.RedisError:
            return False

    def inbox(self, user):
        """The user's inbox as {key: news}."""
        return {key: json.loads(news) for key, news in
                self.client.hgetall(f"WaitSendNews_{user}").items()}


class Sqlite:
    """Membership in an SQLite file."""

    def __init__(self, folder):
        self.path = folder / "chat.db"
        self.url = f"sqlite:{self.path}"
        self._run(lambda db: db.executescript(
            TABLES.format(serial="integer")))

    def _run(self, action):
        db = sqlite3.connect(self.path, timeout=5)
        try:
            with db:
                return action(db)
        finally:
            db.close()

    def add(self, chat, *users):
        def action(db):
            db.execute("INSERT OR IGNORE INTO chat_chatlist VALUES (?, ?)",
                       (chat, f"chat {chat}"))
            for user in users:
                db.execute("INSERT OR IGNORE INTO auth_user VALUES (?, ?)",
                           (user, f"user {user}"))
                db.execute("INSERT OR IGNORE INTO chat_chatlist_users "
                           "(chat_id, user_id) VALUES (?, ?)", (chat, user))
        self._run(action)

    def remove(self, chat, user):
        self._run(lambda db: db.execute(
            "DELETE FROM chat_chatlist_users WHERE chat_id = ? "
            "AND user_id = ?", (chat, user)))


class Postgres(Process):
    """A PostgreSQL server without TCP. It refuses to run as root, so it runs
    as the user that Debian's package created."""

    def __init__(self, folder):
        tools = max(Path("/usr/lib/postgresql").iterdir(),
                    key=lambda path: int(path.name)) / "bin"
        as_user, owner = [], None
        if os.getuid() == 0:
            as_user = ["setpriv", "--reuid=postgres", "--regid=postgres",
                       "--init-groups"]
            owner = "postgres"
        folder.mkdir()
        if owner:
            shutil.chown(folder, owner, owner)
        self.folder = folder
        subprocess.run([*as_user, tools / "initdb", "-D", folder / "data",
                        "-U", "chat", "-A", "trust", "-N", "-E", "UTF8"],
                       check=True, capture_output=True, cwd="/")
        super().__init__(
            "postgres", [*as_user, tools / "postgres", "-D", folder / "data",
                         "-k", folder, "-c", "listen_addresses=",
                         "-c", "fsync=off"],
            folder / "postgres.log", self._answers, cwd="/")

    def connect(self, database="postgres"):
        db = psycopg2.connect(host=str(self.folder), user="chat",
                              dbname=database)
        db.autocommit = True
        return db

    def _answers(self):
        try:
            self.connect().close()
        except psycopg2.OperationalError:
            return False
        return True

    def signal_all(self, number):
        """To the server and all that it has forked."""
        for pid in [self.pid, *children(self.pid)]:
            os.kill(pid, number)

    def stop(self, number=signal.SIGINT, timeout=15):
        # SIGTERM would wait for the clients to go.
        return super().stop(number, timeout)


class PostgresMembership:
    """A database of its own in a running Postgres."""

    def __init__(self, server, name):
        self.server = server
        self.name = name
        self.url = f"postgresql://chat@/{name}?host={server.folder}"
        self._run(f'CREATE DATABASE "{name}"', database="postgres")
        self._run(TABLES.format(serial="serial"))

    def _run(self, statement, values=None, database=None):
        db = self.server.connect(database or self.name)
        try:
            with db.cursor() as cursor:
                cursor.execute(statement, values)
        finally:
            db.close()

    def add(self, chat, *users):
        self._run("INSERT INTO chat_chatlist VALUES (%s, %s) "
                  "ON CONFLICT DO NOTHING", (chat, f"chat {chat}"))
        for user in users:
            self._run("INSERT INTO auth_user VALUES (%s, %s) "
                      "ON CONFLICT DO NOTHING", (user, f"user {user}"))
            self._run("INSERT INTO chat_chatlist_users (chat_id, user_id) "
                      "VALUES (%s, %s) ON CONFLICT DO NOTHING", (chat, user))

    def remove(self, chat, user):
        self._run("DELETE FROM chat_chatlist_users WHERE chat_id = %s "
                  "AND user_id = %s", (chat, user))


class ChatWorker(Process):
    """settings: {section: {name: value}}, laid over the defaults here."""

    def __init__(self, folder, redis_url, membership_url, settings=None,
                 name="chat-worker", env=None):
        self.socket = folder / f"{name}.sock"
        self.settings = {
            "relay": {"listen": [f"unix:{self.socket}"]},
            "redis": {"url": redis_url},
            "membership": {"url": membership_url},
            "log": {"level": "debug"},
        }
        for section, values in (settings or {}).items():
            self.settings.setdefault(section, {}).update(values)
        self.config = folder / f"{name}.toml"
        self.write_config()
        super().__init__(name, [CHAT_WORKER, "-c", self.config],
                         folder / f"{name}.log",
                         lambda: accepts(self.socket), env)

    def write_config(self):
        # A JSON string, number, boolean or list of these is TOML as well.
        lines = []
        for section, values in self.settings.items():
            lines.append(f"[{section}]")
            lines += [f"{name} = {json.dumps(value)}"
                      for name, value in values.items()]
        self.config.write_text("\n".join(lines) + "\n")


class Nginx(Process):
    """nginx with the module. `chat` are the directives of the location
    /chat/chat_websocket/, `server` and `http` are added where they say."""

    def __init__(self, folder, chat, server="", http="", main="", workers=1,
                 daemon=False, name="nginx",
                 events="worker_connections 12000;"):
        self.folder = folder / name
        self.folder.mkdir()
        self.port = free_port()
        self.error_log = folder / f"{name}-error.log"
        self.config = folder / f"{name}.conf"
        self.daemon_pid = None
        self.parts = {"chat": chat, "server": server, "http": http,
                      "main": main, "workers": workers, "daemon": daemon,
                      "events": events}
        self.write_config()
        super().__init__(
            name, [NGINX, "-p", self.folder, "-c", self.config,
                   "-e", self.error_log],
            folder / f"{name}.log",
            lambda: accepts(("127.0.0.1", self.port)))

    def start(self):
        if not self.parts["daemon"]:
            return super().start()
        subprocess.run(self.command, check=True, stdin=subprocess.DEVNULL)
        wait_until(self.ready, what="nginx ready")
        self.daemon_pid = self._read_pid()
        return self

    def _read_pid(self):
        try:
            return int((self.folder / "nginx.pid").read_text())
        except (OSError, ValueError):
            return None

    def write_config(self, **parts):
        """Writes nginx.conf, with parts replaced (see reload())."""
        self.parts.update(parts)
        folder = self.folder
        temp = "\n".join(
            f"    {kind}_temp_path {folder}/{kind};" for kind in
            ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        # Several workers get connections even when all of them are idle.
        spread = "reuseport" if self.parts["workers"] > 1 else ""
        self.config.write_text(f"""\
load_module {MODULE};
{"user root;" if os.getuid() == 0 else ""}
env LD_PRELOAD;  # sanitizers, for a new binary too
env ASAN_OPTIONS;
env UBSAN_OPTIONS;
daemon {"on" if self.parts["daemon"] else "off"};
worker_processes {self.parts["workers"]};
error_log {self.error_log} info;
pid {folder}/nginx.pid;
{self.parts["main"]}
events {{
    {self.parts["events"]}
}}
http {{
    access_log {folder}/access.log;
{temp}
    {self.parts["http"]}
    server {{
        listen 127.0.0.1:{self.port} backlog=8192 {spread};
        server_name localhost;
        {self.parts["server"]}
        location /chat/chat_websocket/ {{
            {self.parts["chat"]}
        }}
    }}
}}
""")

    def worker_pids(self):
        """The nginx worker processes, those that are shutting down too."""
        return children(self.pid)

    def reload(self, **parts):
        """Reloads, and waits until the new workers are there."""
        self.write_config(**parts)
        old = set(self.worker_pids())
        self.send_signal(signal.SIGHUP)
        wait_until(lambda: len(set(self.worker_pids()) - old) ==
                   self.parts["workers"], what="new nginx workers")

    def upgrade(self):
        """Exchanges the binary as an administrator does: USR2, then QUIT for
        the old master once the new one has its workers. Needs daemon."""
        old = self.pid
        self.send_signal(signal.SIGUSR2)
        self.daemon_pid = wait_until(
            lambda: self._read_pid() != old and self._read_pid(),
            what="the new nginx's pid file")
        wait_until(self.worker_pids, what="the new nginx's workers")
        os.kill(old, signal.SIGQUIT)
        wait_until(lambda: not is_running(old), what="the old nginx's end")

    @property
    def pid(self):
        return self.daemon_pid or super().pid

    @property
    def alive(self):
        return (is_running(self.daemon_pid) if self.daemon_pid
                else super().alive)

    def stop(self, number=signal.SIGTERM, timeout=15):
        if not self.daemon_pid:
            return super().stop(number, timeout)
        self.send_signal(number)
        wait_until(lambda: not self.alive, timeout, "the end of nginx")
        return None
