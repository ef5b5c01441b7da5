"""--reconnect: what is worth another attempt, how it is told and recorded, and how it ends."""

import email.utils
import re
import socket
import threading
import time

import pytest

import frames
from frames import text
from disconnects import disconnect
from harness import LIMIT, Hurried, at_some_pace, free_port, ms, wait_until
from servers.hostile import HostileServer
from servers.nats import NatsServer, deliveries, subscription
from servers.node import NodeServer
from servers.plan import Plan
from servers.python import PythonServer
from spool_reader import RECONNECTED, events_of, payloads_of, records_of
from terminal import Terminal
from turns import AT_ONCE, announced, answering, confirm, forgiving, giving, in_turn, story, waits


def losing(end, more=b""):
    """A script that has "one" taken, and more, and then ends the connection in its way."""
    def script(connection):
        connection.upgrade()
        confirm(connection, text("one") + more)
        end(connection)
    return script


def closing(code, reason=b""):
    def end(connection):
        connection.send(frames.close(code, reason))
        connection.wait_close()
    return end


def hang_up(_connection):
    """The script ends, and with it the connection: a bare FIN."""


def reset(connection):
    connection.reset()


TORN = frames.frame(frames.TEXT, b"abc", fin=False)

LOSSES = {  # the script, and what the record says
    "FIN": (losing(hang_up), "disconnected 1006"),
    "reset": (losing(reset), "disconnected 1006"),
    "FIN in a message": (losing(hang_up, TORN), "disconnected 1006 cut"),
    "reset in a message": (losing(reset, TORN), "disconnected 1006 cut"),
    "close without a code": (losing(closing(None)), "disconnected 1005"),
    "close in a message": (losing(closing(1001), TORN), "disconnected 1001 cut"),
    **{f"close {code}": (losing(closing(code)), f"disconnected {code}")
       for code in (1000, 1001, 1011, 1012, 1013, 1014, 3001, 4000)},
}


@pytest.mark.parametrize("name", LOSSES)
def test_after_a_loss(weir, serve, name):
    script, recorded = LOSSES[name]
    server = serve(in_turn(script, giving("two")))
    result, spool = weir.captured(server.url, *AT_ONCE, "--messages", "2", "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"two"]
    assert story(spool) == [(0, 0, "connected"), (0, 0, recorded), (0, 1, "connected"),
                            (0, 1, "reconnected"), (0, 1, "disconnected 1000")]
    said = announced(result)
    assert len(said) == 1 and said == result.complaint.splitlines(), result
    assert server.url in said[0], "it does not say what was lost"
    away = next(e.value for e in events_of(spool) if e.kind == RECONNECTED)
    assert 0 < away < LIMIT * 10**9


def test_where_messages_stand_in_the_record(weir, serve):
    """Behind the connection that brought them, before its end."""
    server = serve(in_turn(losing(hang_up), losing(closing(1012)), giving("two")))
    _, spool = weir.captured(server.url, *AT_ONCE, "--messages", "3")
    kinds = [(r.connection, r.payload.decode() if r.is_message else r.kind)
             for r in records_of(spool)]
    assert kinds == [(0, 16), (0, "one"), (0, 17), (1, 16), (1, 19), (1, "one"), (1, 17),
                     (2, 16), (2, 19), (2, "two"), (2, 17)]


def in_the_handshake(answer, end=hang_up):
    def script(connection):
        connection.read_request()
        connection.send(answer)
        end(connection)
    return script


FAILURES = {
    "hang-up at once": lambda connection: None,
    "reset at once": reset,
    "hang-up after the request": in_the_handshake(b""),
    "hang-up in the answer": in_the_handshake(b"HTTP/1.1 101 Switch"),
    "reset in the answer": in_the_handshake(b"HTTP/1.1 101 Switch", reset),
    **{status: answering(status) for status in (
        "408 Request Timeout", "425 Too Early", "429 Too Many Requests",
        "500 Internal Server Error", "502 Bad Gateway", "503 Service Unavailable",
        "504 Gateway Timeout", "521 Web Server Is Down")},
}


@pytest.mark.parametrize("name", FAILURES)
def test_after_a_failure(weir, serve, name):
    """Nothing was connected, so nothing was lost: the record begins with the first connection."""
    server = serve(in_turn(FAILURES[name], giving("one")))
    result, spool = weir.captured(server.url, *AT_ONCE, "--messages", "1", "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one"]
    assert story(spool) == [(0, 1, "connected"), (0, 1, "disconnected 1000")]
    assert len(announced(result)) == len(result.complaint.splitlines()) == 1, result


def test_a_failure_after_a_loss(weir, serve):
    """The time away is that from the loss on, whatever is tried in between."""
    server = serve(in_turn(losing(hang_up), answering("502 Bad Gateway"), reset, giving("two")))
    result, spool = weir.captured(server.url, *AT_ONCE, "--messages", "2", "--status", "json")
    result.expect(0)
    assert story(spool) == [(0, 0, "connected"), (0, 0, "disconnected 1006"), (0, 3, "connected"),
                            (0, 3, "reconnected"), (0, 3, "disconnected 1000")]
    assert len(announced(result)) == 3


FINAL = {
    **{status: (answering(status), 3) for status in (
        "400 Bad Request", "401 Unauthorized", "403 Forbidden", "404 Not Found", "410 Gone",
        "200 OK")},
    **{str(code): (losing(closing(code, b"go away")), 4)
       for code in (1002, 1003, 1007, 1008, 1009, 1010, 3000, 3003)},
}


@pytest.mark.parametrize("name", FINAL)
def test_no_other_attempt(weir, serve, name):
    script, code = FINAL[name]
    server = serve(script)
    result, spool = weir.captured(server.url, *AT_ONCE)
    result.expect(code, name, *(["go away"] if code == 4 else []))
    assert len(server.connections) == 1
    assert len(result.complaint.splitlines()) == 1, result
    assert payloads_of(spool) == ([b"one"] if code == 4 else [])


def test_a_server_that_comes_up_later(weir):
    port = free_port()
    process = weir.start_capture(f"ws://127.0.0.1:{port}/", *AT_ONCE, "--messages", "1",
                                 "--status", "summary")
    wait_until(lambda: process.err_so_far().count("the next attempt comes in") >= 3, "three tries")
    server = HostileServer(giving("one"), listener=socket.create_server(("127.0.0.1", port)))
    assert process.wait().expect(0).out == b"one\n"
    server.finish()


def test_a_restart_of_nats_server(weir, run_server, place):
    """Killed, and told to end; it is subscribed to again each time."""
    nats, spool = run_server(NatsServer), place.root / "spool"
    process = weir.start_capture(nats.url, "--keep", "--spool", spool, *AT_ONCE, "--status",
                                 "summary", "--send", subscription("feed"))

    def subscribed(times):
        wait_until(lambda: sum(path.read_bytes().count(b"PONG\r\n")
                               for path in spool.glob("*.data")) >= times, "it is subscribed")

    for times, end in enumerate([nats.kill, nats.terminate, None], 1):
        subscribed(times)
        nats.publish("feed", [b"%d" % times])
        wait_until(lambda: any(b"MSG feed 1 1\r\n%d" % times in path.read_bytes()
                               for path in spool.glob("*.data")), "it is captured")
        if end:
            end()
            nats.start_again()
    process.signal()
    process.wait().expect(0)
    words = [word for _, _, word in story(spool)]
    assert words[0] == "connected" and words.count("reconnected") == 2
    assert words[1] == "disconnected 1006" and words[-1] == "disconnected 1000"
    found = {}
    for record in records_of(spool):
        if record.is_message:
            found[record.connection] = found.get(record.connection, b"") + record.payload
    assert [deliveries(stream)[0] for stream in found.values()] == [[b"1"], [b"2"], [b"3"]]


def test_with_servers_that_others_wrote(weir, place, tmp_path):
    """Each says 1001, 1011 or 1012 after its messages, and plays them again."""
    for number, (kind, code) in enumerate([(NodeServer, 1001), (NodeServer, 1012),
                                           (PythonServer, 1011), (PythonServer, 1001)]):
        server = kind(Plan().text("a" * 100).binary(b"b" * 70_000).close(code), tmp_path)
        spool = place.root / f"spool{number}"
        result, _ = weir.captured(server.url, *AT_ONCE, "--messages", "5", spool=spool)
        result.expect(0)
        server.finish()
        assert payloads_of(spool) == [b"a" * 100, b"b" * 70_000] * 2 + [b"a" * 100]
        words = [word for _, _, word in story(spool)]
        assert words[:-1].count(f"disconnected {code}") == 2 and words.count("reconnected") == 2


# Retry-After

def test_retry_after_seconds(weir, serve):
    """It is waited for, although --retry-wait-max is much less."""
    times = []

    def later(connection):
        times.append(time.monotonic())
        giving("one")(connection)

    def refuse(connection):
        times.append(time.monotonic())
        answering("503 Service Unavailable", "Retry-After: 1")(connection)

    server = serve(in_turn(refuse, later))
    result = weir.capture(server.url, *AT_ONCE, "--messages", "1", "--status", "json").expect(0)
    assert waits(announced(result))[0] == pytest.approx(1, abs=0.02)
    assert times[1] - times[0] >= 1


@pytest.mark.parametrize("status", ["429 Too Many Requests", "503 Service Unavailable"])
def test_retry_after_a_date(weir, serve, status):
    date = email.utils.formatdate(time.time() + 1000, usegmt=True)
    process = waiting(weir, serve(answering(status, f"Retry-After: {date}")))
    process.signal()
    result = process.wait()
    assert 900 < waits(announced(result))[0] < 1001, result


# How long it goes on

def test_the_number_of_attempts(weir, serve):
    """A mere open is no success; nothing was brought, so it counts on."""
    server = serve(in_turn(answering("500 Oh"), hang_up_after_open, reset, hang_up_after_open))
    result = weir.capture(server.url, *AT_ONCE, "--retry-attempts", "4", "--status", "json")
    result.expect(4, "lost the connection")
    assert len(server.connections) == 5
    assert len(announced(result)) == 4


def hang_up_after_open(connection):
    connection.upgrade()


def test_messages_begin_the_count_again(weir, serve):
    server = serve(in_turn(*[answering("500 Oh"), losing(hang_up)] * 4, answering("502 Ah")))
    result, spool = weir.captured(server.url, *AT_ONCE, "--retry-attempts", "2", "--status",
                                  "json")
    result.expect(3, "502")
    # The loss behind the last message is the first failure in a row.
    assert len(server.connections) == 8 + 2
    assert payloads_of(spool) == [b"one"] * 4


def test_an_answer_to_the_script_is_no_success(weir, serve):
    """A server that takes a log-in, says why it does not like it, and closes, does not do well."""
    def script(connection):
        connection.upgrade()
        connection.next_of(frames.TEXT)
        connection.send(text("no such user"))
        connection.finish(1000)

    server = serve(script)
    steps = weir.place.root / "steps"
    steps.write_text('send login\nexpect 10s "welcome"\n')
    result = weir.capture(server.url, *AT_ONCE, "--script", steps, "--retry-attempts", "2")
    assert result.code in (0, 4) and len(server.connections) == 3, result


def test_the_time_without_a_message(weir, serve):
    def attempt(pace):
        server = serve(answering("503 Oh"))
        result = weir.capture(server.url, *AT_ONCE, "--retry-time", ms(pace))
        result.expect(3, "503")
        if len(server.connections) == 1:
            raise Hurried("there was time for one attempt only")

    at_some_pace(attempt)


# Ctrl-C

def waiting(weir, server, *options):
    """A capture that waits for its next attempt."""
    process = weir.start_capture(server.url, *AT_ONCE, "--status", "json", *options)
    wait_until(lambda: "the next attempt comes in" in process.err_so_far(), "it waits")
    return process


def test_stopped_while_it_waits(weir, serve, place):
    server = serve(in_turn(losing(hang_up), answering("503 Oh", "Retry-After: 3600")))
    spool = place.root / "spool"
    process = waiting(weir, server, "--keep", "--spool", spool)
    wait_until(lambda: process.err_so_far().count("the next attempt comes in") == 2, "it waits")
    process.signal()
    result = process.wait().expect(0)
    assert result.report["end"] == "signal"
    assert payloads_of(spool) == [b"one"]
    assert not list(spool.glob("*.open")), "the last segment is not sealed"


def test_stopped_while_it_waits_for_the_first_connection(weir, serve):
    process = waiting(weir, serve(answering("503 Oh", "Retry-After: 3600")))
    process.signal()
    assert process.wait().expect(0).report["end"] == "signal"


def test_stopped_while_it_connects(weir, serve, place):
    asked, spool = threading.Event(), place.root / "spool"

    def silent(connection):
        connection.read_request()
        asked.set()
        connection.wait_end()

    server = serve(in_turn(losing(hang_up), silent))
    process = waiting(weir, server, "--keep", "--spool", spool)
    assert asked.wait(LIMIT)
    process.signal()
    assert process.wait(LIMIT / 2).expect(0).report["end"] == "signal"
    assert payloads_of(spool) == [b"one"]


def test_ended_by_the_duration_while_it_waits(weir, serve):
    def attempt(pace):
        server = serve(forgiving(answering("503 Oh", "Retry-After: 3600")))
        result = weir.capture(server.url, *AT_ONCE, "--duration", ms(pace), "--status", "json")
        assert result.expect(0).report["end"] == "limit"
        if not announced(result):
            raise Hurried("it had no answer yet")

    at_some_pace(attempt)


# Limits

def test_a_limit_of_messages_over_connections(weir, serve):
    server = serve(in_turn(losing(hang_up, text("a") + text("b")), losing(closing(1001)),
                           giving("c", "d", "e", "f")))
    result, spool = weir.captured(server.url, *AT_ONCE, "--messages", "6")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"a", b"b", b"one", b"c", b"d"]


def test_a_limit_of_bytes_does_not_count_what_was_torn_off(weir, serve):
    torn = frames.frame(frames.TEXT, b"x" * 1000, fin=False)
    server = serve(in_turn(losing(hang_up, torn), losing(reset, torn), giving(*["y" * 100] * 20)))
    result, spool = weir.captured(server.url, *AT_ONCE, "--bytes", "1006", "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"one", b"one"] + [b"y" * 100] * 10
    assert result.report["cut_bytes"] == 2000


# What is said

def test_the_status_line_says_that_it_is_not_connected(weir, serve):
    server, terminal = serve(answering("503 Oh", "Retry-After: 3600")), Terminal()
    process = weir.start_capture(server.url, *AT_ONCE, "--status", "live", stderr=terminal.slave)
    wait_until(lambda: b"not connected" in terminal.written, "it says so")
    process.signal()
    process.wait()
    terminal.end()


def test_nothing_is_said_where_nothing_shall_be(weir, serve):
    server = serve(in_turn(losing(reset), answering("503 Oh"), giving("two")))
    result = weir.capture(server.url, *AT_ONCE, "--messages", "2", "--status", "none")
    assert result.expect(0).err == "" and result.out == b"one\ntwo\n"


def test_without_the_option_a_loss_is_the_end(weir, serve):
    server = serve(in_turn(losing(hang_up), giving("two")))
    result = weir.capture(server.url).expect(4, "lost the connection")
    assert len(server.connections) == 1 and not announced(result)


def test_what_a_server_says_is_said_on_one_line(weir, serve):
    reason = "évil\n\x1b[2Jweir: all is well".encode()
    server = serve(in_turn(losing(closing(1011, reason)), giving("two")))
    result = weir.capture(server.url, *AT_ONCE, "--messages", "2", "--status", "json").expect(0)
    assert len(result.err.splitlines()) == 2 and not re.search(r"[\x00-\x09\x0b-\x1f]", result.err)


# At random points: make torture has the long version

@pytest.mark.parametrize("seed", range(2))
def test_disconnects_at_random_points(weir, place, seed):
    disconnect(weir, place, seed, 100, LIMIT)


def test_disconnects_at_random_points_of_tls(weir, place, authority):
    disconnect(weir, place, 0, 100, LIMIT, ["--cacert", authority.path], authority.context())
