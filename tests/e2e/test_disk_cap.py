"""--disk-max: never exceeded, and everything is still delivered."""

import shutil
import threading
import time

import pytest

import frames
from frames import texts
from harness import LIMIT, at_some_pace, disk_held, ms
from servers.hostile import flooding, sending, sending_and_waiting
from spool_reader import payloads_of
from turns import forgiving

MEBIBYTE = 1 << 20
CAP = 4 * MEBIBYTE  # the least that is allowed
BLOCK = [b"%06d " % n + b"x" * 493 for n in range(2000)]  # a megabyte


class Watch:
    """Notes the most that the files of a directory ever held, until the process ends."""

    def __init__(self, process, directory):
        self.most = 0
        self._process, self._directory = process, directory
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self):
        while self._process.running:
            if self._directory.is_dir():
                self.most = max(self.most, disk_held(self._directory)[1])  # a file may have holes

    def end(self):
        self._thread.join(LIMIT)
        return self.most


def capture_watched(weir, place, url, cap, *rest):
    spool = place.root / "spool"
    process = weir.start_capture(url, "--spool", spool, "--disk-max", cap, "--status", "json",
                                 *rest)
    watch = Watch(process, spool)
    return process.wait(), watch.end()


@pytest.mark.parametrize("cap, segment", [(CAP, MEBIBYTE // 2), (CAP + MEBIBYTE, "64MiB")])
def test_a_slow_command(weir, serve, place, cap, segment):
    """With segments that are larger than the cap, weir has to make them smaller by itself."""
    server = serve(sending(texts(BLOCK) * 16))
    total = place.root / "total"
    command = f"sleep 0.05; cat {{}} >>{total}"
    result, most = capture_watched(weir, place, server.url, cap, "--segment-size", segment, "--",
                                   "sh", "-c", command)
    result.expect(0)
    assert most <= cap, f"{most} bytes were held, {cap} are allowed"
    assert total.read_bytes() == b"".join(m + b"\n" for m in BLOCK) * 16
    report = result.report
    assert report["messages"] == 16 * len(BLOCK)
    assert MEBIBYTE < report["peak_disk_bytes"] <= cap


def test_it_is_the_server_that_waits(weir, serve, place):
    """While COMMAND is busy, the server gets rid of no more than cap and sockets hold."""
    cap, data = CAP, texts(BLOCK)
    gate = place.root / "gate"
    sent = []

    def script(connection):
        connection.upgrade()
        connection.socket.settimeout(0.2)
        try:
            for _ in range(64):
                connection.send(data)
                sent.append(len(data))
        except TimeoutError:
            pass
        gate.touch()
        connection.reset()

    server = serve(script)
    command = f"while ! test -e {gate}; do sleep 0.01; done"
    result, most = capture_watched(weir, place, server.url, cap, "--segment-size", "256KiB",
                                   "--", "sh", "-c", command)
    server.join()
    result.expect(4)
    assert most <= cap and sum(sent) < 32 * MEBIBYTE


def test_a_cap_that_nothing_can_free(weir, serve, place):
    """With --keep nobody ever gives space back: weir ends, and says so."""
    server = serve(flooding(texts(BLOCK), 16))
    cap = CAP
    result, most = capture_watched(weir, place, server.url, cap, "--keep")
    result.expect(5, "--disk-max")
    assert most <= cap
    kept = payloads_of(place.root / "spool")
    assert kept == (BLOCK * 16)[:len(kept)] and len(kept) > len(BLOCK) // 2
    server.join()


def test_a_message_that_is_larger_than_the_cap(weir, serve, place):
    def script(connection):
        connection.upgrade(more=texts([b"fits"]))
        connection.send_while_wanted(frames.text(b"x" * (8 * MEBIBYTE)))
        assert connection.wait_close() == 1011

    server = serve(script)
    result, most = capture_watched(weir, place, server.url, CAP, "--keep")
    result.expect(5, "--disk-max")
    assert most <= CAP
    assert payloads_of(place.root / "spool") == [b"fits"]
    server.join()


def test_failed_segments_fill_the_cap(weir, serve, place):
    """COMMAND fails for ever: its segments are kept, so that the cap is reached for good."""
    server = serve(flooding(texts(BLOCK), 16))
    result, most = capture_watched(weir, place, server.url, CAP, "--segment-size",
                                   "256KiB", "--", "false")
    result.expect(5, "--disk-max")
    assert most <= CAP
    kept = payloads_of(place.root / "spool")
    assert kept == (BLOCK * 16)[:len(kept)] and kept
    server.join()


def test_what_an_earlier_run_left_counts(weir, serve, place):
    spool = place.root / "spool"
    weir.captured(serve(sending(texts(BLOCK))).url)[0].expect(0)
    server = serve(flooding(texts(BLOCK), 16))
    result, most = capture_watched(weir, place, server.url, CAP, "--keep")
    result.expect(5, "--disk-max")
    assert most <= CAP
    assert payloads_of(spool)[:len(BLOCK)] == BLOCK
    server.join()


def test_no_room_to_connect(weir, serve, place):
    """What an earlier run left fills the cap: the answer to the request waits until it is gone."""
    spool = place.root / "spool"
    server = serve(sending(texts(BLOCK) * 4))
    weir.capture(server.url, "--spool", spool, "--keep", "--segment-size", MEBIBYTE).expect(0)

    def attempt(pace):
        left, total, gate = (place.root / f"{name}{pace}" for name in ("left", "total", "gate"))
        shutil.copytree(spool, left)

        def script(connection):
            connection.upgrade(more=texts(["one", "two"]))
            time.sleep(1.5 * pace)
            gate.touch()
            connection.finish()

        server = serve(forgiving(script))
        command = f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}"
        result = weir.capture(server.url, "--spool", left, "--disk-max", CAP, "--connect-timeout",
                              ms(pace), "--", "sh", "-c", command)
        result.unless_hurried("no answer in time").expect(0)
        assert total.read_bytes() == b"".join(m + b"\n" for m in BLOCK) * 4 + b"one\ntwo\n"

    at_some_pace(attempt)


def test_a_cap_that_is_never_reached(weir, serve, place):
    server = serve(sending_and_waiting(texts([b"x"] * 10)))
    result, _ = capture_watched(weir, place, server.url, "1GiB", "--messages", "10", "--keep")
    assert result.expect(0).report["peak_disk_bytes"] > 0


@pytest.mark.parametrize("cap", ["1", "4096"])
def test_a_cap_too_small_for_anything(weir, serve, place, cap):
    server = serve(flooding(texts(BLOCK), 1))
    result = weir.capture(server.url, "--spool", place.root / "spool", "--disk-max", cap, "--",
                          "true")
    assert result.code in (2, 5) and "--disk-max" in result.complaint, result
    server.join()


def capture_two_parts(weir, place, serve, size, cap=CAP, rest=("--keep",)):
    """Two servers have each a message half sent at the same time, which has to be kept aside."""
    barrier = threading.Barrier(2)

    def script(connection):
        connection.upgrade()
        data = frames.binary(b"x" * size)
        connection.send_while_wanted(data[:size // 2])
        barrier.wait(LIMIT)
        rest = data[size // 2:]
        if connection.send_while_wanted(rest) == len(rest):
            connection.finish()

    server = serve(script)
    return server, *capture_watched(weir, place, server.url, cap, server.url, *rest)


def test_messages_kept_aside_count(weir, serve, place):
    server, result, most = capture_two_parts(weir, place, serve, MEBIBYTE)
    result.expect(0)
    assert most <= CAP
    assert payloads_of(place.root / "spool") == [b"x" * MEBIBYTE] * 2
    server.join()


def test_messages_kept_aside_take_their_space_once(weir, serve, place):
    """On its way into the spool, a message gives back what it takes beside it."""
    total = place.root / "total"
    server, result, most = capture_two_parts(weir, place, serve, 7 * MEBIBYTE, 4 * CAP,
                                             ["--", "sh", "-c", f"cat {{}} >>{total}"])
    result.expect(0)
    assert most <= 4 * CAP
    assert total.read_bytes() == (b"x" * 7 * MEBIBYTE + b"\n") * 2
    server.join()


def test_a_message_that_fits_alone(weir, serve, place):
    """It begins in a segment that has to go before there is room for all of it."""
    total = place.root / "total"
    large = b"y" * (13 * MEBIBYTE)
    server = serve(sending(texts(BLOCK) * 3 + texts([large]) + texts(BLOCK)))
    result, most = capture_watched(weir, place, server.url, 4 * CAP, "--", "sh", "-c",
                                   f"cat {{}} >>{total}")
    result.expect(0)
    assert most <= 4 * CAP
    assert total.read_bytes() == b"".join(m + b"\n" for m in [*BLOCK * 3, large, *BLOCK])
    server.join()


def test_messages_kept_aside_that_are_too_large(weir, serve, place):
    """There is an end to it, and not a wait for ever."""
    server, result, most = capture_two_parts(weir, place, serve, 5 * MEBIBYTE)
    result.expect(5, "--disk-max")
    assert most <= CAP
    assert payloads_of(place.root / "spool") == []
    server.join()
