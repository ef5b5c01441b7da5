"""A server whose every byte a test decides.

A script is a function that gets a Connection. What it does not catch fails the test. Each client
gets the script from its start, in a thread of its own.
"""

import array
import base64
import fcntl
import hashlib
import select
import socket
import struct
import termios
import threading
from dataclasses import dataclass, field
from pathlib import Path

import frames
from harness import LIMIT, wait_until

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_MAX = 65536


@dataclass
class Request:
    line: str
    headers: list  # (name in lower case, value), in order

    def values(self, name):
        return [value for key, value in self.headers if key == name]

    def value(self, name):
        values = self.values(name)
        assert len(values) == 1, f"{len(values)} headers {name!r} in the request"
        return values[0]

    @property
    def accept(self):
        key = self.value("sec-websocket-key").encode()
        return base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()

    def check(self):
        """RFC 6455, section 4.1."""
        method, target, version = self.line.split(" ")
        assert (method, version) == ("GET", "HTTP/1.1") and target.startswith("/")
        assert self.value("upgrade").lower() == "websocket"
        assert "upgrade" in [v.strip().lower() for v in self.value("connection").split(",")]
        assert self.value("sec-websocket-version") == "13"
        assert len(base64.b64decode(self.value("sec-websocket-key"), validate=True)) == 16
        assert self.value("host")


def unread_bytes(reader, writer):
    """Of the IPv4 connection between these ports: what its reader has yet to take, None without it."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        _, local, remote, _, queues, *_ = line.split()
        ports = [int(address.split(":")[1], 16) for address in (local, remote)]
        if ports == [reader, writer]:
            return int(queues.split(":")[1], 16)
    return None


@dataclass
class Connection:
    socket: socket.socket
    request: Request = None
    taken: bool = False  # wait_taken() saw the client read everything
    received: list = field(default_factory=list)  # every frame that the client sent
    close_payload: bytes = None  # of the client's close frame

    def receive(self, size):
        parts = []
        while size:
            part = self.socket.recv(min(size, 1 << 20))
            if not part:
                raise EOFError("the client hung up")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def read_request(self):
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.receive(1)
            assert len(head) < HEAD_MAX, "the request does not end"
        line, *rest = head[:-4].decode().split("\r\n")
        pairs = [header.split(":", 1) for header in rest]
        self.request = Request(line, [(name.lower(), value.strip()) for name, value in pairs])
        self.request.check()
        return self.request

    def answer(self, *lines, status="HTTP/1.1 101 Switching Protocols", more=b""):
        """The head of an answer, and `more` in the same packet."""
        self.socket.sendall("\r\n".join([status, *lines, "", ""]).encode() + more)

    def accept_lines(self):
        return ["Upgrade: websocket", "Connection: Upgrade",
                f"Sec-WebSocket-Accept: {self.request.accept}"]

    def upgrade(self, more=b""):
        """Reads the request and accepts it."""
        self.read_request()
        self.answer(*self.accept_lines(), more=more)

    def send(self, data):
        self.socket.sendall(data)

    def wait_taken(self):
        """Waits until the client has read all that was sent: from its socket, not only to its host."""
        own, client = self.socket.getsockname()[1], self.socket.getpeername()[1]
        left = array.array("i", [0])

        def arrived():
            fcntl.ioctl(self.socket, termios.TIOCOUTQ, left)
            return left[0] == 0

        wait_until(arrived, "everything arrived")
        wait_until(lambda: unread_bytes(client, own) == 0, "the client has read everything")
        self.taken = True

    def send_bytewise(self, data):
        """Every byte in a write of its own."""
        for at in range(len(data)):
            self.socket.sendall(data[at:at + 1])

    def send_while_wanted(self, data, times=1):
        """Sends again and again; returns how many bytes went out before the client hung up."""
        sent = 0
        view = memoryview(data)
        try:
            for _ in range(times):
                at = 0
                while at < len(view):
                    n = self.socket.send(view[at:at + (1 << 18)])
                    at, sent = at + n, sent + n
        except (BrokenPipeError, ConnectionResetError):
            pass
        return sent

    def send_until_heard(self, data):
        """Sends again and again, until the client says something."""
        while not select.select([self.socket], [], [], 0)[0]:
            self.socket.sendall(data)

    def next_frame(self):
        """The client's next frame, which must be a legal one."""
        frame = frames.read_frame(self.receive)
        assert frame.masked, f"a frame without a mask: {frame}"
        assert not frame.reserved and (frame.fin or frame.opcode < 8), f"a bad frame: {frame}"
        self.received.append(frame)
        return frame

    def next_of(self, opcode):
        while (frame := self.next_frame()).opcode != opcode:
            pass
        return frame

    def wait_close(self):
        """Waits for the client's close frame; returns its code, None when it holds none."""
        self.close_payload = self.next_of(frames.CLOSE).payload
        return frames.close_code(self.close_payload)

    def finish(self, code=1000):
        """Closes as one should: close frame, the client's answer, end."""
        self.send(frames.close(code))
        return self.wait_close()

    def answer_close(self):
        """Waits for the client's close frame and echoes it."""
        code = self.wait_close()
        self.send(frames.frame(frames.CLOSE, self.close_payload))
        return code

    def wait_end(self):
        """Waits until the client hangs up; what it sends meanwhile is dropped."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def reset(self):
        """Ends the connection with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


class HostileServer:
    def __init__(self, script, send_buffer=None, tls=None, listener=None):
        self._script, self._tls = script, tls
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        if send_buffer:
            self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
        self.port = self._listener.getsockname()[1]  # of no meaning for a Unix socket
        self.url = f"{'wss' if tls else 'ws'}://127.0.0.1:{self.port}/"
        self.connections = []
        self._failures = []
        self._threads, self._starting = [], threading.Lock()
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            client.settimeout(LIMIT)
            if client.family != socket.AF_UNIX:
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection = Connection(client)
            self.connections.append(connection)
            thread = threading.Thread(target=self._play, args=(connection,), daemon=True)
            with self._starting:
                self._threads.append(thread)
                thread.start()

    def _play(self, connection):
        try:
            if self._tls:
                connection.socket = self._tls.wrap_socket(connection.socket, server_side=True)
            self._script(connection)
        except Exception as failure:
            self._failures.append(failure)
        finally:
            connection.socket.close()

    def join(self):
        """Waits until every client was served; raises what went wrong in a script."""
        with self._starting:
            threads = list(self._threads)
        for thread in threads:
            thread.join(LIMIT)
            assert not thread.is_alive(), "the script of a server did not end"
        if self._failures:
            raise self._failures[0]

    def expect_failure(self, *kinds, clients=1):
        """The script ends with one of these, because the client went away without a word. It may
        have gone before it was seen to come."""
        wait_until(lambda: len(self._threads) >= clients, f"{clients} clients came")
        try:
            self.join()
        except kinds:
            self._failures.clear()
        else:
            raise AssertionError(f"the script did not end with one of {kinds}")

    @property
    def connection(self):
        """The only one, when its script has ended."""
        self.join()
        assert len(self.connections) == 1, f"{len(self.connections)} clients came"
        return self.connections[0]

    def finish(self):
        # Closing alone would not wake up accept().
        self._listener.shutdown(socket.SHUT_RDWR)
        self._acceptor.join(LIMIT)
        self._listener.close()
        self.join()


def sending(data, code=1000):
    """A script that upgrades, sends these bytes and closes as one should."""
    def script(connection):
        connection.upgrade()
        connection.send(data)
        assert connection.finish(code) == code
    return script


def sending_and_waiting(data):
    """A script that upgrades, sends these bytes and waits for the client to say close."""
    def script(connection):
        connection.upgrade()
        connection.send(data)
        connection.answer_close()
    return script


def flooding(data, times):
    """A script that sends the bytes many times and closes, unless the client has enough before."""
    def script(connection):
        connection.upgrade()
        if connection.send_while_wanted(data, times) < len(data) * times:
            return
        try:
            connection.finish()
        except (EOFError, OSError):
            pass
    return script
