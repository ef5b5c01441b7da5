"""nats-server's WebSocket listener: large frames, 4 KiB fragments, and every kind of end."""

import random

import pytest

import frames
from coming import coming, offers
from frames import BINARY, CONTINUATION, TEXT
from harness import wait_until
from servers.nats import NatsServer, deliveries, subscription
from spool_reader import CONNECTED, DISCONNECTED, events_of, messages_of, payloads_of, records_of

LARGEST = 8 << 20
A_BROWSER = ["--header", "User-Agent: Mozilla/5.0"]  # gets frames of 4 KiB from nats-server
FIRST_BIT = 4  # RSV1: compressed
SMALL_AND_LARGE = [b"", b"a", b"\r\nMSG feed 1 1\r\n", bytes(range(256)), b"y" * 65536]


def hexadecimal(size):
    """Deflates to about a half."""
    return random.Random(size).randbytes(size // 2).hex().encode()


class Subscriber:
    """A capture that is subscribed to the subject `feed`."""

    def __init__(self, weir, url, *options):
        self.spool = weir.place.root / "spool"
        self.process = weir.start_capture(url, "--keep", "--spool", self.spool, "--status", "json",
                                          "--send", subscription("feed"), *options)
        self.wait_for(b"PONG\r\n")

    def wait_for(self, words, times=1):
        wait_until(lambda: self._count(words) >= times, f"{words!r} is in the spool")

    def _count(self, words):
        return sum(path.read_bytes().count(words) for path in self.spool.glob("*.data"))

    def ended(self, code, *words):
        """Checks how the capture ended; returns what it said."""
        return self.process.wait().expect(code, *words)

    def delivered(self, connection=0):
        """What was published to one connection, as far as it was captured."""
        found, rest = deliveries(b"".join(record.payload for record in records_of(self.spool)
                                          if record.connection == connection))
        assert rest == b""
        return found

    def kinds(self):
        return {kind for kind, _ in messages_of(self.spool)}


def test_what_is_published_is_captured(weir, run_server):
    nats = run_server(NatsServer)
    subscriber = Subscriber(weir, nats.url)
    published = SMALL_AND_LARGE + [b"%d" % n for n in range(5000)] + [b"z" * LARGEST, b"last"]
    nats.publish("feed", published)
    subscriber.wait_for(b"last")
    nats.terminate()
    report = subscriber.ended(0).report
    assert (report["end"], report["close_code"]) == ("closed", 1001)
    assert subscriber.delivered() == published
    assert subscriber.kinds() == {BINARY}
    assert [e.kind for e in events_of(subscriber.spool)] == [CONNECTED, DISCONNECTED]
    assert events_of(subscriber.spool)[-1].close_code == 1001


def test_small_frames_for_a_browser(weir, run_server, tap):
    """Without compression it cuts what it sends into messages of 4 KiB."""
    nats = run_server(NatsServer)
    tapped = tap(nats.url)
    subscriber = Subscriber(weir, tapped.url, *A_BROWSER, *without_compression())
    nats.publish("feed", [hexadecimal(LARGEST), b"last"])
    subscriber.wait_for(b"last\r\n")
    nats.terminate()
    subscriber.ended(0)
    assert subscriber.delivered() == [hexadecimal(LARGEST), b"last"]
    assert sum(len(f.payload) == 4096 for f in tapped.server_frames()) >= 2000


def without_compression():
    return ["--no-compression"] if offers("no-compression") else []


@coming("no-compression")
@pytest.mark.parametrize("options", [A_BROWSER, []], ids=["4 KiB fragments", "whole"])
def test_compressed(weir, run_server, tap, options):
    """Compressed and uncompressed messages mixed, parameters that nobody asked for."""
    nats = run_server(NatsServer)
    tapped = tap(nats.url)
    subscriber = Subscriber(weir, tapped.url, *options)
    published = [b"short", *SMALL_AND_LARGE, hexadecimal(LARGEST), b"z" * LARGEST, b"last"]
    nats.publish("feed", published[:1])
    subscriber.wait_for(b"short")
    nats.publish("feed", published[1:])
    subscriber.wait_for(b"last")
    nats.terminate()
    subscriber.ended(0)
    assert subscriber.delivered() == published
    assert "server_no_context_takeover; client_no_context_takeover" in tapped.head
    sent = [f for f in tapped.server_frames() if f.opcode in (CONTINUATION, TEXT, BINARY)]
    assert {f.reserved for f in sent if f.opcode} == {0, FIRST_BIT}
    fragments = [f for f in sent if not f.fin]
    assert len(fragments) > 1000 if options else not fragments
    assert all(len(f.payload) == 4096 for f in fragments)


@coming("no-compression")
def test_compression_not_offered(weir, run_server, tap):
    nats = run_server(NatsServer)
    tapped = tap(nats.url)
    subscriber = Subscriber(weir, tapped.url, "--no-compression")
    nats.publish("feed", [b"z" * 65536])
    subscriber.wait_for(b"z" * 65536)
    nats.terminate()
    subscriber.ended(0)
    assert "permessage-deflate" not in tapped.head
    assert subscriber.delivered() == [b"z" * 65536]


def test_kill_is_an_end_without_close(weir, run_server):
    """Told as a lost connection; what came before it stays."""
    nats = run_server(NatsServer)
    subscriber = Subscriber(weir, nats.url)
    published = [*SMALL_AND_LARGE, b"last"]
    nats.publish("feed", published)
    subscriber.wait_for(b"last")
    nats.kill()
    report = subscriber.ended(4, "without a Close").report
    assert (report["end"], report["close_code"]) == ("failed", 0)
    assert subscriber.delivered() == published
    event = events_of(subscriber.spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


@coming("reconnect")
def test_it_is_killed_and_starts_again(weir, run_server):
    """A second connection, subscribed as the first one; the record tells them apart."""
    nats = run_server(NatsServer)
    subscriber = Subscriber(weir, nats.url, "--reconnect", "--retry-wait-max", "200ms")
    nats.publish("feed", [b"first"])
    subscriber.wait_for(b"first\r\n")
    nats.kill()
    nats.start_again()
    subscriber.wait_for(b"PONG\r\n", times=2)
    nats.publish("feed", [b"second"])
    subscriber.wait_for(b"second\r\n")
    subscriber.process.signal()
    subscriber.ended(0)
    assert [subscriber.delivered(connection) for connection in (0, 1)] == [[b"first"], [b"second"]]
    ends = [e.close_code for e in events_of(subscriber.spool) if e.kind == DISCONNECTED]
    assert ends == [1006, 1000]


@pytest.mark.parametrize("more, words, code", [
    ("", "NONSENSE\r\n", 1002),
    ('authorization { token: "secret" }', 'CONNECT {"verbose":false}\r\n', 1008),
], ids=["nonsense", "no token"])
def test_refused_after_the_handshake(weir, run_server, more, words, code):
    nats = run_server(NatsServer, more)
    result, spool = weir.captured(nats.url, "--send", words)
    result.expect(4, str(code))
    assert payloads_of(spool)[0].startswith(b"INFO ")
    assert b"-ERR " in payloads_of(spool)[-1]
    assert events_of(spool)[-1].close_code == code


def test_the_limit_ends_it_properly(weir, run_server, tap):
    nats = run_server(NatsServer)
    tapped = tap(nats.url)
    result, spool = weir.captured(tapped.url, "--status", "json", "--messages", "1")
    assert result.expect(0).report["end"] == "limit"
    assert len(payloads_of(spool)) == 1
    closes = [[frames.close_code(f.payload) for f in sent if f.opcode == frames.CLOSE]
              for sent in (tapped.client_frames(), tapped.server_frames())]
    assert closes == [[1000], [1000]]
