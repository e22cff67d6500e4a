"""The systems under test: how each is started, and how the client speaks to
it. Each start() leaves a server that listens on 127.0.0.1:port."""

import os
import re
import shutil
import sqlite3
import subprocess

from .processes import Servers, free_port

MAX_CONNECTIONS = 30000

NGINX = """
daemon off;
{user}
worker_processes {workers};
pid {directory}/nginx.pid;
error_log {directory}/error.log error;
{modules}
events {{ worker_connections {connections}; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    ssl_session_cache off;
    ssl_session_tickets off;
    keepalive_requests 1000000;
    keepalive_timeout 600s;
    {http}
    server {{
        listen 127.0.0.1:{port} {tls} backlog=4096;
        {certificate}
        {locations}
    }}
}}
"""


class Setup:
    """What a case asks of a server."""

    def __init__(self, paths, directory, workers=1, tls=False, deflate=False,
                 aof=True, chats=()):
        self.paths = paths
        self.directory = directory
        self.workers = workers
        self.tls = tls
        self.deflate = deflate
        self.aof = aof
        self.chats = chats
        self.port = free_port()

    def file(self, name):
        return os.path.join(self.directory, name)

    def write(self, name, text):
        with open(self.file(name), "w") as f:
            f.write(text)
        return self.file(name)


class System:
    name = ""
    title = ""
    protocol = "plain"
    path = "/g/"
    stored = False
    can = frozenset()

    def __init__(self, setup):
        self.setup = setup
        self.servers = Servers(setup.directory)

    def start(self):
        raise NotImplementedError

    def start_nginx(self, modules, locations, http=""):
        setup = self.setup
        conf = setup.write("nginx.conf", NGINX.format(
            user="user root;" if os.geteuid() == 0 else "",
            workers=setup.workers, directory=setup.directory,
            modules="\n".join(f"load_module {m};" for m in modules),
            connections=MAX_CONNECTIONS, http=http, port=setup.port,
            tls="ssl" if setup.tls else "",
            certificate=(f"ssl_certificate {setup.paths['certificate']};\n"
                         f"ssl_certificate_key {setup.paths['key']};"
                         if setup.tls else ""),
            locations=locations))
        self.servers.start(["nginx", "-c", conf, "-p", setup.directory])
        self.servers.wait_for(setup.port)

    def start_redis(self):
        setup = self.setup
        sock = setup.file("redis.sock")
        self.servers.start([
            "redis-server", "--port", "0", "--unixsocket", sock,
            "--dir", setup.directory, "--save", "",
            "--appendonly", "yes" if setup.aof else "no"])
        self.servers.wait_for(sock)
        return sock

    def start_node(self, program, script, env=None):
        setup = self.setup
        env = {"PORT": str(setup.port), "NODE_ENV": "production",
               "DEFLATE": "1" if setup.deflate else "0", **(env or {})}
        if setup.tls:
            env["TLS_CERT"] = setup.paths["certificate"]
            env["TLS_KEY"] = setup.paths["key"]
        self.servers.start(
            [program, os.path.join(setup.paths["peers"], script)], env)
        self.servers.wait_for(setup.port)

    def left_behind(self):
        """Messages that are still stored though all were acknowledged, or
        None where nothing can be asked."""
        return None

    def stop(self):
        self.servers.stop()


class Project(System):
    name = "project"
    title = "this project"
    protocol = "chat"
    path = "/chat"
    stored = True
    can = frozenset(("fanout", "half", "pairs", "heartbeat", "idle",
                     "handshake", "tls", "replay", "deflate", "workers",
                     "aof", "latency", "linear"))

    def start(self):
        setup = self.setup
        self.redis = self.start_redis()
        self._write_members()
        relay = setup.file("worker.sock")
        conf = setup.write("chat-worker.toml", f"""
[relay]
listen = ["unix:{relay}"]

[redis]
url = "unix://{self.redis}"

[membership]
url = "sqlite:{setup.file('chat.db')}"
cache_ttl = "1h"
cache_size = 200000

[log]
level = "warn"
""")
        self.servers.start([setup.paths["worker"], "-c", conf])
        self.servers.wait_for(relay)
        deflate = "chat_compression on;" if setup.deflate else ""
        self.start_nginx([setup.paths["module"]], f"""
        location /chat {{
            chat_pass unix:{relay};
            chat_user $arg_user;
            {deflate}
        }}""")

    def _write_members(self):
        with sqlite3.connect(self.setup.file("chat.db")) as db:
            db.execute("CREATE TABLE chat_chatlist_users ("
                       "id INTEGER PRIMARY KEY, chat_id INTEGER NOT NULL, "
                       "user_id INTEGER NOT NULL, UNIQUE (chat_id, user_id))")
            db.executemany(
                "INSERT INTO chat_chatlist_users (chat_id, user_id) "
                "VALUES (?, ?)",
                ((chat, user) for chat, users in self.setup.chats
                 for user in users))
        db.close()

    def left_behind(self):
        keys = subprocess.run(
            ["redis-cli", "-s", self.redis, "--scan", "--pattern",
             "WaitSendNews_*"], capture_output=True, text=True).stdout
        return len(keys.split())


class Echo(System):
    """The module with nothing but the echo worker, which sends each message
    to all sessions: what nginx and the relay cost without any chat."""
    name = "module"
    title = "module + broadcast worker"
    path = "/g/"
    can = frozenset(("fanout", "heartbeat", "idle", "handshake", "tls",
                     "workers", "latency"))

    def start(self):
        setup = self.setup
        relay = setup.file("worker.sock")
        self.servers.start([setup.paths["echo"], "--broadcast",
                            f"unix:{relay}"])
        self.servers.wait_for(relay)
        deflate = "chat_compression on;" if setup.deflate else ""
        self.start_nginx([setup.paths["module"]], f"""
        location /g/ {{
            chat_pass unix:{relay};
            chat_user $uri;
            {deflate}
        }}""")


class Nchan(System):
    name = "nchan"
    title = "nchan"
    protocol = "nchan"
    path = "/sub/"
    can = frozenset(("fanout", "pairs", "heartbeat", "idle", "handshake",
                     "tls", "deflate", "workers", "latency", "replay"))

    def start(self):
        deflate = ("nchan_deflate_message_for_websocket on;"
                   if self.setup.deflate else "")
        self.start_nginx(
            ["/usr/lib/nginx/modules/ngx_nchan_module.so"], f"""
        location ~ ^/sub/(\\d+)$ {{
            nchan_subscriber websocket;
            nchan_channel_id $1;
            nchan_subscriber_first_message oldest;
        }}
        location ~ ^/pub/(\\d+)$ {{
            nchan_publisher;
            nchan_channel_id $1;
            nchan_message_buffer_length 200;
            nchan_message_timeout 10m;
            {deflate}
        }}""", http="nchan_shared_memory_size 256m;")


class Mosquitto(System):
    name = "mosquitto"
    title = "mosquitto, QoS 1"
    protocol = "mqtt"
    stored = True
    can = frozenset(("fanout", "half", "pairs", "heartbeat", "idle",
                     "handshake", "tls", "replay", "latency"))

    def start(self):
        setup = self.setup
        tls = (f"certfile {setup.paths['certificate']}\n"
               f"keyfile {setup.paths['key']}\n" if setup.tls else "")
        user = "user root\n" if os.geteuid() == 0 else ""
        conf = setup.write("mosquitto.conf", f"""
listener {setup.port} 127.0.0.1
{tls}
{user}
allow_anonymous true
persistence true
persistence_location {setup.directory}/
max_inflight_messages 0
max_queued_messages 0
set_tcp_nodelay true
log_dest none
""")
        program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
        self.servers.start([program, "-c", conf])
        self.servers.wait_for(setup.port)


class SocketIo(System):
    name = "socketio"
    title = "socket.io + Redis"
    protocol = "socketio"
    can = frozenset(("fanout", "pairs", "heartbeat", "idle", "handshake",
                     "tls", "deflate", "latency"))

    def start(self):
        redis = self.start_redis()
        self.start_node("node", "socketio_server.cjs",
                        {"REDIS_SOCKET": redis})


class Ws(System):
    name = "ws"
    title = "ws (npm)"
    can = frozenset(("fanout", "pairs", "heartbeat", "idle", "handshake",
                     "tls", "deflate", "latency"))

    def start(self):
        self.start_node("node", "ws_server.cjs")


class Bun(System):
    name = "bun"
    title = "uWebSockets (Bun)"
    can = frozenset(("fanout", "pairs", "heartbeat", "idle", "handshake",
                     "tls", "deflate", "latency"))

    def start(self):
        self.start_node(self.setup.paths["bun"], "bun_server.cjs")


class Floor(System):
    name = "floor"
    title = "floor: bare send()"
    can = frozenset(("fanout", "pairs", "heartbeat", "idle", "handshake",
                     "latency"))

    def start(self):
        self.servers.start([self.setup.paths["floor"], str(self.setup.port)])
        self.servers.wait_for(self.setup.port)


SYSTEMS = {system.name: system for system in
           (Project, Echo, Nchan, Mosquitto, SocketIo, Ws, Bun, Floor)}


def _first_line(command):
    try:
        done = subprocess.run(command, capture_output=True, text=True)
        return (done.stdout + done.stderr).strip().split("\n")[0]
    except OSError:
        return "not installed"


def versions(paths):
    def package(name):
        path = os.path.join(paths["peers"], "node_modules", name,
                            "package.json")
        try:
            with open(path) as f:
                return re.search(r'"version":\s*"([^"]+)"', f.read())[1]
        except OSError:
            return "not installed"

    debian = subprocess.run(
        ["dpkg-query", "-W", "-f", "${Package} ${Version}\n", "nginx",
         "libnginx-mod-nchan", "mosquitto", "redis-server"],
        capture_output=True, text=True).stdout.strip().split("\n")
    return debian + [
        "node " + _first_line(["node", "--version"]),
        "socket.io " + package("socket.io"),
        "@socket.io/redis-adapter " + package("@socket.io/redis-adapter"),
        "ws " + package("ws"), "bun " + package("bun"),
        "this project " + _first_line(
            ["git", "-C", os.path.dirname(os.path.abspath(__file__)),
             "describe", "--always", "--dirty"])]
