"""Connections that are dead, and those that only look so: pings, idle time-outs, heartbeats."""

import select
import signal
import threading
import time

import pytest

import frames
from frames import PING, PONG, TEXT, text, texts
from harness import LIMIT, Hurried, at_some_pace, ms, wait_until
from servers.hostile import sending_and_waiting
from spool_reader import payloads_of
from turns import AT_ONCE, announced, confirm, forgiving, giving, in_turn, story

PINGING = ["--ping-interval", "100ms", "--pong-timeout", "100ms"]
DEAD = "did not answer a ping"
BLOCK = [b"%06d " % n + b"x" * 493 for n in range(2000)]  # a megabyte


def pinging(pace):
    return ["--ping-interval", ms(pace), "--pong-timeout", ms(pace)]


def silent(*messages, torn=b""):
    """A script that answers nothing, not even pings."""
    def script(connection):
        connection.upgrade(more=texts(messages) + torn)
        connection.wait_end()
    return script


def test_no_answer_to_a_ping(weir, serve):
    result, spool = weir.captured(serve(silent("one")).url, *PINGING)
    result.expect(4, DEAD)
    assert payloads_of(spool) == [b"one"]
    assert story(spool)[-1] == (0, 0, "disconnected 1006")
    assert len(result.complaint.splitlines()) == 1


@pytest.mark.parametrize("torn, recorded", [
    (b"", "disconnected 1006"), (frames.frame(TEXT, b"abc", fin=False), "disconnected 1006 cut")])
def test_a_dead_connection_is_replaced(weir, serve, torn, recorded):
    server = serve(in_turn(silent("one", torn=torn), giving("two")))
    result, spool = weir.captured(server.url, *PINGING, *AT_ONCE, "--messages", "2", "--status",
                                  "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"two"]
    assert [word for _, _, word in story(spool)] == [
        "connected", recorded, "connected", "reconnected", "disconnected 1000"]
    assert DEAD in announced(result)[0]


def answering_pings(times, then):
    def script(connection):
        connection.upgrade(more=text("one"))
        for _ in range(times):
            connection.send(frames.frame(PONG, connection.next_of(PING).payload))
        then(connection)
    return script


def test_answered_pings_keep_a_quiet_connection(weir, serve):
    """And come no more often than they should."""
    def attempt(pace):
        server = serve(forgiving(answering_pings(8, lambda connection: connection.finish())))
        result = weir.capture(server.url, *pinging(pace)).unless_hurried(DEAD).expect(0)
        assert result.out == b"one\n" and result.seconds > 8 * pace

    at_some_pace(attempt)


def pong_for_ever(connection):
    try:
        while True:
            connection.send(frames.frame(PONG, connection.next_of(PING).payload))
    except (EOFError, OSError):
        pass


def test_pongs_are_no_messages(weir, serve):
    """--idle-timeout asks for messages, and there are none."""
    def attempt(pace):
        server = serve(forgiving(answering_pings(0, pong_for_ever)))
        result, spool = weir.captured(server.url, *pinging(pace), "--idle-timeout", ms(5 * pace),
                                      spool=weir.place.root / f"{pace}")
        result.unless_hurried(DEAD).expect(4, "--idle-timeout")
        assert payloads_of(spool) == [b"one"] and result.seconds > 5 * pace
        assert sum(f.opcode == PING for f in server.connections[0].received) >= 2

    at_some_pace(attempt)


def test_an_idle_connection_is_replaced(weir, serve):
    def attempt(pace):
        server = serve(in_turn(forgiving(answering_pings(0, pong_for_ever)), giving("two")))
        result = weir.capture(server.url, *pinging(pace), *AT_ONCE, "--idle-timeout", ms(3 * pace),
                              "--messages", "2", "--status", "json").unless_hurried(DEAD).expect(0)
        assert result.out == b"one\ntwo\n" and "--idle-timeout" in announced(result)[0]

    at_some_pace(attempt)


def capture_slowly(weir, serve, parts, idle):
    """Returns what was captured of a server that sends, and does nothing else. `idle` is a number
    of intervals between pings."""
    def attempt(pace):
        def script(connection):
            connection.upgrade()
            for part in parts:
                connection.send(part)
                time.sleep(0.3 * pace)
            connection.finish()

        return weir.capture(serve(forgiving(script)).url, *pinging(pace), "--idle-timeout",
                            ms(idle * pace)).unless_hurried(DEAD, "--idle-timeout").expect(0).out

    return at_some_pace(attempt)


def test_messages_are_an_answer(weir, serve):
    """A server too busy to answer pings is not dead while it sends."""
    out = capture_slowly(weir, serve, [text("%d" % n) for n in range(20)], 3)
    assert out == b"".join(b"%d\n" % n for n in range(20))


def test_parts_of_a_message_are_an_answer(weir, serve):
    """A message that takes longer than all time-outs together."""
    message = text("x" * 800)
    out = capture_slowly(weir, serve, [message[n:n + 40] for n in range(0, len(message), 40)], 3)
    assert out == b"x" * 800 + b"\n"


def test_without_a_ping_interval_there_are_no_pings(weir, serve):
    def script(connection):
        connection.upgrade()
        assert not select.select([connection.socket], [], [], 0.4)[0], "it says something"
        connection.finish()

    server = serve(script)
    weir.capture(server.url, "--ping-interval", "0", "--pong-timeout", "100ms").expect(0)
    server.join()


# Heartbeats

def test_heartbeats(weir, serve):
    """They come however busy the connection is, and no more often than asked for."""
    def script(connection):
        connection.upgrade()
        begin = time.monotonic()
        for number in range(10):
            beat = connection.next_of(TEXT)
            assert beat.payload == '{"op":"ping","ü":1}'.encode()
            connection.send(text("%d" % number))
        assert time.monotonic() - begin >= 9 * 0.05
        connection.finish()

    server = serve(script)
    result = weir.capture(server.url, "--heartbeat", '{"op":"ping","ü":1}',
                          "--heartbeat-interval", "50ms").expect(0)
    server.join()
    assert result.out == b"".join(b"%d\n" % n for n in range(10))


def test_heartbeats_under_a_flood(weir, serve):
    def script(connection):
        connection.upgrade()
        over = threading.Event()

        def listen():
            for _ in range(3):
                connection.next_of(TEXT)
            over.set()

        listener = threading.Thread(target=listen)
        listener.start()
        block, sent = texts(BLOCK), 0
        while not over.is_set() and sent < 4000:
            connection.send(block)
            sent += 1
        listener.join(LIMIT)
        assert over.is_set(), "the heartbeats do not come"
        connection.finish()

    server = serve(script)
    weir.capture(server.url, "--heartbeat", "beat", "--heartbeat-interval", "100ms",
                 "--segment-size", "8MiB", "--", "true").expect(0)
    server.join()


def test_heartbeats_begin_again_on_each_connection(weir, serve):
    def script(connection):
        connection.upgrade()
        assert connection.next_of(TEXT).payload == b"beat"
        connection.send(text("heard"))
        connection.finish(1001)

    server = serve(in_turn(script, script, script))
    result = weir.capture(server.url, "--heartbeat", "beat", "--heartbeat-interval", "50ms",
                          *AT_ONCE, "--messages", "3").expect(0)
    assert result.out == b"heard\n" * 3


# False deaths

def test_pings_of_the_server_are_answered_under_a_flood(weir, serve):
    def script(connection):
        connection.upgrade()
        for number in range(12):
            confirm(connection, texts(BLOCK))
        connection.finish()

    def attempt(pace):
        result, spool = weir.captured(serve(forgiving(script)).url, *pinging(pace),
                                      spool=weir.place.root / f"{pace}")
        result.unless_hurried(DEAD).expect(0)
        assert payloads_of(spool) == BLOCK * 12

    at_some_pace(attempt)


def test_no_death_while_there_is_no_room(weir, serve, place):
    """Nothing is read meanwhile, so nothing can be heard: neither a Pong nor messages."""
    def attempt(pace):
        total = place.root / f"total{pace}"
        server = serve(forgiving(sending_and_waiting(texts(BLOCK) * 5)))
        command = f"test -e {total} || sleep {5 * pace}; cat {{}} >>{total}"
        result = weir.capture(server.url, *pinging(pace), "--idle-timeout", ms(3 * pace),
                              "--disk-max", "4MiB", "--messages", 5 * len(BLOCK), "--", "sh", "-c",
                              command)
        result.unless_hurried(DEAD, "--idle-timeout").expect(0)
        assert total.read_bytes() == b"".join(m + b"\n" for m in BLOCK) * 5

    at_some_pace(attempt)


def test_no_death_after_a_time_without_the_processor(weir, serve):
    """Stopped for longer than all time-outs. What came meanwhile is looked at first."""
    def attempt(pace):
        process, said = None, []

        def script(connection):
            connection.upgrade()
            confirm(connection, text("one"))
            process.signal(signal.SIGSTOP)
            time.sleep(6 * pace)
            said.append(process.err_so_far())
            connection.send_while_wanted(text("two") + frames.close(1000))
            process.signal(signal.SIGCONT)
            connection.wait_close()

        server = serve(forgiving(lambda connection: (wait_until(lambda: process, "weir"),
                                                     script(connection))))
        process = weir.start_capture(server.url, *pinging(pace), "--idle-timeout", ms(3 * pace))
        result = process.wait()
        if said != [""]:
            raise Hurried("it was lost before it was stopped")
        assert result.expect(0).out == b"one\ntwo\n"

    at_some_pace(attempt)
