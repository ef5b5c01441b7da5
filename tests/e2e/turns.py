"""A server that does something else to each client, and what a capture says of its connections."""

import itertools
import re

import frames
from frames import text
from spool_reader import CONNECTED, DISCONNECTED, RECONNECTED, events_of

AT_ONCE = ["--reconnect", "--retry-wait-max", "10ms"]


def in_turn(*scripts):
    """A script that plays the first one to the first client, and so on, the last one to the rest."""
    numbers = itertools.count()

    def script(connection):
        scripts[min(next(numbers), len(scripts) - 1)](connection)
    return script


def confirm(connection, data):
    """Sends it, and returns when the client has taken it: its Pong to a Ping behind it says so."""
    connection.send(data + frames.frame(frames.PING, b"taken?"))
    connection.next_of(frames.PONG)


def forgiving(script, *kinds):
    """The script, for clients that may go away in the middle of it; what fails then may be more."""
    def play(connection):
        try:
            script(connection)
        except (EOFError, OSError, *kinds):
            pass
    return play


def giving(*messages):
    """A script that sends these, and waits for the client to close."""
    def script(connection):
        connection.upgrade(more=b"".join(text(message) for message in messages))
        connection.answer_close()
    return script


def answering(status, *lines):
    """A script that refuses the upgrade with this status line, as HTTP has it."""
    def script(connection):
        connection.read_request()
        connection.answer(*lines, "Content-Length: 0", status=f"HTTP/1.1 {status}")
        connection.wait_end()
    return script


def announced(result):
    """What was said of each loss that another attempt follows on: the lines of standard error."""
    return [line for line in result.complaint.splitlines() if "the next attempt comes in" in line]


def story(spool):
    """The events as words, each with its source and connection."""
    words = {CONNECTED: lambda _: "connected", RECONNECTED: lambda _: "reconnected",
             DISCONNECTED: lambda e: f"disconnected {e.close_code}{' cut' if e.cut else ''}"}
    return [(e.source, e.connection, words[e.kind](e)) for e in events_of(spool)]


def waits(lines):
    """The announced waits, in seconds: "12 ms", "1.0 s", "16m40s", or "1h00m"."""
    unit = {"ms": 1e-3, "s": 1, "m": 60, "h": 3600}
    found = [re.findall(r"([\d.]+) ?(ms|s|m|h)", line.rpartition("comes in ")[2])
             for line in lines]
    return [sum(float(number) * unit[name] for number, name in parts) for parts in found]
