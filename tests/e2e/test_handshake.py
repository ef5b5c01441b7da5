"""No connection: exit code 3, and a message that says what the server did."""

import socket

import pytest

from coming import coming
from servers.hostile import sending


def refuse(weir, serve, script, *words, options=()):
    """Captures from a server that refuses; nothing may be made or left."""
    server = serve(script)
    result = weir.capture(server.url, "--status", "json", *options, "--", "false")
    result.expect(3, *words)
    server.join()
    assert result.report["messages"] == 0 and result.report["end"] == "failed"
    return result


def answering(status, *lines, body=b""):
    def script(connection):
        connection.read_request()
        connection.answer(*lines, status=f"HTTP/1.1 {status}", more=body)
        connection.wait_end()
    return script


def changing(change):
    """Answers as one should, but for what `change` does to the lines."""
    def script(connection):
        connection.read_request()
        connection.answer(*change(connection.accept_lines()))
        connection.wait_end()
    return script


@pytest.mark.parametrize("status", ["403 Forbidden", "401 Unauthorized", "404 Not Found",
                                    "429 Too Many Requests", "500 Oh no", "200 OK", "426 "])
def test_another_status(weir, serve, status):
    refuse(weir, serve, answering(status, "Content-Length: 5", body=b"sorry"), *status.split())


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary Redirect"])
def test_redirect(weir, serve, status):
    """It is not followed, but the user learns where it leads."""
    script = answering(status, "Location: ws://elsewhere.invalid/feed", "Content-Length: 0")
    refuse(weir, serve, script, status[:3], "ws://elsewhere.invalid/feed")


def test_a_password_in_a_redirect_is_not_shown(weir, serve):
    script = answering("302 Found", "Location: ws://user:hush@elsewhere.invalid/")
    assert "hush" not in refuse(weir, serve, script, "302 Found").err


def test_status_text_cannot_write_on_the_terminal(weir, serve):
    result = refuse(weir, serve, answering("403 \x1b]0;gotcha\x07\x1b[31m"))
    assert "\x1b" not in result.err and "\x07" not in result.err


WRONG = {
    "wrong accept": (lambda lines: [*lines[:2], "Sec-WebSocket-Accept: " + "A" * 27 + "="],
                     "accept"),
    "accept in another case": (lambda lines: [*lines[:2], lines[2][:22] + lines[2][22:].swapcase()],
                               "accept"),
    "no accept": (lambda lines: lines[:2], "accept"),
    "accept twice": (lambda lines: [*lines, lines[2]], "accept"),
    "no upgrade": (lambda lines: lines[1:], "upgrade"),
    "upgrade to something else": (lambda lines: ["Upgrade: h2c", *lines[1:]], "upgrade"),
    "upgrade to something else too": (lambda lines: [*lines, "Upgrade: h2c"], "upgrade"),
    "upgrade to a list": (lambda lines: ["Upgrade: websocket, h2c", *lines[1:]], "upgrade"),
    "no connection": (lambda lines: [lines[0], lines[2]], "connection"),
    "connection without upgrade": (lambda lines: [lines[0], "Connection: close", lines[2]],
                                   "connection"),
    "unexpected extension": (lambda lines: [*lines, "Sec-WebSocket-Extensions: x-webkit-deflate-frame"],
                             "extension"),
    "unexpected subprotocol": (lambda lines: [*lines, "Sec-WebSocket-Protocol: mqtt"],
                               "subprotocol"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_answer(weir, serve, name):
    change, word = WRONG[name]
    refuse(weir, serve, changing(change), word)


CHOICES = {  # of ["first", "second"]: the exit code
    "first": 0,
    "second": 0,
    "third": 3,
    "FIRST": 3,
    "first, second": 3,
    "firs": 3,
}


@coming("subprotocol")
@pytest.mark.parametrize("choice", CHOICES)
def test_the_choice_of_a_subprotocol(weir, serve, choice):
    def script(connection):
        offered = connection.read_request().values("sec-websocket-protocol")
        assert ",".join(offered).replace(" ", "") == "first,second"
        connection.answer(*connection.accept_lines(), f"Sec-WebSocket-Protocol: {choice}")
        if CHOICES[choice] == 0:
            connection.finish()
        connection.wait_end()

    server = serve(script)
    options = ["--subprotocol", "first", "--subprotocol", "second"]
    words = ["subprotocol"] if CHOICES[choice] else []
    weir.captured(server.url, *options)[0].expect(CHOICES[choice], *words)
    server.join()


@coming("subprotocol")
def test_a_subprotocol_chosen_twice(weir, serve):
    line = "Sec-WebSocket-Protocol: first"
    refuse(weir, serve, changing(lambda lines: [*lines, line, line]), "subprotocol",
           options=["--subprotocol", "first"])


@coming("subprotocol")
@pytest.mark.parametrize("name", ["", "two words", "a,b", "a\r\nX: y", "ü"])
def test_no_name_of_a_subprotocol(weir, name):
    weir.capture("ws://127.0.0.1:9/", "--subprotocol", name).expect(2)


GARBAGE = {
    "another protocol": b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n",
    "binary": bytes(range(256)) * 4 + b"\r\n\r\n",
    "empty line first": b"\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 101 Switching Protocols\r\n\r\n",
    "HTTP/2": b"HTTP/2 101\r\n\r\n",
    "no number": b"HTTP/1.1 abc OK\r\n\r\n",
    "header without colon": b"HTTP/1.1 101 OK\r\nnonsense\r\n\r\n",
    "NUL in a header": b"HTTP/1.1 101 OK\r\nX: a\x00b\r\n\r\n",
    "folded header": b"HTTP/1.1 101 OK\r\nX: a\r\n b\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_instead_of_http(weir, serve, name):
    def script(connection):
        connection.read_request()
        connection.send(GARBAGE[name])
        connection.wait_end()

    refuse(weir, serve, script)


def test_lines_that_end_in_lf_alone(weir, serve):
    """Refused, but as what it is: to wait for more of it helps nobody."""
    def script(connection):
        accept = connection.read_request().accept
        connection.send(b"HTTP/1.1 101 OK\nUpgrade: websocket\nConnection: upgrade\n"
                        b"Sec-WebSocket-Accept: " + accept.encode() + b"\n\n")
        connection.wait_end()

    refuse(weir, serve, script, "did not answer in HTTP/1.1")


@pytest.mark.parametrize("part", [b"X-Endless: yes\r\n", b"x"])
def test_a_head_that_does_not_end(weir, serve, part):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert connection.send_while_wanted(part * 1000, 10000) < len(part) * 10_000_000

    refuse(weir, serve, script)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 Swi", b"HTTP/1.1 101 OK\r\nUpgrade: web"])
def test_end_before_the_answer_is_complete(weir, serve, data):
    def script(connection):
        connection.read_request()
        connection.send(data)

    refuse(weir, serve, script)


def test_reset_before_the_answer(weir, serve):
    def script(connection):
        connection.read_request()
        connection.reset()

    refuse(weir, serve, script)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: "])
def test_silence(weir, serve, data):
    def script(connection):
        connection.read_request()
        connection.send(data)
        connection.wait_end()

    result = refuse(weir, serve, script, options=["--connect-timeout", "300ms"])
    assert 0.25 < result.seconds < 15


def test_drops_that_never_end_do_not_put_the_time_limit_off(weir, serve):
    def script(connection):
        connection.read_request()
        connection.send(b"HTTP/1.1 101 OK\r\nX: ")
        connection.socket.settimeout(0.05)
        while True:
            try:
                if not connection.socket.recv(1):
                    return
            except TimeoutError:
                connection.send_while_wanted(b"x")
            except ConnectionResetError:
                return

    result = refuse(weir, serve, script, options=["--connect-timeout", "500ms"])
    assert result.seconds < 15


def test_refused_port(weir):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        result = weir.capture(f"ws://127.0.0.1:{port}/")
    result.expect(3, f"127.0.0.1:{port}", "refused")


def test_a_long_url_does_not_hide_the_reason(weir):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    result = weir.capture(f"ws://127.0.0.1:{port}/" + "x" * 5000)
    result.expect(3, f"127.0.0.1:{port}", "...", "refused")
    assert len(result.complaint) < 1000


def test_host_that_cannot_be_resolved(weir):
    weir.capture("ws://no-such-host.invalid/").expect(3, "no-such-host.invalid", "resolve")


def test_a_port_where_nobody_accepts(weir):
    """The queue of the listener is full: packets vanish, as behind a firewall."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        url = f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        result = weir.capture(url, "--connect-timeout", "300ms")
        for filler in fillers:
            filler.close()
    result.expect(3)
    assert result.seconds < 15


def test_a_refused_connection_leaves_an_old_spool_as_it_was(weir, serve, place):
    spool = place.root / "spool"
    server = serve(sending(b"\x81\x03one"))
    weir.captured(server.url)[0].expect(0)
    before = {path.name: path.read_bytes() for path in segments_in(spool)}
    refusing = serve(answering("403 Forbidden"))
    weir.captured(refusing.url)[0].expect(3)
    assert before.items() <= {path.name: path.read_bytes() for path in segments_in(spool)}.items()


def segments_in(spool):
    """The lock is not among them: it says whose the spool is."""
    return spool.glob("0*")
