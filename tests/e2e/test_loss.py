"""Each way in which a connection can end, and what is on record of it."""

import pytest

import frames
import spool_reader
from frames import text
from spool_reader import events_of, payloads_of


def close(connection):
    connection.finish(1001)


def hang_up(_):
    pass


def reset(connection):
    connection.reset()


def violate(connection):
    connection.send(frames.frame(3))
    connection.wait_end()


def too_large(connection):
    connection.send(text("x" * 2000))
    connection.wait_end()


def say_nothing(connection):
    connection.wait_end()


def answer_pings(connection):
    try:
        while True:
            connection.next_of(frames.PING)
            connection.send(frames.frame(frames.PONG))
    except (EOFError, ConnectionError):
        pass


PINGS = ["--ping-interval", "50ms", "--pong-timeout", "50ms"]
ENDS = {
    "closed": (close, [], spool_reader.CLOSED, 1001, 0),
    "ended": (hang_up, [], spool_reader.ENDED, 1006, 4),
    "broken": (reset, [], spool_reader.BROKEN, 1006, 4),
    "violated": (violate, [], spool_reader.VIOLATED, 1006, 4),
    "too large": (too_large, ["--message-max", "1000"], spool_reader.VIOLATED, 1006, 4),
    "silent": (say_nothing, PINGS, spool_reader.SILENT, 1006, 4),
    "idle": (answer_pings, ["--idle-timeout", "200ms", "--ping-interval", "50ms"],
             spool_reader.IDLE, 1006, 4),
    "unanswered": (say_nothing, ["--messages", "1"], spool_reader.UNANSWERED, 1006, 0),
}


@pytest.mark.parametrize("name", ENDS)
def test_an_end(weir, serve, name):
    end, options, loss, close_code, exit_code = ENDS[name]

    def script(connection):
        connection.upgrade(more=text("before"))
        end(connection)

    result, spool = weir.captured(serve(script).url, *options)
    result.expect(exit_code)
    event = events_of(spool)[-1]
    assert (event.kind, event.loss, event.close_code) == (spool_reader.DISCONNECTED, loss, close_code)
    assert payloads_of(spool) == [b"before"]


def test_an_answer_that_is_not_the_one(weir, serve, place):
    script = place.root / "script"
    script.write_text('expect 200ms "welcome"\n')

    def serve_it(connection):
        connection.upgrade(more=text("go away"))
        connection.finish()

    result, spool = weir.captured(serve(serve_it).url, "--script", script)
    result.expect(4, "welcome")
    assert events_of(spool)[-1].loss == spool_reader.OPENING
