"""A server that disconnects at random points, and what a capture of it must have made of that.

Each connection has its number, which is that of the record too: weir makes one after the other. What
must be there is known exactly:

- The stream ends with FIN, or with a Close that is answered: all that was sent before. The server
  reads on until the client has closed, or its kernel would turn the FIN into a reset.
- The stream ends with a reset: all that was sent before a Ping that was answered. What came
  behind it may be there or not, up to some message.
"""

import itertools
import random
import socket
import zlib
from dataclasses import dataclass, field

import frames
from frames import CONTINUATION, PING, TEXT, frame
from harness import SANITIZED, wait_until
from servers.hostile import HostileServer
from spool_reader import CONNECTED, DISCONNECTED, RECONNECTED, records_of
from turns import confirm

FILLER = random.Random(0).randbytes(1 << 18).hex().encode()
CODES = [1000, 1001, 1011, 1012, 1013, 4000, None]
REFUSALS = ["500 Oh", "502 Bad Gateway", "503 Service Unavailable", "429 Too Many Requests"]
EARLY = ["at once", "after the request", "in the head", "refused"]
POINTS = (["after the head"] + ["between messages"] * 2 + ["in a message"] * 4 + ["between frames"]
          + ["in a ping", "in a close", "violation"] + ["close"] * 2)
COMPRESSED = 4  # RSV1


@dataclass
class Visit:
    """What was done to one client."""
    number: int
    how: str = ""
    opened: bool = None  # None: that is not known
    sent: list = field(default_factory=list)  # the payloads of all messages that were sent whole
    sure: int = 0  # how many of them must be there
    torn: bool = None  # whether a message was torn off, where that is known


@dataclass
class Held:
    """By the process, at one moment."""
    descriptors: int
    mappings: int
    memory: int


class Compressor:
    """One side of permessage-deflate."""

    def __init__(self, keeps_context):
        self._keeps = keeps_context
        self._begin()

    def _begin(self):
        self._deflate = zlib.compressobj(1, zlib.DEFLATED, -15)

    def pack(self, payload):
        packed = self._deflate.compress(payload) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        if not self._keeps:
            self._begin()
        return packed[:-4]


class Disconnecter:
    """`count` disconnects; then one connection that stays. `weir` is set when the process runs."""

    def __init__(self, seed, count, tls=None):
        self.weir, self.visits, self.held = None, [], []
        self._seed, self._count, self._numbers = seed, count, itertools.count()
        self._looks = (count // 4, count)
        self.server = HostileServer(self._script, tls=tls)

    def _script(self, connection):
        visit = Visit(next(self._numbers))
        self.visits.append(visit)
        if visit.number >= self._count:
            self._stay(connection, visit)
        else:
            Disconnect(connection, visit, random.Random(f"{self._seed} {visit.number}")).run(
                self._look if visit.number in self._looks else None)

    def _look(self):
        self.held.append(Held(len(self.weir.descriptors()), self.weir.mappings(),
                              self.weir.memory()))

    def _stay(self, connection, visit):
        visit.how, visit.opened, visit.sent, visit.sure = "stays", True, [b"last"], 1
        connection.upgrade()
        confirm(connection, frames.text(b"last"))
        self._look()
        connection.answer_close()

    def check_held(self):
        """As at the beginning: the same descriptors, and no more memory than what varies."""
        begin, end = self.held
        assert end.descriptors == begin.descriptors, self.held
        assert SANITIZED or end.mappings <= begin.mappings + 6, self.held
        assert SANITIZED or end.memory <= begin.memory + (2 << 20), self.held


class Disconnect:
    """One connection: messages, up to a point at random, and then its end."""

    def __init__(self, connection, visit, dice):
        self.connection, self.visit, self.dice = connection, visit, dice
        self._compressor = None

    def run(self, look):
        dice, visit = self.dice, self.visit
        reset = dice.randrange(2) == 0
        point = dice.choice(EARLY) if look is None and dice.randrange(5) == 0 else dice.choice(POINTS)
        visit.how = f"{'reset' if reset else 'FIN'} {point}"
        try:
            if point in EARLY:
                self._early(point)
            else:
                self._open()
                self._talk(point, reset, look)
            self._end(reset)
        except (BrokenPipeError, ConnectionResetError, EOFError) as gone:
            raise AssertionError(f"connection {visit.number} ({visit.how}) was left by the "
                                 f"client: {gone!r}") from gone

    def _early(self, point):
        self.visit.opened = False
        if point == "at once":
            return
        request = self.connection.read_request()
        if point == "in the head":
            head = "\r\n".join(["HTTP/1.1 101 Switching Protocols",
                                *self.connection.accept_lines(), "", ""]).encode()
            self.connection.send(head[:self.dice.randrange(1, len(head))])
        elif point == "refused":
            self.connection.answer("Content-Length: 0",
                                   status=f"HTTP/1.1 {self.dice.choice(REFUSALS)}")
        assert request.line

    def _open(self):
        request, lines = self.connection.read_request(), []
        if request.values("sec-websocket-extensions") and self.dice.randrange(2):
            keeps = self.dice.randrange(2) == 1
            lines = ["Sec-WebSocket-Extensions: permessage-deflate"
                     + ("" if keeps else "; server_no_context_takeover")]
            self._compressor = Compressor(keeps)
        early = b"".join(self._message() for _ in range(self.dice.choice([0, 0, 1, 3])))
        self.connection.answer(*self.connection.accept_lines(), *lines, more=early)

    def _payload(self):
        size = int(2000 ** self.dice.random())
        if self.dice.randrange(200) == 0:
            size = self.dice.randrange(100_000, 300_000)
        at = self.dice.randrange(len(FILLER) - size)
        return b"%d %d %s" % (self.visit.number, len(self.visit.sent), FILLER[at:at + size])

    def _frames(self, payload):
        """The frames of a message, each as bytes."""
        reserved = 0
        if self._compressor and self.dice.randrange(4):
            payload, reserved = self._compressor.pack(payload), COMPRESSED
        cuts = []
        if self.dice.randrange(4) == 0:
            cuts = sorted(self.dice.randrange(len(payload) + 1) for _ in range(2))
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]
        last = len(pieces) - 1
        return [frame(CONTINUATION if n else TEXT, piece, fin=n == last,
                      reserved=0 if n else reserved) for n, piece in enumerate(pieces)]

    def _message(self):
        payload = self._payload()
        data = b"".join(self._frames(payload))
        self.visit.sent.append(payload)
        return data

    def _talk(self, point, reset, look):
        visit, send = self.visit, self.connection.send
        if point != "after the head":
            for _ in range(self.dice.randrange(6)):
                send(b"".join(self._message() for _ in range(self.dice.randrange(1, 8))))
        if reset and point != "close" or look:
            self._confirm()
            for _ in range(self.dice.choice([0, 0, 5])):
                send(self._message())
        if look:
            look()
        torn = self._tear(point)
        if not reset or point == "close":
            visit.opened, visit.sure, visit.torn = True, len(visit.sent), torn

    def _confirm(self):
        if self.dice.randrange(4) == 0:
            return
        confirm(self.connection, b"")
        self.visit.opened, self.visit.sure = True, len(self.visit.sent)

    def _tear(self, point):
        """Sends what comes before the end. Returns whether it is in a message."""
        dice, send = self.dice, self.connection.send
        if point == "in a message":
            data = b"".join(self._frames(self._payload()))
            data = data[:dice.randrange(1, len(data))]
            send(data)
            return len(data) > 9 or None  # of a header alone, nothing is known
        if point == "between frames":
            send(frame(TEXT, self._payload(), fin=False))
            return True
        if point == "in a ping":
            send(frame(PING, b"x" * 100)[:dice.randrange(1, 100)])
        elif point == "in a close":
            send(frames.close(1000, b"reason")[:dice.randrange(1, 9)])
        elif point == "violation":
            send(dice.choice([b"\x83\x00", b"\x91\x00", b"\x81\x81abcdx", b"\x89\x7e\x00\x80"]))
        elif point == "close":
            send(frames.close(dice.choice(CODES)))
            self.connection.wait_close()
        return False

    def _end(self, reset):
        if reset:
            self.connection.reset()
            return
        self.connection.socket.shutdown(socket.SHUT_WR)
        self.connection.wait_end()


class Account:
    """The record of the capture, checked against what the server did."""

    def __init__(self, visits, spool):
        self.visits, self.messages, self.opened = visits, 0, 0
        records = iter(records_of(spool))
        record = next(records, None)
        for visit in visits:
            mine = []
            while record and record.connection == visit.number % 65536:
                mine.append(record)
                record = next(records, None)
            self._check(visit, mine)
        assert record is None, f"a record of no connection, or in the wrong place: {record}"

    def _check(self, visit, records):
        where = f"connection {visit.number} ({visit.how}): {[r.kind for r in records]}"
        if not records:
            assert not visit.opened, f"{where}: it is not there"
            return
        assert visit.opened is not False, f"{where}: it never was open"
        first = [CONNECTED, RECONNECTED] if self.opened else [CONNECTED]
        self.opened += 1
        assert [r.kind for r in records[:len(first)]] == first, where
        end, messages = records[-1], records[len(first):-1]
        assert end.kind == DISCONNECTED, where
        assert all(r.is_message for r in messages), where
        payloads = [r.payload for r in messages]
        assert payloads == visit.sent[:len(payloads)], f"{where}: not what was sent"
        assert len(payloads) >= visit.sure, f"{where}: {len(payloads)} of {visit.sure} are there"
        assert visit.torn is None or end.cut == visit.torn, f"{where}: cut is {end.cut}"
        self.messages += len(payloads)


def disconnect(weir, place, seed, count, limit, options=(), tls=None):
    """One capture that is disconnected `count` times. Returns what is known of it."""
    disconnecter, spool = Disconnecter(seed, count, tls), place.root / "spool"
    disconnecter.weir = weir.start_capture(
        disconnecter.server.url, "--keep", "--spool", spool, "--reconnect", "--retry-wait-max",
        "1ms", "--status", "json", "--segment-age", "0", "--segment-size", "1MiB", *options)
    try:
        wait_until_stays(disconnecter, count, limit)
        disconnecter.weir.signal()
        result = disconnecter.weir.wait().expect(0)
    finally:
        disconnecter.weir.kill()
        disconnecter.server.finish()
    announced = result.complaint.count("the next attempt comes in")
    assert announced == len(result.complaint.splitlines()) == count, "one line for each of them"
    disconnecter.check_held()
    account = Account(disconnecter.visits, spool)
    assert result.report["messages"] == account.messages
    return disconnecter, account


def wait_until_stays(disconnecter, count, limit):
    wait_until(lambda: len(disconnecter.held) == 2 or disconnecter.server._failures
               or not disconnecter.weir.running, f"{count} disconnects", limit)
