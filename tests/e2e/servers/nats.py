"""nats-server with its WebSocket listener.

Over it goes what goes over NATS's own TCP port: lines that end in CR LF. The server takes them from
text and from binary messages alike, so `weir --send` can subscribe; its own messages are binary.
"""

import json
import re
import socket

from harness import LIMIT, wait_until
from servers.program import Program

CONFIGURATION = """
listen: "127.0.0.1:{port}"
ports_file_dir: "."
max_payload: 8388608
max_pending: 67108864
websocket {{ listen: "127.0.0.1:{websocket_port}", no_tls: true, compression: true }}
{more}
"""
DELIVERY = re.compile(rb"MSG \S+ \d+ (\d+)\r\n")


class NatsServer(Program):
    name, package = "nats-server", "nats-server"

    def __init__(self, more=""):
        self._more = more
        self._ports = -1, -1  # its word for any free port
        super().__init__()

    def choose_ports(self):
        pass

    def command(self):
        self._forget_ports()
        port, websocket_port = self._ports
        (self.directory / "conf").write_text(
            CONFIGURATION.format(port=port, websocket_port=websocket_port, more=self._more))
        return ["-c", "conf"]

    def _forget_ports(self):
        for path in self.directory.glob("*.ports"):
            path.unlink()

    def ready(self):
        """It writes its ports into a file, when it has them."""
        for path in self.directory.glob("*.ports"):
            if text := path.read_text():
                self._ports = tuple(int(json.loads(text)[kind][0].rpartition(":")[2])
                                    for kind in ("nats", "websocket"))
                return True
        return False

    @property
    def url(self):
        return f"ws://127.0.0.1:{self._ports[1]}/"

    def publish(self, subject, payloads):
        """Returns when the server has them all."""
        with socket.create_connection(("127.0.0.1", self._ports[0]), LIMIT) as publisher:
            publisher.sendall(b'CONNECT {"verbose":false}\r\n')
            for payload in payloads:
                head = f"PUB {subject} {len(payload)}\r\n".encode()
                publisher.sendall(head + payload + b"\r\n")
            publisher.sendall(b"PING\r\n")
            with publisher.makefile("rb") as answers:
                wait_until(lambda: answers.readline() == b"PONG\r\n", "everything is published")


def subscription(subject):
    """What to send first; the server's PONG says that it is in force."""
    return f'CONNECT {{"verbose":false}}\r\nSUB {subject} 1\r\nPING\r\n'


def deliveries(stream):
    """The payloads in what the server said after its PONG."""
    stream = stream.partition(b"PONG\r\n")[2]
    found, at = [], 0
    while line := DELIVERY.match(stream, at):
        end = line.end() + int(line[1])
        assert stream[end:end + 2] == b"\r\n", f"no message ends at {end}"
        found.append(stream[line.end():end])
        at = end + 2
    return found, stream[at:]
