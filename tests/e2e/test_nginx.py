"""nginx between weir and a server: all passes through, and its own ends and refusals are told."""

import pytest

from coming import coming
from frames import text, texts
from harness import Hurried, at_some_pace, free_port, ms, wait_until
from servers.hostile import sending
from servers.nginx import NginxServer
from servers.plan import Plan
from spool_reader import DISCONNECTED, events_of, payloads_of

MESSAGES = [b"", b"one", b"x" * 70_000, "zwei ü".encode(), b"y" * (4 << 20)]


def saying(data):
    """A script that sends and then waits until somebody hangs up."""
    def script(connection):
        connection.upgrade(more=data)
        connection.wait_end()
    return script


def lost(spool):
    event = events_of(spool)[-1]
    return (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


def test_messages_pass_through(weir, serve, run_server):
    upstream = serve(sending(texts(MESSAGES)))
    nginx = run_server(NginxServer, upstream.url)
    result, spool = weir.captured(nginx.url, "--status", "json")
    assert result.expect(0).report["close_code"] == 1000
    assert payloads_of(spool) == MESSAGES


def test_an_honest_server_behind_it(weir, honest_server, run_server):
    plan = Plan().text(b"a" * 100_000).ping(b"ping").text("zwei ", "ü").binary(b"\n").close()
    server = honest_server(plan)
    nginx = run_server(NginxServer, server.url)
    result, spool = weir.captured(nginx.url)
    result.expect(0)
    assert payloads_of(spool) == [payload for _, payload in plan.sent]
    assert server.wait_played().pongs == plan.pings


def test_its_limit_on_silence_is_an_end_without_close(weir, serve, run_server):
    upstream = serve(saying(text("one")))

    def attempt(pace):
        nginx = run_server(NginxServer, upstream.url, idle_limit=ms(pace))
        result, spool = weir.captured(nginx.url, spool=weir.place.root / f"{pace}")
        if result.code == 3:
            raise Hurried("nginx did not get its answer in time")
        result.expect(4, "without a Close")
        assert payloads_of(spool) == [b"one"] and lost(spool)

    at_some_pace(attempt)


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_it_ends(weir, serve, run_server, end):
    upstream = serve(saying(text("one")))
    nginx = run_server(NginxServer, upstream.url)
    spool = weir.place.root / "spool"
    process = weir.start_capture(nginx.url, "--keep", "--spool", spool)
    wait_until(lambda: spool.is_dir() and payloads_of(spool), "the message is captured")
    getattr(nginx, end)()
    process.wait().expect(4)
    assert payloads_of(spool) == [b"one"] and lost(spool)


@pytest.mark.parametrize("path, words", [
    ("refused", ["403"]),
    ("moved", ["302", "ws://elsewhere.invalid/feed"]),
    ("busy", ["503"]),
])
def test_refusals(weir, run_server, path, words):
    nginx = run_server(NginxServer, "http://127.0.0.1:9")
    weir.capture(nginx.url + path, "--", "false").expect(3, *words)


def test_nobody_behind_it(weir, run_server):
    nginx = run_server(NginxServer, f"http://127.0.0.1:{free_port()}")
    weir.capture(nginx.url, "--", "false").expect(3, "502")


@coming("cacert")
def test_tls(weir, serve, run_server):
    upstream = serve(sending(texts(MESSAGES)))
    nginx = run_server(NginxServer, upstream.url)
    result, spool = weir.captured(nginx.tls_url, "--cacert", nginx.certificate)
    result.expect(0)
    assert payloads_of(spool) == MESSAGES


@coming("insecure")
def test_tls_that_nobody_vouches_for(weir, serve, run_server):
    nginx = run_server(NginxServer, serve(sending(text("one"))).url)
    weir.capture(nginx.tls_url, "--", "false").expect(3, "certificate")
    result, spool = weir.captured(nginx.tls_url, "--insecure")
    result.expect(0)
    assert payloads_of(spool) == [b"one"]


@coming("cacert")
@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_tls_that_ends_without_close(weir, serve, run_server, end):
    upstream = serve(saying(text("one")))
    nginx = run_server(NginxServer, upstream.url)
    spool = weir.place.root / "spool"
    process = weir.start_capture(nginx.tls_url, "--cacert", nginx.certificate, "--keep", "--spool",
                                 spool)
    wait_until(lambda: spool.is_dir() and payloads_of(spool), "the message is captured")
    getattr(nginx, end)()
    process.wait().expect(4)
    assert payloads_of(spool) == [b"one"] and lost(spool)
