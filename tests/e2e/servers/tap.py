"""A tap on a connection: passes all bytes on, both ways, and keeps a copy of them.

It shows what a server that others wrote really sends, and what weir answers. An end of the stream
is passed on as what it was.
"""

import io
import re
import socket
import threading

import frames
from harness import LIMIT


class Tap:
    def __init__(self, url):
        host, port, path = re.fullmatch(r"ws://([^:/]*):(\d+)(/.*)", url).groups()
        self._target = (host, int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"ws://127.0.0.1:{self._listener.getsockname()[1]}{path}"
        self._sent, self._received = bytearray(), bytearray()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        """One client only."""
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        with client, socket.create_connection(self._target, LIMIT) as server:
            self._server = server
            back = threading.Thread(target=_pass_on, args=(server, client, self._sent), daemon=True)
            back.start()
            _pass_on(client, server, self._received)
            back.join(LIMIT)

    def finish(self):
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self._thread.join(LIMIT)
        assert not self._thread.is_alive(), "a tapped connection did not end"

    def say(self, text):
        """Says a word for the client, while it says nothing itself."""
        self._server.sendall(frames.text(text, masked=True))

    @property
    def head(self):
        """The answer of the server, without its last empty line."""
        return bytes(self._sent).partition(b"\r\n\r\n")[0].decode()

    def server_frames(self):
        return _frames(self._sent)

    def client_frames(self):
        return _frames(self._received)


def _pass_on(source, target, copy):
    source.settimeout(LIMIT)
    try:
        while data := source.recv(1 << 18):
            copy += data
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def _frames(copy):
    """All whole frames behind the head."""
    data = bytes(copy).partition(b"\r\n\r\n")[2]
    stream, found = io.BytesIO(data), []

    def receive(size):
        part = stream.read(size)
        if len(part) < size:
            raise EOFError
        return part

    try:
        while True:
            found.append(frames.read_frame(receive))
    except EOFError:
        return found
