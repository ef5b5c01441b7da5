"""Redirects: where they lead, what is not followed, and who gets to see what."""

import ssl
import time

import pytest

from frames import text
from harness import wait_until
from servers.hostile import HostileServer, sending
from spool_reader import payloads_of
from test_proxy import environment
from test_unix_socket import listen

SECRETS = ["hush-cookie", "hush-header", "hush-bearer", "hush-token"]
HEADERS = ["--header", "Cookie: hush-cookie", "--header", "X-Key: hush-header"]


def redirecting(location, status="302 Found", more=()):
    """A script: every request is sent on to `location`, which may be made of the request."""
    def script(connection):
        request = connection.read_request()
        to = location(request) if callable(location) else location
        lines = [f"Location: {to}"] if to is not None else []
        connection.answer(*lines, *more, "Content-Length: 0", status=f"HTTP/1.1 {status}")
        connection.wait_end()
    return script


def at_paths(scripts):
    """A script: to each path its own."""
    def script(connection):
        request = connection.read_request()
        connection.read_request = lambda: request
        scripts[request.line.split(" ")[1]](connection)
    return script


def requests_of(server):
    server.join()
    return [connection.request for connection in server.connections]


def says(request, words=SECRETS):
    """Which of the secrets are in a request."""
    return [word for word in words if any(word in value for _, value in request.headers)]


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Found", "303 See Other",
                                    "307 Temporary Redirect", "308 Permanent Redirect"])
def test_redirects_that_are_followed(weir, serve, status):
    there = serve(sending(text("x")))
    here = serve(redirecting(f"{there.url}feed?token=hush", status))
    result, spool = weir.captured(here.url, "--follow-redirects", "--status", "json")
    result.expect(0)
    assert payloads_of(spool) == [b"x"]
    assert requests_of(there)[0].line == "GET /feed?token=hush HTTP/1.1"
    assert there.connection.request.value("host") == f"127.0.0.1:{there.port}"
    assert f"{here.url} was redirected to {there.url}feed\n" in result.err
    assert "hush" not in result.err


@pytest.mark.parametrize("status", ["300 Multiple Choices", "304 Not Modified", "305 Use Proxy",
                                    "200 OK", "401 Unauthorized"])
def test_a_location_with_another_status(weir, serve, status):
    there = serve(sending(b""))
    here = serve(redirecting(there.url, status))
    weir.capture(here.url, "--follow-redirects").expect(3, status)
    assert not there.connections


@pytest.mark.parametrize("location", ["/c?d", "c?d", "../x/c?d", "http://127.0.0.1:{port}/x/c?d",
                                      "ws://127.0.0.1:{port}/x/c?d", "//127.0.0.1:{port}/x/c?d"])
def test_on_the_same_origin_everything_is_said_again(weir, serve, location, place):
    bearer = place.root / "bearer"
    bearer.write_text("hush-bearer")

    def script(connection):
        if len(server.connections) > 1:
            return sending(text("x"))(connection)
        return redirecting(location.format(port=server.port))(connection)

    server = serve(script)
    result, spool = weir.captured(f"{server.url}x/a", "--follow-redirects", *HEADERS,
                                  "--bearer-file", bearer)
    result.expect(0)
    first, second = requests_of(server)
    assert first.line == "GET /x/a HTTP/1.1" and second.line.endswith("c?d HTTP/1.1")
    assert says(first) == says(second) == SECRETS[:3]
    assert first.value("sec-websocket-key") != second.value("sec-websocket-key")
    assert payloads_of(spool) == [b"x"]


@pytest.mark.parametrize("back", [False, True])
def test_what_another_origin_gets_to_see(weir, serve, place, back):
    """Nothing that was meant for the first one; nor gets that one it, when it is sent back to."""
    bearer = place.root / "bearer"
    bearer.write_text("hush-bearer")
    there = serve(redirecting(lambda _: f"{here.url}end") if back else sending(text("x")))
    here = serve(at_paths({"/": redirecting(there.url), "/end": sending(text("x"))}))
    result, spool = weir.captured(here.url, "--follow-redirects", *HEADERS, "--bearer-file", bearer,
                                  "--subprotocol", "feed", "--origin", "https://example.com")
    result.expect(0)
    assert payloads_of(spool) == [b"x"]
    first, *again = requests_of(here)
    assert says(first) == SECRETS[:3]
    others = requests_of(there) + again
    assert len(others) == 1 + back
    for request in others:
        assert not says(request) and not request.values("authorization")
        assert not request.values("cookie") and not request.values("x-key")
        assert request.value("sec-websocket-protocol") == "feed"


def test_a_token_stays_with_its_origin(weir, serve):
    there = serve(sending(text("x")))
    here = serve(at_paths({"/": redirecting("/b"), "/b": redirecting(there.url)}))
    weir.captured(here.url, "--follow-redirects", "--token-command",
                  "echo hush-token")[0].expect(0)
    assert [says(request) for request in requests_of(here)] == [["hush-token"]] * 2
    assert says(requests_of(there)[0]) == []


@pytest.mark.parametrize("scheme", ["wss", "https"])
def test_from_ws_to_wss(weir, serve, authority, scheme):
    """Another scheme is another origin, too."""
    there = serve(sending(text("x")), tls=authority.context())
    here = serve(redirecting(f"{scheme}://127.0.0.1:{there.port}/"))
    result, spool = weir.captured(here.url, "--follow-redirects", "--cacert", authority.path,
                                  *HEADERS)
    result.expect(0)
    assert payloads_of(spool) == [b"x"]
    assert says(requests_of(there)[0]) == []


def test_from_ws_to_wss_by_the_proxy_for_wss(weir, serve, authority):
    """The environment names one for each."""
    there = serve(sending(text("x")), tls=authority.context())
    here = serve(redirecting(f"wss://127.0.0.1:{there.port}/"))
    options = ["--follow-redirects", "--cacert", authority.path]
    result = weir.capture(here.url, *options, env=environment(https_proxy="http://127.0.0.1:9"))
    result.expect(3, here.url, f"redirected to {there.url}", "nobody answers at the proxy")
    assert len(requests_of(here)) == 1 and not there.connections


def asking_for_a_certificate(authority):
    context = authority.context()
    context.load_verify_locations(authority.path)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def noting_a_certificate(seen, script):
    def play(connection):
        seen.append(bool(connection.socket.getpeercert()))
        script(connection)
    return play


def test_our_certificate_stays_with_its_origin(weir, serve, authority):
    mine, theirs = [], []
    cert, key = authority.issue("weir")
    there = serve(noting_a_certificate(theirs, sending(text("x"))),
                  tls=asking_for_a_certificate(authority))
    way = at_paths({"/": redirecting("/b"), "/b": redirecting(there.url)})
    here = serve(noting_a_certificate(mine, way), tls=asking_for_a_certificate(authority))
    weir.captured(here.url, "--follow-redirects", "--cacert", authority.path, "--cert", cert,
                  "--key", key)[0].expect(0)
    assert (mine, theirs) == ([True, True], [False])


REFUSED = {  # what the server says: the words of the message
    "ftp://127.0.0.1/": ["no WebSocket"],
    "http://u:hush@127.0.0.1/": ["user name or password"],
    "http://u:hush@127.0.0.1/#x": ["#fragment"],
    "ftp://u:hush@127.0.0.1/": ["no WebSocket"],
    "/x#y": ["#fragment"],
    "http:/x": ["malformed"],
    "ws://": ["malformed"],
    "/\\evil.example/": ["malformed"],
    "/": ["circle"],
    "": ["no place"],
    None: ["no place"],
    "/a b": ["no place"],
    "/x\r\nLocation: /y": ["several"],
    "/" + "x" * 8192: ["no place"],
}


@pytest.mark.parametrize("location", REFUSED)
def test_redirects_that_are_not_followed(weir, serve, location):
    """For good: the server will say the same again."""
    server = serve(redirecting(location))
    result = weir.capture(server.url, "--follow-redirects", "--reconnect", "--status", "none")
    result.expect(3, server.url, "302 Found", "not followed", *REFUSED[location])
    assert len(requests_of(server)) == 1
    assert "hush" not in result.err


def test_never_from_wss_to_ws(weir, serve, authority):
    there = serve(sending(b""))
    here = serve(redirecting(there.url + "?hush"), tls=authority.context())
    result = weir.capture(here.url, "--follow-redirects", "--reconnect", "--cacert",
                          authority.path)
    here.join()
    result.expect(3, here.url, there.url, "encrypted")
    assert not there.connections and "hush" not in result.err


def test_a_circle(weir, serve):
    here = serve(at_paths({"/": redirecting("/b"), "/b": redirecting("/c"),
                           "/c": redirecting("/b")}))
    result = weir.capture(here.url, "--follow-redirects", "--reconnect")
    result.expect(3, f"{here.url} (redirected to {here.url}c)", "circle")
    assert len(requests_of(here)) == 3


def test_a_way_without_an_end(weir, serve):
    here = serve(redirecting(lambda request: request.line.split(" ")[1] + "x"))
    weir.capture(here.url, "--follow-redirects", "--reconnect").expect(3, "10")
    assert len(requests_of(here)) == 11


def test_a_unix_socket_is_not_left(weir, place, serve):
    path = place.root / "socket"
    there = serve(sending(b""))
    here = HostileServer(at_paths({"/": redirecting("/b"), "/b": redirecting(there.url)}),
                         listener=listen(str(path)))
    try:
        result = weir.capture("ws://localhost/", "--unix-socket", path, "--follow-redirects")
        result.expect(3, "--unix-socket", there.url)
        assert len(requests_of(here)) == 2 and not there.connections
    finally:
        here.finish()


@pytest.mark.parametrize("message, taken", [("log in: ${env:KEY}", False), ("subscribe", True)])
def test_secrets_in_messages_are_not_said_elsewhere(weir, serve, message, taken):
    there = serve(sending(text("x")))
    here = serve(redirecting(there.url))
    result = weir.capture(here.url, "--follow-redirects", "--send", message,
                          env={"KEY": "hush-header"})
    if taken:
        result.expect(0)
        assert there.connection.received[0].payload == message.encode()
    else:
        result.expect(3, "--send", there.url)
        assert not there.connections


def test_each_attempt_begins_at_the_first_url(weir, serve):
    there = serve(sending(text("x")))
    here = serve(redirecting(there.url))
    result, spool = weir.captured(here.url, "--follow-redirects", *HEADERS, "--reconnect",
                                  "--retry-wait-max", "20ms", "--messages", 3)
    result.expect(0)
    assert payloads_of(spool) == [b"x"] * 3
    assert [says(request) for request in requests_of(here)] == [SECRETS[:2]] * 3


def test_what_is_said_of_a_failure_elsewhere(weir, serve):
    here = serve(redirecting("ws://127.0.0.1:9/feed?hush"))
    result = weir.capture(here.url, "--follow-redirects")
    result.expect(3, here.url, "redirected to ws://127.0.0.1:9/feed)", "nobody answers")
    assert "hush" not in result.err


def test_the_time_is_that_of_the_whole_way(weir, serve):
    """A server that takes its time with each redirect gets no more of it than one without."""
    further = redirecting(lambda request: request.line.split(" ")[1] + "x")

    def script(connection):
        time.sleep(0.3)
        try:
            further(connection)
        except (EOFError, OSError):
            pass  # it has waited long enough

    here = serve(script)
    weir.capture(here.url, "--follow-redirects", "--connect-timeout", "700ms").expect(
        3, "no answer in time")
    here.join()
    assert len(here.connections) <= 3


def test_stopped_on_the_way(weir, serve):
    there = serve(lambda connection: (connection.read_request(), connection.wait_end()))
    here = serve(redirecting(there.url))
    process = weir.start_capture(here.url, "--follow-redirects")
    wait_until(lambda: there.connections and there.connections[0].request, "the second request")
    process.signal()
    process.wait().expect(0)


def test_off_by_default(weir, serve):
    there = serve(sending(b""))
    here = serve(redirecting(there.url))
    weir.capture(here.url).expect(3, there.url, "--follow-redirects")
    assert not there.connections
