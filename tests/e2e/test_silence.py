"""A server that falls silent, at every point: each wait has a limit, and what came before stays.

The limits are seconds, so the servers of a test are silent all at once.
"""

import frames
from coming import coming
from frames import PING, TEXT, frame, text
from harness import Hurried, at_some_pace, ms, wait_until
from spool_reader import DISCONNECTED, events_of, payloads_of
from together import Together
from turns import forgiving

PACES_S = 0.5, 2.5, 12.5  # there are many at the same time

HEAD = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"

IN_THE_HANDSHAKE = {
    "nothing": b"",
    "in the version": HEAD[:5],
    "in the status": HEAD[:11],
    "in the phrase": HEAD[:20],
    "behind the status line": HEAD[:34],
    "in a name": HEAD[:40],
    "in a value": HEAD[:48],
    "before the last line": HEAD,
    "in the last line": HEAD + b"\r",
}

# After the message "whole": what comes then, and how many bytes of a message that tears off.
IN_THE_STREAM = {
    "nothing": (b"", None),
    "in a header": (text("x" * 10)[:1], None),
    "in a length of 16 bits": (text("x" * 200)[:3], None),
    "in a length of 64 bits": (text("x" * 70_000)[:6], None),
    "behind a header": (text("x" * 200)[:4], 0),
    "in a frame": (text("x" * 200)[:104], 100),
    "in a large frame": (text("x" * 3_000_000)[:2_000_010], 2_000_000),
    "in a character": (text("ü" * 10)[:5], 3),
    "between frames": (frame(TEXT, b"abc", fin=False), 3),
    "behind an empty frame": (frame(TEXT, fin=False), 0),
    "in a ping": (frame(PING, b"x" * 100)[:50], None),
    "in a ping inside a message": (frame(TEXT, b"abc", fin=False) + frame(PING, b"xyz")[:3], 3),
    "in a close": (frames.close(1000, b"reason")[:4], None),
}


def silent_after(data):
    def script(connection):
        connection.upgrade(more=text("whole"))
        connection.send(data)
        connection.wait_taken()
        connection.wait_end()
    return script


class Silences(Together):
    """One capture for each point of IN_THE_STREAM."""

    def __init__(self, weir, serve, *options):
        super().__init__(weir)
        self._servers = []
        for name, (data, _) in IN_THE_STREAM.items():
            script = silent_after(data)
            self._servers.append(serve(forgiving(script, AssertionError) if options else script))
            self.start(name, self._servers[-1], *options)

    @staticmethod
    def _has_taken_all(server):
        return any(connection.taken for connection in server.connections)

    def signal(self):
        for server, one in zip(self._servers, self.running.values()):
            wait_until(lambda: self._has_taken_all(server), "it has read everything")
            one.process.signal()

    def check_timely(self, code, *words):
        """The same, if the limit of time was long enough for each to get all."""
        results = list(self.ends(code, *words))
        if not all(map(self._has_taken_all, self._servers)):
            raise Hurried("not all could be read in time")
        self._check(results)

    def check(self, code, *words):
        """Each has the message, and says what was torn off."""
        self._check(self.ends(code, *words))

    @staticmethod
    def _check(results):
        for name, result, spool in results:
            assert payloads_of(spool) == [b"whole"], name
            event = events_of(spool)[-1]
            torn = IN_THE_STREAM[name][1]
            assert event.kind == DISCONNECTED, name
            assert (event.cut, event.cut_bytes) == (torn is not None, torn or 0), name
            assert result.report["cut_bytes"] == (torn or 0), name


def test_in_the_handshake(weir, serve):
    captures = Together(weir)
    for name, data in IN_THE_HANDSHAKE.items():
        def script(connection, data=data):
            connection.read_request()
            connection.send(data)
            connection.wait_end()

        captures.start(name, serve(forgiving(script)), "--connect-timeout", "300ms")
    for name, result, _ in captures.ends(3, "--connect-timeout"):
        assert result.seconds > 0.25, name


def test_ended_by_the_duration(weir, serve):
    at_some_pace(lambda pace: Silences(weir, serve, "--duration", ms(pace)).check_timely(0), PACES_S)


def test_ended_by_a_signal(weir, serve):
    silences = Silences(weir, serve)
    silences.signal()
    silences.check(0)


@coming("idle-timeout")
def test_ended_by_the_idle_timeout(weir, serve):
    at_some_pace(lambda pace: Silences(weir, serve, "--idle-timeout", ms(pace)).check_timely(4, "idle"),
                 PACES_S)


def after_its_close(connection):
    """It neither hangs up nor says another word."""
    connection.upgrade(more=text("one") + frames.close(1000))
    connection.wait_end()


def after_our_close(connection):
    connection.upgrade(more=text("one"))
    connection.wait_close()
    connection.wait_end()


def after_both(connection):
    connection.upgrade(more=text("one"))
    connection.answer_close()
    connection.wait_end()


def another_code_after_our_close(connection):
    connection.upgrade(more=text("one"))
    connection.wait_close()
    connection.send(frames.close(1011))


def hung_up_after_our_close(connection):
    """All that was wanted is there: it is no failure of the capture."""
    connection.upgrade(more=text("one"))
    connection.wait_close()


def reset_after_our_close(connection):
    hung_up_after_our_close(connection)
    connection.reset()


CLOSINGS = {  # what weir calls the end, and the code of the server
    after_its_close: ("closed", 1000),
    after_our_close: ("limit", 1006),
    after_both: ("limit", 1000),
    another_code_after_our_close: ("limit", 1011),
    hung_up_after_our_close: ("limit", 1006),
    reset_after_our_close: ("limit", 1006),
}


def test_while_closing(weir, serve):
    captures = Together(weir)
    for script, (end, _) in CLOSINGS.items():
        captures.start(script, serve(script), *(["--messages", "1"] if end == "limit" else []))
    for script, result, spool in captures.ends(0):
        event = events_of(spool)[-1]
        assert payloads_of(spool) == [b"one"], script
        assert (result.report["end"], event.close_code) == CLOSINGS[script], script
