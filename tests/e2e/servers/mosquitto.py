"""mosquitto over WebSockets, and a publisher that speaks just enough MQTT to feed it.

A client that does not ask for the subprotocol mqtt is accepted, and never hears another word.
"""

import socket

from harness import LIMIT
from harness import free_port
from servers.program import Program, listens

# One with WebSockets alone does not start. The name after the port is an interface there.
CONFIGURATION = """
user root
persistence false
allow_anonymous true
listener {plain_port} 127.0.0.1
listener {port} lo
protocol websockets
"""
CONNECT = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00"
CONNACK = b"\x20\x02\x00\x00"


class MosquittoServer(Program):
    name, package = "mosquitto", "mosquitto"

    def choose_ports(self):
        super().choose_ports()
        self._plain_port = free_port()

    def command(self):
        (self.directory / "conf").write_text(
            CONFIGURATION.format(port=self.port, plain_port=self._plain_port))
        return ["-v", "-c", "conf"]

    def ready(self):
        return listens(self._plain_port) and listens(self.port)

    def publish(self, topic, payload, retain=False):
        body = len(topic).to_bytes(2, "big") + topic.encode() + payload
        assert len(body) < 128, "the length of an MQTT packet has one byte here"
        with socket.create_connection(("127.0.0.1", self._plain_port), LIMIT) as publisher:
            publisher.sendall(CONNECT)
            assert publisher.recv(4, socket.MSG_WAITALL) == CONNACK
            publisher.sendall(bytes([0x31 if retain else 0x30, len(body)]) + body + b"\xe0\x00")
            assert publisher.recv(1) == b"", "it did not end the connection"
