"""A WebSocket client for weir feed, on a plain socket."""

import re
import socket

import frames
from harness import LIMIT, wait_until

REQUEST = """GET / HTTP/1.1\r
Host: 127.0.0.1\r
Upgrade: websocket\r
Connection: Upgrade\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
Sec-WebSocket-Version: 13\r
\r
""".encode()
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # the example of RFC 6455


class FeedClient:
    def __init__(self, url):
        host, port = re.fullmatch(r"ws://(.*):(\d+)/", url).groups()
        self.socket = socket.create_connection((host.strip("[]"), int(port)), LIMIT)
        self._stream = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._stream.close()
        self.socket.close()

    def upgrade(self, request=REQUEST):
        self.socket.sendall(request)
        return self.head()

    def head(self):
        """The status line and the headers, names in lower case."""
        status = self._stream.readline().decode().strip()
        headers = {}
        while line := self._stream.readline().decode().strip():
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
        return status, headers

    def send(self, opcode, payload=b"", **form):
        self.socket.sendall(frames.frame(opcode, payload, **{"masked": True, **form}))

    def receive(self, size):
        data = self._stream.read(size)
        if len(data) < size:
            raise EOFError("the feed hung up")
        return data

    def next(self):
        frame = frames.read_frame(self.receive)
        assert not frame.masked and not frame.reserved, f"a bad frame: {frame}"
        return frame

    def next_of(self, opcode, most=3000):
        """The next frame of this kind; messages before it are dropped, but not for ever."""
        for _ in range(most):
            if (frame := self.next()).opcode == opcode:
                return frame
        raise AssertionError(f"no frame of kind {opcode} among {most}")

    def messages(self):
        """Every (opcode, payload) up to the close frame, which is answered."""
        got = []
        while (frame := self.next()).opcode != frames.CLOSE:
            assert frame.fin and frame.opcode in (frames.TEXT, frames.BINARY)
            got.append((frame.opcode, frame.payload))
        assert frames.close_code(frame.payload) == 1000
        self.send(frames.CLOSE, frame.payload)
        return got


def started_feed(weir, *options):
    """A running feed and its URL, which is the first line it says."""
    process = weir.start("feed", *options)
    wait_until(lambda: b"\n" in process.out_so_far() or not process.running,
               "the feed says its URL")
    line = process.out_so_far()
    url = line.split(b"\n")[0].decode()
    assert re.fullmatch(r"ws://(127\.0\.0\.1|\[::1\]):\d+/", url), process.err_so_far()
    return process, url
