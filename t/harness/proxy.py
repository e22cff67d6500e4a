"""A Unix-socket proxy that can be told to misbehave: between chat-worker and
Redis, or between nginx and chat-worker."""

import socket
import threading
import time


class Proxy:
    """Listens on `path` and passes everything on to `target`.

    delay       seconds to wait before each piece of an answer
    refusing    new connections are closed at once
    holding     nothing is read from anybody, so that senders' buffers fill
    cut_after   bytes of answers (counted over all connections from now on)
                after which the connection that brings them is cut; None: never
    """

    def __init__(self, path, target):
        self.path = str(path)
        self.target = str(target)
        self.delay = 0.0
        self.refusing = False
        self.holding = False
        self._remaining = None
        self._lock = threading.Lock()
        self._pairs = set()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Cuts every connection now."""
        with self._lock:
            pairs = list(self._pairs)
        for pair in pairs:
            self._end(pair)

    def cut_after(self, count):
        with self._lock:
            self._remaining = count

    def inject(self, data):
        """Sends bytes of our own toward the clients of the proxy."""
        with self._lock:
            pairs = list(self._pairs)
        for client, _ in pairs:
            try:
                client.sendall(data)
            except OSError:
                pass

    def close(self):
        self.refusing = True
        self.holding = False
        self._listener.close()
        self.cut()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            try:
                if self.refusing:
                    raise ConnectionRefusedError
                server.connect(self.target)
            except OSError:
                client.close()
                server.close()
                continue
            pair = (client, server)
            with self._lock:
                self._pairs.add(pair)
            for source, sink, answers in ((client, server, False),
                                          (server, client, True)):
                threading.Thread(target=self._pump, daemon=True,
                                 args=(pair, source, sink, answers)).start()

    def _pump(self, pair, source, sink, answers):
        try:
            while data := source.recv(1 << 16):
                while self.holding:
                    time.sleep(0.01)
                if answers and self.delay:
                    time.sleep(self.delay)
                allowed = self._allowed(len(data)) if answers else len(data)
                sink.sendall(data[:allowed])
                if allowed < len(data):
                    break
        except OSError:
            pass
        self._end(pair)

    def _allowed(self, size):
        with self._lock:
            if self._remaining is None:
                return size
            allowed = min(size, self._remaining)
            self._remaining -= allowed
            if allowed < size:
                self._remaining = None
            return allowed

    def _end(self, pair):
        with self._lock:
            self._pairs.discard(pair)
        for end in pair:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            end.close()
