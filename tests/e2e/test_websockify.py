"""websockify: binary frames as fast as they can, with pings between."""

import hashlib
import random
import time

import pytest

from frames import BINARY, PING, PONG
from harness import LIMIT, SANITIZED, wait_until
from servers.websockify import TcpSource, WebsockifyServer
from spool_reader import DISCONNECTED, events_of, messages_of, payloads_of

BLOCK = 1 << 20
BLOCKS = 16 if SANITIZED else 48


@pytest.fixture
def proxied(run_server):
    """proxied(feed, …): websockify before a source; see TcpSource."""
    sources = []

    def start(feed, *options):
        sources.append(TcpSource(feed))
        return run_server(WebsockifyServer, sources[-1], *options)

    yield start
    for source in sources:
        source.finish()


def digest(parts):
    total = hashlib.sha256()
    for part in parts:
        total.update(part)
    return total.hexdigest()


def test_a_fast_stream(weir, proxied):
    """Nothing paces it but TCP. The source stays: at its end websockify drops what it queued."""
    block = random.Random(3).randbytes(BLOCK)

    def feed(client):
        for _ in range(BLOCKS):
            client.sendall(block)
        client.recv(1)

    result, spool = weir.captured(proxied(feed).url, "--status", "json", "--segment-size", "16MiB",
                                  "--bytes", BLOCK * BLOCKS)
    report = result.expect(0).report
    assert (report["bytes"], report["end"]) == (BLOCK * BLOCKS, "limit")
    messages = messages_of(spool)
    assert {kind for kind, _ in messages} == {BINARY}
    assert max(len(payload) for _, payload in messages) == 65536
    assert digest(payload for _, payload in messages) == digest(block for _ in range(BLOCKS))
    if not SANITIZED:
        assert report["peak_rss_bytes"] <= 16 << 20


def test_pings_in_a_stream(weir, proxied, tap):
    """One for each second: each is answered, and none disturbs the data. Then the source ends."""
    block = random.Random(4).randbytes(BLOCK // 4)

    def has_pinged():
        return any(f.opcode == PING for f in tapped.server_frames())

    def feed(client):
        end = time.monotonic() + LIMIT
        while not has_pinged() and time.monotonic() < end:
            client.sendall(block)
            time.sleep(0.05)
        client.sendall(block)

    tapped = tap(proxied(feed, "--heartbeat=1").url)
    result, spool = weir.captured(tapped.url, "--status", "json")
    assert result.expect(0).report["close_code"] == 1000
    sent = tapped.server_frames()
    pings = [f.payload for f in sent if f.opcode == PING]
    assert pings, "websockify sent no ping"
    assert [f.payload for f in tapped.client_frames() if f.opcode == PONG] == pings
    assert messages_of(spool) == [(BINARY, f.payload) for f in sent if f.opcode == BINARY]


def kept(spool):
    return payloads_of(spool) if spool.is_dir() else []


def test_killed_in_a_stream(weir, proxied):
    def feed(client):
        client.sendall(b"x" * 100_000)
        client.recv(1)  # until websockify is gone

    server = proxied(feed)
    spool = weir.place.root / "spool"
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--segment-age", "0")
    wait_until(lambda: sum(len(payload) for payload in kept(spool)) == 100_000, "all is captured")
    server.kill()
    process.wait().expect(4)
    assert b"".join(payloads_of(spool)) == b"x" * 100_000
    event = events_of(spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


def test_a_source_that_refuses(weir, run_server):
    """The handshake succeeds, then a Close tells what is wrong."""
    nobody = TcpSource(None)
    nobody.finish()
    server = run_server(WebsockifyServer, nobody)
    result, spool = weir.captured(server.url)
    result.expect(4, "1011")
    assert payloads_of(spool) == []
    assert events_of(spool)[-1].close_code == 1011
