"""Much that waits: a start takes little memory for it, and looks at none of the data."""

import os
import threading
import time

import pytest

from frames import text
from harness import LIMIT, wait_until
from spool_reader import HEADER
from spool_writer import Made, header, write_segment

MEMORY_MAX = 32 << 20


def start(weir, serve, spool):
    """How much memory a capture takes that has begun in the spool, and how long it took to."""
    connected = threading.Event()

    def script(connection):
        connected.set()
        connection.upgrade(more=text("one"))
        connection.answer_close()

    begun = time.monotonic()
    capture = weir.start_capture(serve(script).url, "--spool", spool, "--keep")
    assert connected.wait(LIMIT)
    seconds = time.monotonic() - begun
    wait_until(lambda: any(path.stat().st_size > HEADER.size for path in spool.glob("*.open")),
               "something is captured")
    memory = capture.peak_memory()
    capture.signal()
    capture.wait().expect(0)
    return memory, seconds


def is_measured():
    return os.environ.get("WEIR_SANITIZED") != "1"


def make_many(spool, count):
    """Sealed segments of one message."""
    write_segment(spool, 0, [Made(b"hello")])
    data, index = (spool / f"{0:020}{ending}" for ending in (".data", ".index"))
    payload, entry = data.read_bytes(), index.read_bytes()[64:]
    for seq in range(1, count):
        (spool / f"{seq:020}.data").write_bytes(payload)
        (spool / f"{seq:020}.index").write_bytes(header(seq) + entry)


def many(weir, serve, place, count):
    spool = place.directory("spool")
    (spool / "lock").write_text(f"next {count:020}\n")
    make_many(spool, count)
    memory, seconds = start(weir, serve, spool)
    print(f"torture: {count} segments: {memory >> 10} KiB, {seconds:.2f} s")
    assert memory <= MEMORY_MAX or not is_measured()


def test_many_segments(weir, serve, place):
    many(weir, serve, place, 2000)


@pytest.mark.torture
def test_a_hundred_thousand_segments(weir, serve, place):
    many(weir, serve, place, 100_000)


def test_a_tebibyte(weir, serve, place):
    """Sparse: nothing of it is on the disk, and reading it would take minutes."""
    spool = place.directory("spool")
    size, count = 16 << 30, 64
    (spool / "lock").write_text(f"next {count << 28:020}\n")
    for n in range(count):
        with open(spool / f"{n << 28:020}.index", "wb") as index:
            index.write(header(n << 28))
            index.truncate(64 + 32 * (1 << 20))
        with open(spool / f"{n << 28:020}.data", "wb") as data:
            data.truncate(size)
    memory, seconds = start(weir, serve, spool)
    print(f"torture: 1 TiB: {memory >> 10} KiB, {seconds:.2f} s")
    assert memory <= MEMORY_MAX or not is_measured()
