"""websockify in front of a plain TCP source: binary frames, as large as what it reads at once."""

import socket
import threading

from harness import LIMIT
from servers.program import Program


class WebsockifyServer(Program):
    name, package = "websockify", "websockify"

    def __init__(self, source, *options):
        self._source, self._options = source, options
        super().__init__()

    def command(self):
        return [*self._options, f"127.0.0.1:{self.port}", f"127.0.0.1:{self._source.port}"]


class TcpSource:
    """feed(socket) is called for each client, and decides what it gets."""

    def __init__(self, feed):
        self._feed, self._threads, self._failures = feed, [], []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(LIMIT)
            thread = threading.Thread(target=self._play, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _play(self, client):
        with client:
            try:
                self._feed(client)
            except Exception as failure:
                self._failures.append(failure)

    def finish(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(LIMIT)
        self._listener.close()
        for thread in self._threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), "a source did not end"
        if self._failures:
            raise self._failures[0]
