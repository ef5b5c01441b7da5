"""--max-connection-age: the new connection comes first, and what is under way on the old one stays."""

import re
import threading
import time

import pytest

import frames
from frames import CONTINUATION, TEXT, text
from harness import LIMIT, wait_until
from spool_reader import payloads_of, records_of
from turns import AT_ONCE, announced, answering, confirm, forgiving, giving, in_turn, story

AGE = ["--max-connection-age", "150ms"]
SUBSCRIBE = 'send subscribe\nexpect 10s "subscribed"\n'


class Diary:
    """What happened to which connection, in order."""

    def __init__(self):
        self.entries, self._lock, self._count = [], threading.Lock(), 0

    def next_number(self):
        with self._lock:
            self._count += 1
            return self._count - 1

    def note(self, what, number):
        with self._lock:
            self.entries.append((what, number))

    def has(self, what, number):
        with self._lock:
            return (what, number) in self.entries


def subscribed(connection, diary, number):
    connection.upgrade()
    assert connection.next_of(TEXT).payload == b"subscribe"
    diary.note("subscribed", number)  # before the client knows it
    connection.send(text("subscribed %d" % number))


@pytest.fixture
def serve_many(serve):
    """A server with a client that goes away in the middle of a handshake, when it is stopped."""
    return lambda script: serve(forgiving(script))


def finish(process, spool):
    process.signal()
    result = process.wait().expect(0)
    return result, payloads_of(spool), story(spool)


def started(weir, server, *options):
    spool, steps = weir.place.root / "spool", weir.place.root / "steps"
    steps.write_text(SUBSCRIBE)
    return weir.start_capture(server.url, "--keep", "--spool", spool, "--status", "json",
                              "--script", steps, *options), spool


def test_make_before_break(weir, serve_many):
    """Each Close comes when the next connection is subscribed, and nothing is lost between them."""
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        connection.answer_close()
        diary.note("closed", number)

    server = serve_many(script)
    process, spool = started(weir, server, *AGE)
    wait_until(lambda: diary.has("closed", 4), "five connections are closed")
    _, payloads, events = finish(process, spool)
    server.join()
    for number in range(5):
        at = diary.entries.index(("closed", number))
        assert ("subscribed", number + 1) in diary.entries[:at]
    assert "reconnected" not in [word for _, _, word in events]
    assert events[:4] == [(0, 0, "connected"), (0, 1, "connected"), (0, 0, "disconnected 1000"),
                          (0, 2, "connected")]
    assert payloads[:5] == [b"subscribed %d" % n for n in range(5)]


def test_the_script_is_waited_for(weir, serve_many):
    """The new connection is open, and not subscribed yet: the old one stays."""
    diary, answer = Diary(), threading.Event()

    def script(connection):
        number = diary.next_number()
        connection.upgrade()
        connection.next_of(TEXT)
        diary.note("asked", number)
        if number == 1:
            assert answer.wait(LIMIT)
        connection.send(text("subscribed"))
        connection.answer_close()
        diary.note("closed", number)

    process, spool = started(weir, serve_many(script), *AGE)
    wait_until(lambda: diary.has("asked", 1), "the new connection")
    time.sleep(0.2)
    assert not diary.has("closed", 0)
    answer.set()
    wait_until(lambda: diary.has("closed", 0), "the old one is closed")
    finish(process, spool)


UNDER_WAY = {  # what has come before the other connection stands, and the rest
    "between fragments": (frames.frame(TEXT, b"abc", fin=False), frames.frame(CONTINUATION, b"def")),
    "in a frame": (text("abcdef")[:5], text("abcdef")[5:]),
    "in a header": (text("abcdef")[:1], text("abcdef")[1:]),
    "in a large frame": (text("y" * 3_000_000)[:2_000_000], text("y" * 3_000_000)[2_000_000:]),
}


@pytest.mark.parametrize("name", UNDER_WAY)
def test_a_message_under_way(weir, serve_many, name):
    """It began on the old connection, so that the new one does not bring it."""
    first, rest = UNDER_WAY[name]
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        if number == 0:
            connection.send(first)
            wait_until(lambda: diary.has("subscribed", 1), "the new connection")
            time.sleep(0.2)
            connection.send(rest)
        connection.answer_close()
        diary.note("closed", number)

    server = serve_many(script)
    process, spool = started(weir, server, *AGE)
    wait_until(lambda: diary.has("closed", 0), "the old connection is closed")
    _, _, events = finish(process, spool)
    whole = b"y" * 3_000_000 if "large" in name else b"abcdef"
    assert [r.payload for r in records_of(spool) if r.is_message and r.connection == 0] == [
        b"subscribed 0", whole]
    assert (0, 0, "disconnected 1000") in events


def test_what_comes_before_the_close_is_answered(weir, serve_many):
    """A server answers our Close behind what it had sent before it saw it."""
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        connection.wait_close()
        diary.note("said", number)
        connection.send(text("late %d" % number) + frames.fragments(TEXT, [b"la", b"ter"]))
        time.sleep(0.05)
        connection.send(text("last %d" % number) + frames.frame(frames.CLOSE,
                                                                connection.close_payload))

    process, spool = started(weir, serve_many(script), *AGE)
    wait_until(lambda: diary.has("said", 2), "three are closed")
    finish(process, spool)
    assert [r.payload for r in records_of(spool) if r.is_message and r.connection == 0] == [
        b"subscribed 0", b"late 0", b"later", b"last 0"]


def test_a_stop_does_not_wait_for_the_old_one(weir, serve_many):
    """It is in the middle of a message, and would be given half a minute."""
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        if number == 0:
            confirm(connection, frames.frame(TEXT, b"abc", fin=False))
            diary.note("begun", number)
            connection.wait_end()
        else:
            connection.answer_close()

    process, spool = started(weir, serve_many(script), "--max-connection-age", "300ms")
    wait_until(lambda: diary.has("begun", 0) and b"subscribed 1" in payloads_of(spool), "the new connection")
    result, payloads, events = finish(process, spool)
    assert result.seconds < 20
    assert payloads == [b"subscribed 0", b"subscribed 1"]
    assert (0, 0, "disconnected 1006 cut") in events


@pytest.mark.torture
@pytest.mark.parametrize("torn", [True, False])
def test_an_old_one_that_never_ends(weir, serve_many, torn):
    """Neither its message, nor the connection after our Close: that has a bound."""
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        if number == 0 and torn:
            connection.send(frames.frame(TEXT, b"abc", fin=False))
        connection.socket.settimeout(100)
        connection.wait_end()
        diary.note("ended", number)

    process, spool = started(weir, serve_many(script), "--max-connection-age", "1s")
    wait_until(lambda: diary.has("subscribed", 2), "the third connection", 60)
    assert diary.has("ended", 0)
    _, payloads, events = finish(process, spool)
    assert payloads == [b"subscribed 0", b"subscribed 1", b"subscribed 2"]
    assert (0, 0, f"disconnected 1006{' cut' if torn else ''}") in events


def test_an_old_one_that_takes_longer_than_the_new_one_gets_old(weir, serve_many):
    """The third connection waits until the first has ended, and is not forgotten."""
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        subscribed(connection, diary, number)
        connection.wait_close()
        if number == 0:
            time.sleep(0.6)
            assert not diary.has("subscribed", 2)
        connection.send(frames.frame(frames.CLOSE, connection.close_payload))

    process, spool = started(weir, serve_many(script), *AGE)
    wait_until(lambda: diary.has("subscribed", 3), "the fourth connection")
    _, payloads, _ = finish(process, spool)
    assert payloads[:4] == [b"subscribed %d" % n for n in range(4)]


@pytest.mark.parametrize("failure", [
    answering("503 Oh"), answering("403 Forbidden"), lambda connection: None,
    lambda connection: connection.upgrade()], ids=["503", "403", "hang-up", "not subscribed"])
@pytest.mark.parametrize("options", [AT_ONCE[1:], AT_ONCE], ids=["once", "reconnect"])
def test_the_old_one_stays_when_the_new_one_fails(weir, serve_many, failure, options):
    diary = Diary()

    def script(connection):
        number = diary.next_number()
        if number in (1, 2, 3):
            diary.note("failed", number)
            return failure(connection)
        connection.upgrade()
        connection.next_of(TEXT)
        diary.note("subscribed", number)
        connection.send(text("subscribed %d" % number))
        if number == 0:
            wait_until(lambda: diary.has("failed", 3), "three have failed")
            connection.send(text("still here"))
        connection.answer_close()
        diary.note("closed", number)

    process, spool = started(weir, serve_many(script), *AGE, *options)
    wait_until(lambda: diary.has("closed", 0), "the old one is closed")
    result, payloads, events = finish(process, spool)
    assert len(announced(result)) == 3, "one line for each failure"
    assert {b"subscribed 0", b"still here", b"subscribed 4"} <= set(payloads)
    assert diary.entries.index(("closed", 0)) > diary.entries.index(("subscribed", 4))
    assert "reconnected" not in [word for _, _, word in events]
    assert (0, 0, "disconnected 1000") in events


def test_the_old_one_is_lost_while_the_new_one_is_made(weir, serve):
    """The new one takes over; there is no third."""
    asked, spool = threading.Event(), weir.place.root / "spool"

    def old(connection):
        connection.upgrade(more=text("one"))
        assert asked.wait(LIMIT)

    def new(connection):
        connection.read_request()
        asked.set()
        wait_until(lambda: (0, 0, "disconnected 1006") in story(spool), "the old one is lost")
        connection.answer(*connection.accept_lines(), more=text("two"))
        connection.answer_close()

    server = serve(in_turn(old, new))
    result, _ = weir.captured(server.url, *AGE, *AT_ONCE, "--messages", "2", "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"two"] and len(server.connections) == 2
    assert story(spool) == [(0, 0, "connected"), (0, 0, "disconnected 1006"), (0, 1, "connected"),
                            (0, 1, "reconnected"), (0, 1, "disconnected 1000")]
    assert len(announced(result)) == 1


def test_the_old_one_is_lost_while_another_attempt_is_waited_for(weir, serve):
    """What comes of it is decided by its end, not by that of the attempt."""
    refused = threading.Event()

    def old(connection):
        connection.upgrade(more=text("one"))
        assert refused.wait(LIMIT)
        connection.finish(1012)

    def refuse(connection):
        answering("503 Oh", "Retry-After: 3600")(connection)
        refused.set()

    server = serve(in_turn(old, refuse, giving("two")))
    result, spool = weir.captured(server.url, *AGE, *AT_ONCE, "--messages", "2", "--status",
                                  "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"two"]


def test_without_reconnect_the_end_is_the_end(weir, serve):
    """A connection that is lost is not replaced, one that is old is."""
    server = serve(in_turn(giving("one"), lambda c: (c.upgrade(more=text("two")), c.finish(1012))))
    result, spool = weir.captured(server.url, *AGE)
    result.expect(4, "1012")
    assert payloads_of(spool) == [b"one", b"two"] and len(server.connections) == 2


@pytest.mark.torture
def test_waits_begin_anew_behind_one_that_got_old(weir, serve_many):
    """They are drawn, so only many captures show what they are drawn from."""
    def capture(number):
        names = iter(range(100))

        def script(connection):
            connection.upgrade(more=text("hello"))
            if next(names) == 3:  # it lives until the next one takes its place, which does not last
                connection.answer_close()

        return weir.start_capture(serve_many(script).url, "--keep", "--spool", weir.place.root / str(number),
                                  "--reconnect", "--retry-wait-max", "4s", "--max-connection-age", "5s")

    processes = [capture(number) for number in range(8)]
    for process in processes:
        wait_until(lambda process=process: process.err_so_far().count("comes in ") >= 4, "four waits", 60)
        process.signal()
        fourth = re.findall(r"comes in (\S+) (\S+)", process.wait().err)[3]
        assert fourth[1] != "s" or float(fourth[0]) <= 1
