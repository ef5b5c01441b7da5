"""mosquitto over WebSockets: silent for ever to who does not ask for its subprotocol."""

import pytest

from coming import coming
from harness import Hurried, at_some_pace, ms, wait_until
from servers.mosquitto import CONNACK, CONNECT, MosquittoServer
from spool_reader import CONNECTED, DISCONNECTED, events_of, payloads_of


def silent_capture(weir, server, *options):
    """A capture that is connected, and its spool."""
    spool = weir.place.root / "spool"
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--status", "json", *options)
    wait_until(lambda: spool.is_dir() and events_of(spool), "weir is connected")
    return process, spool


def test_accepted_and_then_silent(weir, run_server):
    server = run_server(MosquittoServer)

    def attempt(pace):
        result, spool = weir.captured(server.url, "--status", "json", "--duration", ms(pace),
                                      spool=weir.place.root / f"{pace}")
        report = result.expect(0).report
        assert (report["messages"], report["end"]) == (0, "limit")
        assert result.seconds < pace + 20
        if not events_of(spool):
            raise Hurried("it was not connected yet")
        assert [e.kind for e in events_of(spool)] == [CONNECTED, DISCONNECTED]

    at_some_pace(attempt)


def test_interrupted_in_the_silence(weir, run_server):
    process, spool = silent_capture(weir, run_server(MosquittoServer))
    process.signal()
    result = process.wait().expect(0)
    assert result.seconds < 20 and result.report["messages"] == 0


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_it_ends_without_close(weir, run_server, end):
    server = run_server(MosquittoServer)
    process, spool = silent_capture(weir, server)
    getattr(server, end)()
    process.wait().expect(4, "without a Close")
    event = events_of(spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


@coming("idle-timeout")
def test_the_silence_has_a_limit(weir, run_server):
    server = run_server(MosquittoServer)
    result, spool = weir.captured(server.url, "--idle-timeout", "300ms")
    result.expect(4)
    assert result.seconds < 20
    assert events_of(spool)[-1].kind == DISCONNECTED


@coming("subprotocol")
@pytest.mark.parametrize("names", [["mqtt"], ["nonsense", "mqtt"]])
def test_the_subprotocol_is_chosen(weir, run_server, tap, names):
    tapped = tap(run_server(MosquittoServer).url)
    options = [part for name in names for part in ("--subprotocol", name)]
    process, _ = silent_capture(weir, tapped, *options)
    process.signal()
    process.wait().expect(0)
    assert "sec-websocket-protocol: mqtt" in tapped.head.lower()


@coming("subprotocol")
def test_none_of_the_subprotocols_suits(weir, run_server):
    """It hangs up without an answer."""
    server = run_server(MosquittoServer)
    weir.captured(server.url, "--subprotocol", "nonsense")[0].expect(3)


@coming("send", "@FILE")
@coming("subprotocol")
def test_an_mqtt_client_is_welcome(weir, run_server, place):
    """Its first packet is all ASCII, so it can be sent as text: but only from a file."""
    server = run_server(MosquittoServer)
    packet = place.root / "connect"
    packet.write_bytes(CONNECT)
    result, spool = weir.captured(server.url, "--subprotocol", "mqtt", "--send", f"@{packet}",
                                  "--messages", "1")
    result.expect(0)
    assert payloads_of(spool) == [CONNACK]
