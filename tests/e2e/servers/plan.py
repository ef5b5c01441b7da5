"""What an honest server shall send: steps that servers in any language can play.

A step is a list: ["text"|"binary", [length of each fragment]], ["ping"|"pong", length],
["close", code], ["pinged", [length of each fragment], length of each ping between them], or
["echo", count]: so many messages of the client's are sent back.
The payloads of all steps stand in one block of bytes, one after the other.
"""


class Plan:
    def __init__(self):
        self.steps, self.payloads = [], []
        self.sent = []  # (kind, payload) of every message
        self.pings = []  # payload of every ping

    def _add(self, step, payload):
        self.steps.append(step)
        self.payloads.append(payload)
        return self

    def message(self, kind, *pieces):
        """One message; several pieces are as many frames."""
        whole = b"".join(pieces)
        self.sent.append((kind, whole))
        return self._add([kind, [len(piece) for piece in pieces]], whole)

    def text(self, *pieces):
        return self.message("text", *(p.encode() if isinstance(p, str) else p for p in pieces))

    def binary(self, *pieces):
        return self.message("binary", *pieces)

    def ping(self, payload=b""):
        self.pings.append(payload)
        return self._add(["ping", len(payload)], payload)

    def pong(self, payload=b""):
        return self._add(["pong", len(payload)], payload)

    def ping_inside(self, *pieces):
        """A text message with a ping of four bytes before each of its frames but the first."""
        self.sent.append(("text", b"".join(pieces)))
        pings = [number.to_bytes(4, "big") for number in range(1, len(pieces))]
        mixed = pieces[0] + b"".join(ping + piece for ping, piece in zip(pings, pieces[1:]))
        self.pings += pings
        return self._add(["pinged", [len(piece) for piece in pieces], 4], mixed)

    def echo(self, *messages):
        """Waits for these (kind, payload) of the client, and sends back what came."""
        self.sent += messages
        return self._add(["echo", len(messages)], b"")

    def close(self, code=1000):
        return self._add(["close", code], b"")

    @property
    def block(self):
        return b"".join(self.payloads)
