"""The system's clock is set while a capture runs: only the times on record follow it."""

import select
import signal
import struct
import time
from pathlib import Path

import pytest

from frames import text
from harness import SANITIZED, Hurried, at_some_pace, ms, wait_until
from spool_reader import payloads_of, read_spool, records_of
from torture import LIBRARY, build
from turns import forgiving

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")

DAY_NS = 86_400 * 10**9
HOUR_NS = 3600 * 10**9
SOURCE = Path(__file__).resolve().parents[1] / "fault" / "clock.c"
STEPS = [1, -1, 1, 0]  # days that the clock is ahead, one after the other


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(SOURCE, tmp_path_factory.mktemp("clock"), *LIBRARY)


class Clock:
    """The clock of the processes that are started with `environment`."""

    def __init__(self, library, path):
        self._path = path
        self.set(0)
        self.environment = {"LD_PRELOAD": str(library), "WEIR_CLOCK": str(path)}

    def set(self, days):
        with open(self._path, "r+b" if self._path.exists() else "wb") as file:
            file.write(struct.pack("=q", days * DAY_NS))


@pytest.fixture
def clock(library, place):
    return Clock(library, place.root / "clock")


def days_ahead(time_ns):
    """By how many days a time on record is ahead of now."""
    days = round((time_ns - time.time_ns()) / DAY_NS)
    assert abs(time_ns - time.time_ns() - days * DAY_NS) < HOUR_NS
    return days


def messages_in(spool):
    try:
        return payloads_of(spool)
    except FileNotFoundError:
        return []  # it was sealed just now


def stepping(clock, is_there, finish=True):
    """A script: a message, and one more after each step of the clock, when the last has come."""
    def script(connection):
        connection.upgrade()
        for number, days in enumerate([0, *STEPS]):
            clock.set(days)
            connection.send(text(b"%d" % number))
            wait_until(lambda: is_there(number + 1), f"message {number} is captured")
        if finish:
            connection.finish()
        else:
            connection.wait_end()
    return script


def test_times_follow_and_order_does_not(weir, serve, place, clock):
    """Nothing that is measured in time ends early: no segment, no connection, no capture."""
    spool = place.root / "spool"
    server = serve(stepping(clock, lambda count: len(messages_in(spool)) == count))
    result, _ = weir.captured(server.url, "--segment-age", "1h", "--duration", "1h",
                              "--idle-timeout", "1h", "--ping-interval", "1h",
                              spool=spool, env=clock.environment)
    result.expect(0)
    server.join()
    assert len(read_spool(spool)) == 1, "a step must not seal a segment"
    messages = [r for r in records_of(spool) if r.is_message]
    assert [r.payload for r in messages] == [b"%d" % n for n in range(len(STEPS) + 1)]
    assert [days_ahead(r.time_ns) for r in messages] == [0, *STEPS]
    assert result.seconds < 3600 and "-" not in result.err.split("captured")[1].split("\n")[0]
    assert weir.cat(spool).expect(0).out == b"0\n1\n2\n3\n4\n"


def test_segments_reach_their_age(weir, serve, collector, clock):
    """Each is sealed although the clock was set back while it was open."""
    server = serve(stepping(clock, lambda count: len(collector.payloads()) == count))
    weir.capture(server.url, "--segment-age", "50ms", "--", *collector.by_path,
                 env=clock.environment).expect(0)
    server.join()
    assert collector.payloads() == [b"%d" % n for n in range(len(STEPS) + 1)]
    sequence = [segment.first_seq for segment in collector.segments()]
    assert sequence == sorted(sequence)
    days = [days_ahead(s.created_ns) for s in collector.segments() if s.records[-1].is_message]
    assert set(days) == {0, 1, -1}, "when a segment was begun follows the clock as well"


def test_a_capture_reaches_its_duration(weir, serve, clock):
    def attempt(pace):
        is_set = []

        def script(connection):
            connection.upgrade(more=text("one"))
            clock.set(-1)
            if not select.select([connection.socket], [], [], 0)[0]:
                is_set.append(True)
            connection.answer_close()

        clock.set(0)
        server = serve(forgiving(script))
        weir.captured(server.url, "--duration", ms(pace), env=clock.environment)[0].expect(0)
        server.join()
        if not is_set:
            raise Hurried("it was over before the clock was set")

    at_some_pace(attempt)


@pytest.mark.parametrize("days", [-1, 1])
def test_what_a_killed_run_left_comes_first(weir, serve, place, collector, clock, days):
    """The next start is a day before the one that was killed, or behind it."""
    spool = place.root / "spool"
    server = serve(stepping(clock, lambda count: len(messages_in(spool)) == count, finish=False))
    process = weir.start_capture(server.url, "--keep", "--segment-messages", "2", "--spool", spool,
                                 env=clock.environment)
    wait_until(lambda: len(messages_in(spool)) == len(STEPS) + 1, "all is captured")
    process.signal(signal.SIGKILL)
    process.wait()
    clock.set(days)
    server = serve(lambda connection: (connection.upgrade(more=text("new")), connection.finish()))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path,
                 env=clock.environment).expect(0)
    assert collector.payloads() == [*[b"%d" % n for n in range(len(STEPS) + 1)], b"new"]
    numbers = [record.seq for record in collector.records()]
    assert numbers == sorted(set(numbers))
    assert days_ahead(collector.records()[-1].time_ns) == days
    assert [path.name for path in spool.iterdir()] == ["lock"]


def test_the_library_itself(weir, serve, place, clock):
    """Or nothing here would prove anything: without it, the times are those of the system."""
    spool = place.root / "spool"
    server = serve(stepping(clock, lambda count: len(messages_in(spool)) == count))
    weir.captured(server.url, spool=spool)[0].expect(0)
    assert {days_ahead(record.time_ns) for record in records_of(spool)} == {0}
