"""A disk that is full: a small tmpfs of our own, filled and emptied while a capture runs."""

import errno
import itertools
import os
import signal
import subprocess
import threading

import pytest

import frames
import packed
from frames import text, texts
from harness import LIMIT, wait_until
from servers.hostile import sending
from spool_reader import payloads_of, read_spool

BLOCK = [b"%06d " % n + b"x" * 193 for n in range(2000)]
STOP = ["--on-full", "stop"]
SAYS_FULL = "no space is left on the disk"


def overflow(weir, serve, *arguments, data=texts(BLOCK), times=20):
    """Sends more than the disk takes; the client must close with 1011."""
    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(data, times)
        assert connection.answer_close() == 1011

    server = serve(script)
    result = weir.capture(server.url, "--status", "json", *STOP, *arguments)
    server.join()
    return result


def is_prefix(payloads):
    return payloads == (BLOCK * (1 + len(payloads) // len(BLOCK)))[:len(payloads)]


@pytest.mark.parametrize("segment", ["64MiB", "100k"])
def test_everything_before_is_intact(weir, serve, small_disk, segment):
    spool = small_disk / "spool"
    result = overflow(weir, serve, "--keep", "--spool", spool, "--segment-size", segment)
    result.expect(5, str(spool), "space", "--on-full is stop")
    kept = payloads_of(spool)
    assert is_prefix(kept) and len(kept) > 100, "how many fit depends on how the stream was cut"
    assert result.report["messages"] == len(kept)
    assert all(path.suffix != ".open" for path in spool.iterdir()), "all is sealed"
    assert weir.cat(spool).expect(0).out == b"".join(p + b"\n" for p in kept)


def test_the_command_still_gets_what_was_captured(weir, serve, small_disk, place):
    total = place.root / "total"
    gate = place.root / "gate"
    command = f'while ! test -e {gate}; do sleep 0.01; done; cat "$1" >>{total}'

    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(texts(BLOCK), 20)
        gate.touch()
        assert connection.answer_close() == 1011

    server = serve(script)
    result = weir.capture(server.url, "--dir", small_disk, "--segment-size", "100k", "--status",
                          "json", *STOP, "--", "sh", "-c", command, "sh", "{}")
    server.join()
    result.expect(5)
    lines = total.read_bytes().split(b"\n")[:-1]
    assert is_prefix(lines) and len(lines) == result.report["messages"] > 1000
    assert list(small_disk.iterdir()) == [], "all was processed: the spool is gone"


def test_one_message_larger_than_the_disk(weir, serve, small_disk):
    spool = small_disk / "spool"
    data = text("fits") + frames.binary(b"x" * (4 << 20))
    result = overflow(weir, serve, "--keep", "--spool", spool, data=data, times=1)
    result.expect(5, str(spool))
    assert payloads_of(spool) == [b"fits"]


def test_full_from_the_start(weir, serve, small_disk):
    (small_disk / "filler").write_bytes(b"x" * (1 << 20))
    spool = small_disk / "spool"
    server = serve(lambda connection: connection.upgrade())
    result = weir.capture(server.url, "--keep", "--spool", spool, *STOP)
    result.expect(5, str(spool))


def test_the_next_run_can_read_what_the_full_disk_left(weir, serve, small_disk, place, collector):
    spool = small_disk / "spool"
    overflow(weir, serve, "--keep", "--spool", spool, "--segment-size", "200k").expect(5)
    kept = payloads_of(spool)
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [*kept, b"new"]
    assert read_spool(spool) == []


class Disk:
    """The small disk, with a file that fills it up."""

    def __init__(self, path):
        self.path, self._filler = path, path / "filler"

    def fill(self):
        fd = os.open(self._filler, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            while os.write(fd, b"x" * 65536):
                pass
        except OSError as error:
            assert error.errno == errno.ENOSPC
        finally:
            os.close(fd)

    def free(self):
        self._filler.unlink(missing_ok=True)


@pytest.fixture
def disk(small_disk):
    return Disk(small_disk)


def is_told(process, word=SAYS_FULL):
    wait_until(lambda: word in process.err_so_far(), f"it says {word}")


def test_it_waits_until_somebody_makes_room(weir, serve, disk):
    """The server has sent all and closed, and nothing of it is lost."""
    disk.fill()
    spool = disk.path / "spool"
    process = weir.start_capture(serve(sending(texts(BLOCK[:1000]))).url, "--keep", "--spool", spool,
                                 "--status", "json")
    is_told(process)
    assert process.running and payloads_of(spool) == []
    disk.free()
    report = process.wait().expect(0).report
    assert payloads_of(spool) == BLOCK[:1000] and report["messages"] == 1000
    assert process.err_so_far().count(SAYS_FULL) == 1


@pytest.mark.parametrize("urls", [1, 3])
@pytest.mark.parametrize("compressed", [False, True])
def test_processing_makes_room(weir, serve, disk, place, urls, compressed):
    """Much more than the disk takes goes through it, in order, to a command that is slow at first."""
    count, total, numbers = 12_000, place.root / "total", itertools.count()

    def script(connection):
        me = next(numbers)
        one = [b"%d %06d %s" % (me, n, b"y" * 400) for n in range(count // urls)]
        if compressed:
            packed.upgrade(connection)
            packer = packed.Packer()
            data = b"".join(packer.text(p) for p in one)
        else:
            connection.upgrade()
            data = texts(one)
        connection.send(data)
        connection.finish()

    server = serve(script)
    gate = place.root / "gate"
    command = f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}"
    process = weir.start_capture(*[server.url] * urls, "--dir", disk.path, "--segment-size", "200k",
                                 "--status", "json", "--", "sh", "-c", command)
    is_told(process)
    gate.touch()
    report = process.wait().expect(0).report
    assert report["messages"] == count // urls * urls
    lines = total.read_bytes().split(b"\n")[:-1]
    for number in {line.split()[0] for line in lines}:
        mine = [int(line.split()[1]) for line in lines if line.split()[0] == number]
        assert mine == list(range(count // urls))
    server.join()


@pytest.mark.parametrize("urls", [1, 2])
def test_messages_larger_than_a_buffer(weir, serve, disk, urls):
    """They are in pieces, in the segment or in the intake's files, when the disk is full."""
    sizes = [100, 300_000, 5, 700_000, 1_500_000, 0, 200_000]

    def script(connection):
        connection.upgrade()
        connection.send(b"".join(frames.binary(b"%d" % (n % 10) * size) for n, size in enumerate(sizes)))
        connection.finish()

    server, taken = serve(script), []
    spool = disk.path / "spool"
    gate, total = disk.path.parent / "gate", disk.path.parent / "total"
    command = f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}"
    disk.path.joinpath("filler").write_bytes(b"x" * 600_000)
    process = weir.start_capture(*[server.url] * urls, "--spool", spool, "--segment-size", "64k",
                                 "--status", "json", "--", "sh", "-c", command)
    is_told(process)
    gate.touch()
    subprocess.run(["mount", "-o", "remount,size=8m", disk.path], check=True)
    report = process.wait().expect(0).report
    taken = total.read_bytes()
    assert report["messages"] == len(sizes) * urls
    assert len(taken) == sum(size + 1 for size in sizes) * urls
    server.join()


def test_an_open_message_does_not_hold_up_what_is_before_it(weir, serve, small_disk, place):
    """It began in the segment whose other messages have to go before there is room for its end."""
    large, copy = b"y" * 700_000, place.root / "copy"
    server = serve(sending(texts(BLOCK) + text(large)))
    result = weir.capture(server.url, "--dir", small_disk, "--status", "json", "--", "sh", "-c",
                          f"cat {{}} >>{copy}")
    assert result.expect(0).report["messages"] == len(BLOCK) + 1
    assert copy.read_bytes() == b"".join(m + b"\n" for m in [*BLOCK, large])


@pytest.mark.parametrize("options", [[], ["--ephemeral"], ["--on-full", "drop-oldest"]])
def test_a_large_open_message_does_not_either(weir, serve, small_disk, place, options):
    """It is too large to be taken back into memory, and moves into a segment of its own."""
    subprocess.run(["mount", "-o", "remount,size=9m", small_disk], check=True)
    large, copy = b"y" * (8 << 20), place.root / "copy"
    server = serve(sending(texts(BLOCK * 5) + text(large) + texts(BLOCK)))
    result = weir.capture(server.url, "--dir", small_disk, "--status", "json", *options, "--", "sh",
                          "-c", f"cat {{}} >>{copy}")
    assert result.expect(0).report["dropped_messages"] == 0
    assert copy.read_bytes() == b"".join(m + b"\n" for m in [*BLOCK * 5, large, *BLOCK])


def test_a_signal_while_it_is_full(weir, serve, disk):
    """What waits in memory was never captured; what was captured is sealed."""
    spool = disk.path / "spool"

    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(texts(BLOCK), 20)
        assert connection.answer_close() == 1000

    server = serve(script)
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--status", "json")
    is_told(process)
    process.signal(signal.SIGINT)
    report = process.wait().expect(0).report
    kept = payloads_of(spool)
    assert is_prefix(kept) and report["messages"] == len(kept) > 100
    assert all(path.suffix != ".open" for path in spool.iterdir())
    server.join()


def test_a_limit_is_reached_when_there_is_room(weir, serve, disk):
    disk.fill()
    spool = disk.path / "spool"

    def script(connection):
        connection.upgrade(more=texts(BLOCK[:10]))
        assert connection.answer_close() == 1000

    server = serve(script)
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--messages", "5")
    is_told(process)
    disk.free()
    process.wait().expect(0)
    assert payloads_of(spool) == BLOCK[:5]
    server.join()


@pytest.mark.parametrize("name", ["", "drop", "BLOCK"])
def test_no_such_policy(weir, serve, place, name):
    weir.capture("ws://localhost:1/", "--on-full", name).expect(2, "--on-full")


def test_nothing_is_dropped_behind_a_limit(weir, serve, disk):
    """What waits is all that is wanted; what comes meanwhile is read, since pings are answered."""
    disk.fill()
    spool, told = disk.path / "spool", threading.Event()

    def script(connection):
        connection.upgrade(more=texts(BLOCK[:10]))
        assert told.wait(LIMIT)
        connection.send(texts(BLOCK[10:20]) + frames.frame(frames.PING, b""))
        connection.next_of(frames.PONG)
        disk.free()
        assert connection.answer_close() == 1000

    server = serve(script)
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--messages", "5",
                                 "--on-full", "drop-newest", "--status", "json")
    is_told(process)
    told.set()
    report = process.wait().expect(0).report
    assert payloads_of(spool) == BLOCK[:5] and report["dropped_messages"] == 0
    server.join()


@pytest.mark.parametrize("options", [[], ["--ephemeral"]])
def test_standard_output_makes_room(weir, serve, small_disk, options):
    """What was written to it gives its space back, though nothing else is there to be written."""
    data = [b"%d" % n * 600_000 for n in range(5)]
    process = weir.start_capture(serve(sending(texts(data))).url, "--dir", small_disk, *options,
                                 stdout=subprocess.PIPE)
    out = b""
    while part := process.popen.stdout.read(65536):
        out += part
    process.wait().expect(0)
    assert out == b"".join(m + b"\n" for m in data)
