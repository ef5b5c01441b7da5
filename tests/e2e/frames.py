"""WebSocket frames as bytes, right ones and wrong ones, for the servers of the tests."""

import os
import struct
from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


@dataclass(frozen=True)
class Frame:
    fin: bool
    reserved: int
    opcode: int
    masked: bool
    payload: bytes


def _length(size, masked, width):
    """The second byte and the length after it; `width` forces a form: 7, 16 or 64 bits."""
    width = width or (7 if size < 126 else 16 if size < 65536 else 64)
    mask_bit = 0x80 if masked else 0
    if width == 7:
        return bytes([mask_bit | size])
    if width == 16:
        return bytes([mask_bit | 126]) + struct.pack(">H", size)
    return bytes([mask_bit | 127]) + struct.pack(">Q", size)


def mask(payload, key):
    whole = int.from_bytes(payload, "little")
    keys = int.from_bytes((key * (len(payload) // 4 + 1))[:len(payload)], "little")
    return (whole ^ keys).to_bytes(len(payload), "little")


def frame(opcode, payload=b"", fin=True, reserved=0, masked=False, width=None):
    head = bytes([(0x80 if fin else 0) | reserved << 4 | opcode])
    head += _length(len(payload), masked, width)
    if not masked:
        return head + payload
    key = os.urandom(4)
    return head + key + mask(payload, key)


def text(payload, **form):
    return frame(TEXT, payload.encode() if isinstance(payload, str) else payload, **form)


def binary(payload, **form):
    return frame(BINARY, payload, **form)


def close(code=None, reason=b"", **form):
    payload = b"" if code is None else struct.pack(">H", code) + reason
    return frame(CLOSE, payload, **form)


def fragments(opcode, pieces):
    """One message in as many frames as there are pieces."""
    last = len(pieces) - 1
    return b"".join(frame(CONTINUATION if i else opcode, piece, fin=i == last)
                    for i, piece in enumerate(pieces))


def texts(payloads):
    return b"".join(text(payload) for payload in payloads)


def close_code(payload):
    return struct.unpack(">H", payload[:2])[0] if len(payload) >= 2 else None


def read_frame(receive):
    """One frame; `receive(n)` gives exactly n bytes."""
    first, second = receive(2)
    size = second & 127
    if size == 126:
        size = struct.unpack(">H", receive(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", receive(8))[0]
    masked = bool(second & 128)
    key = receive(4) if masked else b""
    payload = receive(size)
    return Frame(bool(first & 128), first >> 4 & 7, first & 15, masked,
                 mask(payload, key) if masked else payload)
