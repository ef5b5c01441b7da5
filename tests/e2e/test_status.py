"""--status: what the user sees while a capture runs and at its end."""

import fcntl
import json
import os
import re
import struct
import termios
import threading
import time

import pytest

from frames import text, texts
from harness import LIMIT, SANITIZED, wait_until
from servers.hostile import sending, sending_and_waiting
from terminal import Terminal
from test_faults import library  # noqa: F401 (a fixture)
from turns import AT_ONCE, answering, confirm, forgiving, in_turn

MESSAGES = [b"x" * 100] * 1000
NUMBERS = ["messages", "bytes", "wire_bytes", "duration_ns", "segments", "acked", "kept",
           "peak_disk_bytes", "peak_rss_bytes", "connections", "failures", "duplicates", "gaps", "missing",
           "close_code", "cut_bytes", "dropped_messages", "dropped_bytes", "lost_events",
           "keyless", "numberless"]
TEXTS = ["url", "spool", "end"]


def test_json(weir, serve):
    data = texts(MESSAGES)
    server = serve(sending(data))
    result = weir.capture(server.url, "--status", "json", "--segment-messages", "300", "--",
                          "true").expect(0)
    assert result.err.count("\n") == 1 and result.err.endswith("\n"), "one line, and nothing else"
    report = json.loads(result.err)
    assert sorted(report) == sorted([*NUMBERS, *TEXTS, "sources"])
    assert all(type(report[name]) is int and report[name] >= 0 for name in NUMBERS)
    assert all(type(report[name]) is str for name in TEXTS)
    assert report["messages"] == 1000 and report["bytes"] == 100_000
    assert len(data) <= report["wire_bytes"] < len(data) + 1000
    assert 0 < report["duration_ns"] < 20_000_000_000
    assert report["acked"] == report["segments"] >= 4 and report["kept"] == 0
    assert 101_000 <= report["peak_disk_bytes"] < 100 << 20
    assert 1 << 20 <= report["peak_rss_bytes"] < (1 << 30 if SANITIZED else 16 << 20)
    assert (report["url"], report["spool"], report["end"]) == (server.url, "", "closed")
    assert report["sources"] == [{
        "url": server.url, "state": "ended", "messages": 1000, "bytes": 100_000, "connections": 1,
        "failures": 0, "error": ""}]


def test_json_of_several(weir, serve):
    """One stays, one is lost, one is refused; what stands in a query is told nowhere."""
    def losing(connection):
        connection.upgrade()
        confirm(connection, text("four"))
        connection.reset()

    stays = serve(sending_and_waiting(texts([b"abc"] * 10)))
    lost = serve(losing)
    refuses = serve(answering("503 Oh"))
    urls = [stays.url, lost.url + "?token=secret", refuses.url]
    process = weir.start_capture(*urls, "--status", "json")
    wait_until(lambda: process.err_so_far().count("weir: ") == 2, "two are lost")
    wait_until(lambda: len(process.out_so_far()) == 45, "all has come")
    process.signal()
    result = process.wait()
    assert "secret" not in result.err
    one, two, three = result.report["sources"]
    assert one == {"url": stays.url, "state": "connected", "messages": 10, "bytes": 30,
                   "connections": 1, "failures": 0, "error": ""}
    assert (two["state"], two["messages"], two["bytes"]) == ("ended", 1, 4)
    assert two["url"] == lost.url and "lost the connection" in two["error"]
    assert (three["state"], three["messages"], three["failures"]) == ("ended", 0, 1)
    assert "503 Oh" in three["error"]
    assert result.report["messages"] == 11 and result.report["url"] == stays.url


@pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")
@pytest.mark.parametrize("messages", [[b"x" * 4000] * 1000, [b"y" * 3_000_000]], ids=["small", "large"])
def test_json_of_several_on_a_full_disk(library, weir, serve, place, messages):  # noqa: F811
    """What was read, but found no room in the end, was not captured."""
    log = place.root / "faults"
    urls = [serve(forgiving(sending_and_waiting(texts(m)))).url for m in ([b"abc"] * 10, messages)]
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": "writev:ENOSPC:5:0", "WEIR_FAULT_PROGRAM": "weir",
           "WEIR_FAULT_LOG": str(log)}
    process = weir.start_capture(*urls, "--keep", "--spool", place.root / "spool", "--status", "json", env=env)
    wait_until(log.exists, "the disk is full")
    process.signal()
    report = process.wait().report
    for name in ("messages", "bytes"):
        assert sum(source[name] for source in report["sources"]) == report[name]


def test_json_of_one_that_comes_and_goes(weir, serve):
    server = serve(in_turn(sending(text("one")), answering("503 Oh", "Retry-After: 3600")))
    process = weir.start_capture(server.url, *AT_ONCE, "--status", "json")
    wait_until(lambda: process.err_so_far().count("next attempt") == 2, "it waits")
    process.signal()
    source, = process.wait().report["sources"]
    assert "503" in source.pop("error")
    assert source == {"url": server.url, "state": "connecting", "messages": 1, "bytes": 3,
                      "connections": 1, "failures": 1}


@pytest.mark.parametrize("name", ['quote"back\\slash', "tab\tnew\nline\x01", "ü漢"])
def test_json_with_odd_names(weir, serve, place, name):
    spool = place.root / name
    result = weir.capture(serve(sending(text("x"))).url, "--keep", "--spool", spool, "--status",
                          "json").expect(0)
    assert result.report["spool"] == str(spool)


def test_json_of_a_name_that_is_no_text(weir, serve, place):
    spool = os.fsencode(place.root) + b"/caf\xe9"
    result = weir.capture(serve(sending(text("x"))).url, "--keep", "--spool", spool, "--status",
                          "json").expect(0)
    assert result.report["spool"] == f"{place.root}/caf\ufffd"


def test_json_of_a_spool_that_cannot_be_opened(weir, place):
    result = weir.capture("ws://127.0.0.1:1/", "--spool", place.root / "no" / "such", "--status",
                          "json").expect(5)
    report = result.report
    assert (report["end"], report["messages"], report["spool"]) == ("failed", 0, "")


def test_json_of_a_failure(weir):
    result = weir.capture("ws://no-such-host.invalid/", "--status", "json").expect(3)
    assert (result.report["end"], result.report["messages"]) == ("failed", 0)


@pytest.mark.parametrize("status", [["--status", "summary"], ["--status", "auto"], []])
def test_summary(weir, serve, status):
    """Also what a log gets when nothing is said."""
    result = weir.capture(serve(sending(texts(MESSAGES))).url, *status, "--", "true").expect(0)
    plain = result.err.replace(",", "").replace("\u202f", "").replace(" ", "")
    assert "1000" in plain and "message" in plain
    assert "\r" not in result.err and "\x1b" not in result.err


def test_none(weir, serve):
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--status", "none", "--", "true")
    assert result.expect(0).err == ""


def test_none_does_not_hide_failures(weir, serve):
    weir.capture("ws://no-such-host.invalid/", "--status", "none").expect(3, "no-such-host")


@pytest.mark.parametrize("status", [["--status", "live"], ["--status", "auto"], []])
def test_live_line_on_a_terminal(weir, serve, status):
    server = serve(sending_and_waiting(texts(MESSAGES)))
    terminal = Terminal()
    process = weir.start_capture(server.url, *status, "--", "true", stderr=terminal.slave)
    wait_until(lambda: b"\r" in terminal.written and re.search(rb"1[., ]?000", terminal.written),
               "a status line with the number of messages")
    process.signal()
    code = process.wait().code
    written = terminal.end()
    assert code == 0, written
    assert "/s" in written and "message" in written.lower()
    assert written.endswith("\n"), "the cursor must not stay in the status line"


def test_live_line_is_never_wider_than_the_terminal(weir, serve):
    server = serve(sending_and_waiting(texts(MESSAGES)))
    terminal = Terminal()
    fcntl.ioctl(terminal.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    process = weir.start_capture(server.url, "--status", "live", "--", "true",
                                 stderr=terminal.slave)
    wait_until(lambda: terminal.written.count(b"\r") >= 3, "some status lines")
    live = terminal.written
    process.signal()
    process.wait().expect(0)
    terminal.end()
    plain = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", live).decode()
    assert max(len(line) for line in re.split("[\r\n]", plain)) <= 40


# Says something after a while: for how long it ran.
SAY_LATER = ["sh", "-c", "begin=$(date +%s%N); sleep 0.3; echo said $(($(date +%s%N) - begin))"]


def on_demand(event, data):
    """A script that sends this when it is time."""
    def script(connection):
        connection.upgrade()
        assert event.wait(LIMIT)
        connection.send(data)
        connection.answer_close()
    return script


def test_what_command_says_stands_by_itself(weir, serve):
    """The line is away while COMMAND runs, for a second. If the machine is slower, once more."""
    for _ in range(5):
        event, terminal = threading.Event(), Terminal()
        process = weir.start_capture(serve(on_demand(event, text("x"))).url, "--segment-messages", "1", "--",
                                     *SAY_LATER, stdout=terminal.slave, stderr=terminal.slave)
        wait_until(lambda: b" 0 messages" in terminal.written, "there is a line")
        event.set()
        wait_until(lambda: re.search(rb"said \d+\n", terminal.written), "COMMAND says something")
        said = [row for row in terminal.rows() if "said" in row]
        time_ns = int(said[0].rpartition(" ")[2])
        process.signal()
        process.wait().expect(0)
        terminal.end()
        if time_ns < 5e8:
            break
    else:
        pytest.skip("the machine is too slow")
    assert said == [f"said {time_ns}"], "it stands in the line"


def test_the_line_comes_back_while_command_runs(weir, serve, place):
    terminal = Terminal()
    process = weir.start_capture(serve(sending_and_waiting(text("x"))).url, "--segment-messages", "1",
                                 "--", "sh", "-c", f"touch {place.root}/runs; until [ -e {place.root}/go ]; do sleep 0.1; done",
                                 stdout=terminal.slave, stderr=terminal.slave)
    wait_until((place.root / "runs").exists, "COMMAND runs")
    before = len(terminal.written)
    wait_until(lambda: b" 1 message " in terminal.written[before:], "there is a line")
    (place.root / "go").touch()
    process.signal()
    process.wait().expect(0)
    terminal.end()


def test_a_command_that_reads_the_terminal_fails(weir, serve, place):
    """It would be stopped, as what runs in the background is, and waited for for ever."""
    terminal = Terminal()
    process = weir.start_capture(serve(sending(text("x"))).url, "--spool", place.root / "spool", "--", "sh",
                                 "-c", "read line </dev/tty", stderr=terminal.slave,
                                 preexec_fn=lambda: fcntl.ioctl(terminal.slave, termios.TIOCSCTTY, 0))
    assert process.wait().code == 1
    assert "sh ended with exit code 1" in terminal.end()


def test_messages_never_reach_the_terminal_as_control_characters(weir):
    terminal = Terminal()
    process = weir.start_capture("ws://no-such-host.invalid/\x1b[31m", stderr=terminal.slave)
    assert process.wait().code in (2, 3)
    assert "\x1b[31m" not in terminal.end()
