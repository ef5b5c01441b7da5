"""A spool whose messages are known, to be damaged."""

import pytest

from frames import texts
from servers.hostile import sending
from spool_reader import read_segment

MESSAGES = [b"message %d" % n for n in range(30)]


@pytest.fixture
def spool(weir, serve):
    """Three segments of ten messages."""
    result, spool = weir.captured(serve(sending(texts(MESSAGES))).url, "--segment-messages", "10")
    result.expect(0)
    return spool


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 0x10
    path.write_bytes(raw)


def index_of(spool, number):
    """The index with a message, and the message's place in it."""
    for path in spool.glob("*.index"):
        payloads = [r.payload for r in read_segment(path).records]
        if MESSAGES[number] in payloads:
            return path, payloads.index(MESSAGES[number])
    raise AssertionError(number)
