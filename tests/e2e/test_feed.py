"""weir feed: a source of realistic messages that are the same every time."""

import json
import resource
import signal
import socket
import time

import pytest

import frames
from feed_client import ACCEPT, REQUEST, FeedClient, started_feed
from frames import BINARY, PING, PONG, TEXT
from harness import wait_until
from spool_reader import payloads_of


def stream(weir, *options):
    """All messages of one connection; the feed ends by itself."""
    process, url = started_feed(weir, "--once", *options)
    with FeedClient(url) as client:
        assert client.upgrade()[0].startswith("HTTP/1.1 101")
        messages = client.messages()
    process.wait().expect(0)
    return messages


def test_the_upgrade(weir):
    process, url = started_feed(weir, "--messages", "1", "--once")
    with FeedClient(url) as client:
        status, headers = client.upgrade()
        assert status.startswith("HTTP/1.1 101")
        assert headers["upgrade"].lower() == "websocket"
        assert headers["connection"].lower() == "upgrade"
        assert headers["sec-websocket-accept"] == ACCEPT
        assert "sec-websocket-extensions" not in headers
        client.messages()
    process.wait().expect(0)


def test_the_same_seed_gives_the_same_bytes(weir):
    one, same = (stream(weir, "--seed", "7", "--messages", "2000") for _ in range(2))
    other = stream(weir, "--seed", "8", "--messages", "2000")
    assert one == same and one != other
    assert stream(weir, "--messages", "5") == stream(weir, "--messages", "5", "--seed", "1")
    assert one[:50] == stream(weir, "--seed", "7", "--messages", "50")


def test_every_connection_gets_the_same_stream(weir):
    process, url = started_feed(weir, "--messages", "500")
    got = []
    for _ in range(3):
        with FeedClient(url) as client:
            client.upgrade()
            got.append(client.messages())
    assert got[0] == got[1] == got[2]
    process.signal(signal.SIGTERM)
    process.wait().expect(0)


def test_messages_are_trades_of_about_200_bytes(weir):
    messages = stream(weir, "--messages", "3000")
    assert len(messages) == 3000 and {opcode for opcode, _ in messages} == {TEXT}
    trades = [json.loads(payload) for _, payload in messages]
    assert all(type(trade) is dict and trade.keys() == trades[0].keys() for trade in trades)
    assert not any(b"\n" in payload for _, payload in messages)
    sizes = [len(payload) for _, payload in messages]
    assert 180 <= sum(sizes) / len(sizes) <= 220 and min(sizes) > 120 and max(sizes) < 300


@pytest.mark.parametrize("size", [1, 1000, 250_000])
def test_bytes_stop_at_the_first_message_that_reaches_them(weir, size):
    sizes = [len(payload) for _, payload in stream(weir, "--bytes", size)]
    assert sum(sizes) >= size and sum(sizes[:-1]) < size


@pytest.mark.parametrize("size", [1, 125, 126, 65535, 65536, 1_000_000])
@pytest.mark.parametrize("binary", [True, False])
def test_messages_of_one_size(weir, size, binary):
    options = ["--binary"] if binary else []
    messages = stream(weir, "--messages", "3", "--size", size, *options)
    assert [len(payload) for _, payload in messages] == [size] * 3
    assert {opcode for opcode, _ in messages} == {BINARY if binary else TEXT}
    if not binary:
        [payload.decode() for _, payload in messages]


def test_quiet_says_the_url_and_nothing_else(weir):
    process, url = started_feed(weir, "--messages", "1", "--once")
    with FeedClient(url) as client:
        client.upgrade()
        client.messages()
    result = process.wait().expect(0)
    assert result.out.decode() == url + "\n" and not result.err


def test_nobody_learns_the_url(weir):
    with open("/dev/full", "wb") as full:
        weir.run("feed", stdout=full).expect(5, "standard output")


def test_a_client_that_asks_for_nothing(weir):
    process, url = started_feed(weir, "--once")
    with FeedClient(url) as client:
        assert client.socket.recv(1) == b""
    assert 2 < process.wait().expect(0).seconds < 20


def test_more_clients_than_descriptors(weir):
    """Those that are served go on, the feed does not turn in circles, and places are given again."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (12, 12))
    process = weir.start("feed", "--rate", "100", preexec_fn=limit)
    wait_until(lambda: b"\n" in process.out_so_far(), "the feed says its URL")
    url = process.out_so_far().decode().strip()
    with FeedClient(url) as client:
        assert client.upgrade()[0].startswith("HTTP/1.1 101")
        others = [FeedClient(url) for _ in range(12)]
        before, begin = process.cpu_seconds(), time.monotonic()
        time.sleep(0.5)
        assert process.cpu_seconds() - before < 0.2 * (time.monotonic() - begin)
        client.next_of(TEXT)
        for other in others:
            other.__exit__()
    with FeedClient(url) as late:
        assert late.upgrade()[0].startswith("HTTP/1.1 101")
    process.signal(signal.SIGTERM)
    process.wait().expect(0)


def test_rate(weir):
    process, url = started_feed(weir, "--messages", "20", "--rate", "100", "--once")
    with FeedClient(url) as client:
        client.upgrade()
        client.messages()
    assert process.wait().expect(0).seconds >= 0.15


def test_pings_are_answered(weir):
    process, url = started_feed(weir, "--rate", "100", "--once")
    with FeedClient(url) as client:
        client.upgrade()
        client.send(PING, b"are you there")
        assert client.next_of(PONG).payload == b"are you there"
        client.send(frames.CLOSE, b"\x03\xe8")
        assert frames.close_code(client.next_of(frames.CLOSE).payload) == 1000
    process.wait().expect(0)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_on_a_signal(weir, number):
    process, url = started_feed(weir)
    with FeedClient(url) as client:
        client.upgrade()
        client.next()
        process.signal(number)
        process.wait().expect(0)


def test_a_client_that_vanishes_does_not_end_it(weir):
    process, url = started_feed(weir, "--messages", "100")
    for stop in (b"", REQUEST[:30], REQUEST):
        with FeedClient(url) as client:
            client.socket.sendall(stop)
    with FeedClient(url) as client:
        client.upgrade()
        assert len(client.messages()) == 100
    process.signal()
    process.wait().expect(0)


@pytest.mark.parametrize("request_bytes", [
    b"nonsense\r\n\r\n", REQUEST.replace(b"GET", b"POST"), REQUEST.replace(b"13", b"8"),
    REQUEST.replace(b"Upgrade: websocket\r\n", b""), bytes(range(256)) + b"\r\n\r\n"])
def test_a_bad_request_is_refused(weir, request_bytes):
    process, url = started_feed(weir)
    with FeedClient(url) as client:
        try:
            assert not client.upgrade(request_bytes)[0].startswith("HTTP/1.1 101")
        except (ConnectionResetError, ValueError):
            pass
    process.signal()
    process.wait().expect(0)


def test_a_port_that_is_taken(weir):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        result = weir.run("feed", "--listen", address)
    assert result.code not in (0, 2) and address in result.complaint, result


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_an_address_of_choice(weir, host):
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    process, url = started_feed(weir, "--listen", f"{host}:{port}")
    assert url == f"ws://127.0.0.1:{port}/"
    process.signal()
    process.wait().expect(0)


def test_captured_is_what_the_feed_sent(weir):
    sent = stream(weir, "--seed", "3", "--bytes", "1MiB")
    process, url = started_feed(weir, "--seed", "3", "--bytes", "1MiB", "--once")
    result, spool = weir.captured(url)
    result.expect(0)
    assert payloads_of(spool) == [payload for _, payload in sent]
    process.wait().expect(0)
