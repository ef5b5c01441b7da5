"""permessage-deflate (RFC 7692) as a hostile server speaks it, from nothing but Python's zlib."""

import functools
import zlib

import frames

NAME = "permessage-deflate"
TAIL = b"\x00\x00\xff\xff"
RSV1 = 4


class Packer:
    """Compresses the messages of one connection, with what went before as its context."""

    def __init__(self, takeover=True, bits=15, level=6):
        self._takeover, self._bits, self._level = takeover, bits, level
        self._begin()

    def _begin(self):
        self._zlib = zlib.compressobj(self._level, zlib.DEFLATED, -self._bits)

    def pack(self, payload):
        packed = self._zlib.compress(payload) + self._zlib.flush(zlib.Z_SYNC_FLUSH)
        if not self._takeover:
            self._begin()
        assert packed.endswith(TAIL)
        return packed[:-len(TAIL)]

    def text(self, payload):
        return message(frames.TEXT, self.pack(payload))

    def binary(self, payload):
        return message(frames.BINARY, self.pack(payload))


class Unpacker:
    """Decompresses what the client sent."""

    def __init__(self, takeover=True, bits=15):
        self._takeover, self._bits = takeover, bits
        self._begin()

    def _begin(self):
        self._zlib = zlib.decompressobj(-self._bits)

    def unpack(self, packed):
        payload = self._zlib.decompress(packed + TAIL)
        assert not self._zlib.unconsumed_tail and not self._zlib.unused_data
        if not self._takeover:
            self._begin()
        return payload


def message(opcode, packed):
    return frames.frame(opcode, packed, reserved=RSV1)


def fragments(opcode, packed, size, between=b""):
    """A compressed message in frames of `size` bytes, with other bytes between them."""
    pieces = [packed[at:at + size] for at in range(0, len(packed), size)] or [b""]
    last = len(pieces) - 1
    return between.join(frames.frame(frames.CONTINUATION if i else opcode, piece, fin=i == last,
                                     reserved=0 if i else RSV1)
                        for i, piece in enumerate(pieces))


def upgrade(connection, more=b"", answer=NAME):
    """Reads the request, which must offer compression, and agrees to it."""
    connection.read_request()
    offer = connection.request.value("sec-websocket-extensions")
    assert offer == f"{NAME}; client_max_window_bits"
    connection.answer(*connection.accept_lines(), f"Sec-WebSocket-Extensions: {answer}", more=more)


def sending(data, code=1000, answer=NAME):
    """A script that agrees to compression, sends these bytes and closes as one should."""
    def script(connection):
        upgrade(connection, answer=answer)
        connection.send(data)
        assert connection.finish(code) == code
    return script


@functools.cache
def bomb(size, byte=b"\0"):
    """A compressed message that holds so many equal bytes."""
    packer, block = zlib.compressobj(9, zlib.DEFLATED, -15), byte * (1 << 20)
    parts = [packer.compress(block) for _ in range(size >> 20)]
    parts += [packer.compress(byte * (size % len(block))), packer.flush(zlib.Z_SYNC_FLUSH)]
    return b"".join(parts)[:-len(TAIL)]
