"""A server that sends without end: memory stays bounded, and every wait has its end."""

import threading
from types import SimpleNamespace

import pytest

import frames
from frames import PING, TEXT, fragments, frame, text
from harness import LIMIT, SANITIZED
from spool_reader import events_of, payloads_of
from together import Together

MEBIBYTE = 1 << 20
MILLION = 1_000_000


def bounded(result):
    """Checks that weir needed no more memory than ever; returns what it reported."""
    report = result.report
    assert SANITIZED or report["peak_rss_bytes"] <= 16 * MEBIBYTE, result
    return report


def ping_and_close(connection, event):
    """A million pings, and no pong is ever read: what comes after them is captured as always."""
    connection.upgrade()
    connection.send_while_wanted(frame(PING, b"p" * 125) * 1000, MILLION // 1000)
    connection.send(text("one") + frames.close(1000))
    assert event.over.wait(LIMIT)


def ping_without_end(connection, event):
    """The user ends it, although Close cannot be sent behind the pongs."""
    connection.upgrade(more=text("one"))
    connection.send_while_wanted(frame(PING, b"p" * 125) * 1000, 200)
    event.flooded.set()
    connection.send_while_wanted(frame(PING, b"p" * 125) * 1000, MILLION)
    assert event.over.wait(LIMIT)


def read_nothing(connection, event):
    """Nor what weir has to say before everything else."""
    connection.upgrade(more=text("one") + frames.close(1000))
    assert event.over.wait(LIMIT)


def talk_after_our_close(connection, _event):
    connection.upgrade(more=text("one"))
    connection.send_while_wanted(text("x" * 1000) * 1000, MILLION)


def talk_after_its_close(connection, _event):
    connection.upgrade(more=text("one") + frames.close(1000))
    connection.send_while_wanted(text("x" * 1000) * 1000, MILLION)


def drip_after_our_close(connection, _event):
    """Drops do not put the time limit off."""
    connection.upgrade(more=text("one"))
    connection.wait_close()
    connection.socket.settimeout(0.1)
    while True:
        try:
            if not connection.socket.recv(1):
                return
        except TimeoutError:
            connection.send_while_wanted(frame(PING))
        except ConnectionResetError:
            return


LONG_SENDS = [part for _ in range(15) for part in ("--send", "x" * 100_000)]
STUBBORN = [  # and what weir calls the end
    (ping_and_close, [], "closed"),
    (ping_without_end, [], "signal"),
    (read_nothing, LONG_SENDS, "closed"),
    (talk_after_our_close, ["--messages", "1"], "limit"),
    (talk_after_its_close, [], "closed"),
    (drip_after_our_close, ["--messages", "1"], "limit"),
]


def test_a_server_that_does_not_let_go(weir, serve):
    """Its one message is captured; then nothing that it does takes longer than the time limit."""
    captures, event = Together(weir), SimpleNamespace(over=threading.Event(), flooded=threading.Event())
    for act, options, _ in STUBBORN:
        captures.start(act, serve(lambda connection, act=act: act(connection, event)), *options)
    try:
        assert event.flooded.wait(LIMIT)
        captures.running[ping_without_end].process.signal()
        ends = {act: (result, spool) for act, result, spool in captures.ends(0)}
    finally:
        event.over.set()
    for act, _, end in STUBBORN:
        result, spool = ends[act]
        report = bounded(result)
        assert (report["messages"], report["end"]) == (1, end), act
        assert payloads_of(spool) == [b"one"], act


@pytest.mark.parametrize("between", [b"", frame(PING, b"p")], ids=["alone", "pings between"])
def test_a_million_empty_fragments(weir, serve, between):
    parts = (frame(0, fin=False) * 100 + between) * 100

    def script(connection):
        connection.upgrade(more=text("before") + frame(TEXT, b"a", fin=False))
        for _ in range(MILLION // 10_000):
            connection.send(parts)
        connection.send(frame(0, b"b") + text("after"))
        connection.finish()

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json")
    bounded(result.expect(0))
    assert payloads_of(spool) == [b"before", b"ab", b"after"]


def test_empty_fragments_without_end(weir, serve):
    many, flooded = frame(0, fin=False) * 100_000, threading.Event()

    def script(connection):
        connection.upgrade(more=text("before") + frame(TEXT, fin=False))
        connection.send(many * 50)
        flooded.set()
        connection.send_until_heard(many)
        assert connection.wait_close() == 1000

    spool = weir.place.root / "spool"
    process = weir.start_capture(serve(script).url, "--keep", "--spool", spool, "--status", "json",
                                 "--fragments-max", "0")
    assert flooded.wait(LIMIT)
    process.signal()
    bounded(process.wait().expect(0))
    assert payloads_of(spool) == [b"before"]
    event = events_of(spool)[-1]
    assert (event.cut, event.cut_bytes) == (True, 0)


def test_more_fragments_than_are_allowed(weir, serve):
    def script(connection):
        connection.upgrade(more=text("before") + frame(TEXT, b"begin", fin=False))
        connection.send(frame(0, fin=False) * 9)
        connection.send_while_wanted(frame(0, fin=False))
        assert connection.wait_close() == 1008
        connection.wait_end()

    server = serve(script)
    result, spool = weir.captured(server.url, "--fragments-max", "10")
    result.expect(4, "--fragments-max")
    assert payloads_of(spool) == [b"before"]
    event = events_of(spool)[-1]
    assert (event.cut, event.cut_bytes) == (True, 5)


HEADS = {
    "a million headers": [b"X-%d: y\r\n" % n for n in range(1000)],
    "a million empty headers": [b"X:\r\n"] * 1000,
    "one endless header": [b"x" * 10_000],
}


@pytest.mark.parametrize("name", HEADS)
def test_a_head_that_does_not_end(weir, serve, name):
    """All of it is right, and it even begins with what accepts the connection."""
    part = b"".join(HEADS[name])

    def script(connection):
        connection.read_request()
        connection.send("\r\n".join(["HTTP/1.1 101 OK", *connection.accept_lines(), ""]).encode())
        sent = connection.send_while_wanted(part, 1000)
        assert sent < 1000 * len(part), "weir took all of it"

    server = serve(script)
    result, _ = weir.captured(server.url, "--status", "json", spool=weir.place.root / "spool")
    bounded(result.expect(3, "headers"))
    server.join()


def test_interim_answers_without_end(weir, serve):
    def script(connection):
        connection.read_request()
        connection.send_while_wanted(b"HTTP/1.1 100 Continue\r\n\r\n" * 1000, 1000)

    server = serve(script)
    result, _ = weir.captured(server.url, "--status", "json")
    bounded(result.expect(3, "100"))
    server.join()


def test_like_a_tab_of_chromium(weir, serve):
    """Its handshake, 95 MB of text in one frame, and an end without a Close."""
    size = 95_000_000

    def script(connection):
        accept = connection.read_request().accept
        connection.answer("Upgrade: WebSocket", "Connection: Upgrade",
                          f"Sec-WebSocket-Accept: {accept}",
                          status="HTTP/1.1 101 WebSocket Protocol Handshake")
        connection.send(text(b"x" * size) + text("last"))

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json")
    report = bounded(result.expect(4, "without a Close"))
    assert (report["messages"], report["cut_bytes"]) == (2, 0)
    data = b"".join(path.read_bytes() for path in sorted(spool.glob("*.data")))
    assert data == b"x" * size + b"\nlast\n"


def test_like_websocketd(weir, serve):
    """Every message is a frame that is not final and an empty one that is."""
    payloads = [b"%d" % n * 13_000 for n in range(10)] * 50

    def script(connection):
        connection.upgrade(more=b"".join(fragments(TEXT, [p, b""]) for p in payloads))

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json")
    bounded(result.expect(4, "without a Close"))
    assert payloads_of(spool) == payloads
