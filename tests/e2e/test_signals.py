"""SIGINT, SIGTERM and SIGKILL."""

import signal
import time

import pytest

import frames
from frames import text, texts
from harness import Hurried, at_some_pace, disk_held, wait_until, weir_path
from servers.hostile import flooding, sending
from spool_reader import payloads_of, read_spool, records_of
from turns import confirm, forgiving

MESSAGES = [b"%d" % n for n in range(100)]
BLOCK = [b"%06d " % n + b"x" * 493 for n in range(2000)]
STOPS = [signal.SIGINT, signal.SIGTERM]


def signal_again(process, number=signal.SIGINT):
    """As a person would: not within the moment in which a second signal is an echo."""
    time.sleep(0.1)
    process.signal(number)


def started(weir, serve, *arguments):
    """A capture that has got all messages, whose server now waits; and the server."""
    ready = []

    def script(connection):
        connection.upgrade(more=texts(MESSAGES) + frames.frame(frames.PING))
        connection.next_of(frames.PONG)
        ready.append(True)
        connection.answer_close()

    server = serve(script)
    process = weir.start_capture(server.url, *arguments)
    wait_until(lambda: ready, "all messages have come in")
    return process, server


@pytest.mark.parametrize("number", STOPS)
def test_the_first_ends_a_capture_properly(weir, serve, place, collector, number):
    process, server = started(weir, serve, "--status", "json", "--", *collector.by_path)
    process.signal(number)
    report = process.wait().expect(0).report
    assert frames.close_code(server.connection.close_payload) == 1000
    assert collector.payloads() == MESSAGES
    assert (report["end"], report["spool"], report["kept"]) == ("signal", "", 0)
    assert list(place.temp.iterdir()) == []


def test_timeout_is_one_wish(weir, serve, collector, place):
    """timeout(1) signals weir, and then the group that weir is in: not a second Ctrl-C."""
    def script(connection):
        connection.upgrade()
        confirm(connection, texts(MESSAGES))
        ready.append(True)
        connection.answer_close()

    def attempt(pace):
        program = ["timeout", str(pace), weir_path()]
        result = weir.capture(serve(forgiving(script)).url, "--status", "json", "--",
                              *collector.by_path, program=program)
        if not ready:
            raise Hurried("not all had come")
        assert result.code == 124, result
        assert (result.report["end"], result.report["spool"]) == ("signal", "")
        assert collector.payloads() == MESSAGES
        assert list(place.temp.iterdir()) == []

    ready = []
    at_some_pace(attempt)


def test_two_different_ones_at_once_are_one_wish(weir, serve, place):
    """As systemd sends them, with SendSIGHUP=yes."""
    process, _ = started(weir, serve, "--", "true")
    process.signal(signal.SIGTERM)
    process.signal(signal.SIGHUP)
    process.wait().expect(0)
    assert list(place.temp.iterdir()) == []


def test_in_the_middle_of_a_message(weir, serve, collector):
    """The unfinished message is not handed on, and the record says so."""
    def script(connection):
        connection.upgrade(more=text("whole") + frames.frame(frames.TEXT, b"half", fin=False)
                           + frames.frame(frames.PING))
        connection.next_of(frames.PONG)
        process.signal()
        connection.answer_close()

    process = None
    server = serve(lambda connection: (wait_until(lambda: process, "weir"), script(connection)))
    process = weir.start_capture(server.url, "--status", "json", "--", *collector.by_path)
    report = process.wait().expect(0).report
    assert collector.payloads() == [b"whole"]
    assert report["cut_bytes"] == 4
    event = collector.records()[-1]
    assert event.cut and event.cut_bytes == 4
    server.join()


def test_a_server_that_does_not_answer_the_close(weir, serve, collector):
    ready = []

    def script(connection):
        connection.upgrade(more=text("one") + frames.frame(frames.PING))
        connection.next_of(frames.PONG)
        ready.append(True)
        connection.wait_end()

    server = serve(script)
    process = weir.start_capture(server.url, "--", *collector.by_path)
    wait_until(lambda: ready, "the message has come in")
    process.signal()
    result = process.wait()
    assert result.code == 0 and result.seconds < 20, result
    assert collector.payloads() == [b"one"]
    server.join()


def test_while_data_pours_in(weir, serve, place):
    total = place.root / "total"
    server = serve(flooding(texts(BLOCK), 2000))
    process = weir.start_capture(server.url, "--segment-size", "1MiB", "--status", "json", "--",
                                 "sh", "-c", f'cat "$1" >>{total}', "sh", "{}")
    wait_until(total.exists, "the first segment was handed on")
    process.signal()
    report = process.wait().expect(0).report
    lines = total.read_bytes().split(b"\n")[:-1]
    assert len(lines) == report["messages"]
    assert lines == (BLOCK * (1 + len(lines) // len(BLOCK)))[:len(lines)]


def test_while_the_connection_is_being_made(weir, serve, place):
    """Nothing was captured and nothing failed."""
    server = serve(lambda connection: (connection.read_request(), connection.wait_end()))
    process = weir.start_capture(server.url, "--keep")
    wait_until(lambda: server.connections and server.connections[0].request, "the request")
    process.signal()
    result = process.wait()
    assert result.code in (0, 3) and result.seconds < 20, result
    for spool in place.temp.iterdir():
        place.may_stay(spool)


@pytest.mark.parametrize("number", STOPS)
def test_the_second_stops_at_once(weir, serve, place, number):
    gate = place.root / "gate"
    process, server = started(weir, serve, "--status", "json", "--", "sh", "-c",
                              f"touch {gate}; exec sleep 600")
    process.signal(number)
    wait_until(gate.exists, "COMMAND runs")
    signal_again(process, number)
    result = process.wait()
    assert result.code == 128 + number, result
    spool = place.may_stay(next(place.temp.iterdir()))
    assert str(spool) in result.complaint, result
    assert payloads_of(spool) == MESSAGES
    assert weir.cat(spool).expect(0).out == b"".join(m + b"\n" for m in MESSAGES)
    server.join()


def test_the_segment_that_is_open_is_left_too(weir, serve, place):
    """The server does not answer our Close, and nobody waits for it."""
    spool = place.root / "spool"
    server = serve(lambda c: (c.upgrade(more=texts(MESSAGES)), c.wait_close(), c.wait_end()))
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--status", "summary")
    wait_until(lambda: spool.is_dir() and payloads_of(spool) == MESSAGES, "all is captured")
    process.signal()
    wait_until(lambda: server.connections[0].close_payload, "Close is said")
    signal_again(process)
    assert "1 left" in process.wait().err


def test_what_the_second_left_is_processed_by_the_next_run(weir, serve, place, collector):
    spool, gate = place.root / "spool", place.root / "gate"
    process, _ = started(weir, serve, "--spool", spool, "--", "sh", "-c",
                         f"touch {gate}; exec sleep 600")
    process.signal()
    wait_until(gate.exists, "COMMAND runs")
    signal_again(process)
    assert process.wait().code == 130
    server = serve(sending(text("new")))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [*MESSAGES, b"new"]


def killed_in_the_stream(weir, serve, spool, *options):
    """Kills weir while data pours in."""
    server = serve(flooding(texts(BLOCK), 2000))
    process = weir.start_capture(server.url, "--keep", "--spool", spool, *options)

    wait_until(lambda: spool.is_dir() and disk_held(spool, "*.index*")[0] > 32 * 20000,
               "much is captured")
    process.signal(signal.SIGKILL)
    assert process.wait().code == -signal.SIGKILL
    server.join()


@pytest.mark.parametrize("options", [(), ("--segment-size", "1MiB")])
def test_kill_in_the_stream_loses_nothing_that_is_in_the_index(weir, serve, place, options):
    spool = place.root / "spool"
    killed_in_the_stream(weir, serve, spool, *options)
    indexed = payloads_of(spool)
    assert len(indexed) > 15000
    assert indexed == (BLOCK * (1 + len(indexed) // len(BLOCK)))[:len(indexed)]
    # One that has just been made may be without its header.
    entries = sum(max(0, path.stat().st_size - 64) // 32 for path in spool.glob("*.index*"))
    assert len(records_of(spool)) == entries, "every whole entry of the index counts"
    assert weir.cat(spool).expect(0).out == b"".join(p + b"\n" for p in indexed)


def test_the_next_run_begins_with_what_a_killed_one_left(weir, serve, place):
    spool, total = place.root / "spool", place.root / "total"
    killed_in_the_stream(weir, serve, spool, "--segment-size", "1MiB")
    indexed, last = payloads_of(spool), records_of(spool)[-1].seq
    server = serve(sending(text("new")))
    numbers = f'echo "$WEIR_FIRST_SEQ" >>{total}.seq'
    weir.capture(server.url, "--spool", spool, "--", "sh", "-c",
                 f'cat "$1" >>{total}; {numbers}', "sh", "{}").expect(0)
    assert total.read_bytes() == b"".join(p + b"\n" for p in [*indexed, b"new"])
    starts = [int(line) for line in (place.root / "total.seq").read_text().split()]
    assert starts == sorted(set(starts)) and starts[-1] > last - 3
    assert read_spool(spool) == []


def test_kill_between_runs_of_the_command(weir, serve, place, collector):
    """A segment that was handed on but not acknowledged is handed on again."""
    spool, gate = place.root / "spool", place.root / "gate"
    over = place.root / "over"
    process, server = started(weir, serve, "--spool", spool, "--segment-messages", "10", "--",
                              "sh", "-c",
                              f"touch {gate}; until test -e {over}; do sleep 0.01; done")
    wait_until(gate.exists, "COMMAND runs")
    process.signal(signal.SIGKILL)
    process.wait()
    over.touch()
    server.expect_failure(EOFError, ConnectionResetError)
    weir.capture(serve(sending(text("new"))).url, "--spool", spool, "--",
                 *collector.by_path).expect(0)
    assert collector.payloads() == [*MESSAGES, b"new"]


def test_hangup_of_the_terminal(weir, serve, place):
    """Whether SIGHUP is an orderly end or not, what is captured stays readable."""
    spool = place.root / "spool"
    process, server = started(weir, serve, "--keep", "--spool", spool)
    process.signal(signal.SIGHUP)
    if process.wait().code != 0:
        server.expect_failure(EOFError, ConnectionResetError)
    assert payloads_of(spool) == MESSAGES
