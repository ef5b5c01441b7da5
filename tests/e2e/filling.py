"""A capture on a disk that somebody else fills and empties, again and again, while it runs."""

import errno
import itertools
import os
import subprocess
import threading
import time

import frames
from harness import LIMIT, wait_until
from torture import Dice

FULL = {errno.ENOSPC, errno.EDQUOT}
STILL_S = 0.03  # nothing moves for so long: it waits


def message(number, dice):
    size = dice.log_uniform(1, 3000) if dice.randrange(2000) else dice.randrange(100_000, 400_000)
    return b"%d %s" % (number, b"m" * size)


class Stream:
    """Sends numbered messages until it is told to end; knows what they were by dice of its own."""

    def __init__(self, seed):
        self._seed = seed
        self.sent, self._end = 0, threading.Event()

    def _messages(self):
        dice = Dice("messages", self._seed)
        return (message(number, dice) for number in itertools.count())

    def script(self, connection):
        connection.upgrade()
        messages = self._messages()
        while not self._end.is_set():
            block = [next(messages) for _ in range(50)]
            connection.socket.settimeout(None)
            connection.send(b"".join(map(frames.text, block)))
            self.sent += len(block)
        connection.socket.settimeout(LIMIT)
        connection.finish()

    def end(self):
        self._end.set()

    def check(self, got):
        """What came out is what was sent, in order and to the last."""
        lines = got.split(b"\n")
        assert lines.pop() == b"" and len(lines) == self.sent, f"{len(lines)} of {self.sent}"
        for line, sent in zip(lines, self._messages()):
            assert line == sent


class Reader:
    """Reads standard output, and keeps it."""

    def __init__(self, stream):
        self.parts, self.size, self._stream = [], 0, stream
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while part := self._stream.read1(1 << 16):
            self.parts.append(part)
            self.size += len(part)

    def all(self):
        self._thread.join(LIMIT)
        assert not self._thread.is_alive()
        return b"".join(self.parts)


class Filler:
    """A file that takes all that is free; room that comes later too, until it is removed."""

    def __init__(self, path):
        self._path = path

    def fill(self):
        fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            for size in (65536, 4096):
                try:
                    while os.write(fd, b"x" * size):
                        pass
                except OSError as error:
                    if error.errno not in FULL:
                        raise
        except OSError as error:
            if error.errno not in FULL:
                raise
        finally:
            os.close(fd)

    def remove(self):
        self._path.unlink(missing_ok=True)


def fill_until_still(filler, reader):
    """Fills until nothing comes out any more: all that was captured is out, and nothing can be."""
    end, still, size = time.monotonic() + LIMIT, time.monotonic(), reader.size
    while time.monotonic() - still < STILL_S:
        try:
            filler.fill()
        except OSError as error:  # the name itself found no room
            assert error.errno in FULL
        if reader.size != size:
            still, size = time.monotonic(), reader.size
        assert time.monotonic() < end, "it is never full"
        time.sleep(0.002)


def fill_and_free(weir, serve, disk, cycles, *options):
    """Returns how often it was full, and went on."""
    stream = Stream(cycles)
    server = serve(stream.script)
    process = weir.start_capture(server.url, "--dir", disk, "--segment-size", "50k", "--status",
                                 "json", *options, stdout=subprocess.PIPE)
    reader, filler = Reader(process.popen.stdout), Filler(disk / "filler")
    for cycle in range(cycles):
        size = reader.size
        wait_until(lambda: reader.size > size,
                   f"it goes on after {cycle} times full: {process.err_so_far()}")
        fill_until_still(filler, reader)
        filler.remove()
    stream.end()
    report = process.wait().expect(0).report
    server.join()
    stream.check(reader.all())
    assert report["messages"] == stream.sent and report["dropped_messages"] == 0
    assert list(disk.iterdir()) == [], "nothing is left"
    return cycles
