"""A capture that runs for long holds no more at its end than at its beginning."""

import subprocess
import time

import pytest

import frames
from feed_client import FeedClient, started_feed
from frames import text
from harness import SANITIZED, wait_until
from servers.hostile import sending_and_waiting

MEBIBYTE = 1 << 20


def test_descriptors_and_mappings_do_not_grow(weir, serve, collector):
    """Compared after some segments and after many more, each handed to COMMAND."""
    measured = []

    def script(connection):
        connection.upgrade()
        for number in range(1, 81):
            connection.send(text("%d" % number))
            wait_until(lambda: len(collector.names()) == number, "the segment is handed on")
            if number in (20, 80):
                measured.append((len(process.descriptors()), process.mappings()))
        connection.finish()

    process = None
    server = serve(lambda connection: (wait_until(lambda: process, "weir"), script(connection)))
    process = weir.start_capture(server.url, "--segment-messages", "1", "--",
                                 *collector.by_path)
    process.wait().expect(0)
    server.join()
    (descriptors, mappings), (later_descriptors, later_mappings) = measured
    assert abs(later_descriptors - descriptors) <= 2, "a new segment may be open, or a command run"
    assert later_mappings - mappings <= 4


def test_descriptors_of_a_feed_do_not_grow(weir):
    process, url = started_feed(weir, "--messages", "1")
    idle = len(process.descriptors())
    for _ in range(30):
        with FeedClient(url) as client:
            client.upgrade()
            client.messages()
    wait_until(lambda: len(process.descriptors()) == idle, "all connections are closed")
    process.signal()
    process.wait().expect(0)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs memory of its own")
@pytest.mark.parametrize("frame", [text(b"x" * (64 * MEBIBYTE)),
                                   frames.binary(b"x" * 200) * 300_000,
                                   frames.fragments(frames.TEXT, [b"12345678"] * 500_000),
                                   frames.text("") * 3_000_000],
                         ids=["one large message", "many messages", "many fragments",
                              "many empty messages"])
def test_memory_does_not_depend_on_what_comes(weir, serve, frame):
    def script(connection):
        connection.upgrade()
        connection.send(frame)
        connection.finish()

    server = serve(script)
    result, _ = weir.captured(server.url, "--status", "json")
    assert result.expect(0).report["peak_rss_bytes"] <= 16 * MEBIBYTE


@pytest.mark.skipif(SANITIZED, reason="a sanitizer needs time of its own")
def test_it_waits_without_using_the_processor(weir, serve):
    """Nothing comes for half a second: weir must sleep, not look again and again."""
    process = weir.start_capture(serve(sending_and_waiting(text("one"))).url)
    wait_until(process.out_so_far, "it has the message")
    before, begin = process.cpu_seconds(), time.monotonic()
    time.sleep(0.5)
    assert process.cpu_seconds() - before < 0.2 * (time.monotonic() - begin)
    process.signal()
    process.wait().expect(0)


def test_standard_input_is_not_read(weir, serve):
    """A capture in a `while read` loop of a shell must not eat the loop's lines."""
    server = serve(lambda c: (c.upgrade(more=text("one")), c.finish()))
    read_end = subprocess.Popen(["printf", "line\n"], stdout=subprocess.PIPE)
    result = weir.capture(server.url, "--", "true", stdin=read_end.stdout).expect(0)
    assert read_end.stdout.read() == b"line\n", result
    read_end.wait()
