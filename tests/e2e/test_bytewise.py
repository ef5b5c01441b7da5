"""What a server sends, right or wrong, one byte at a time: nothing may come out otherwise."""

import pytest

import frames
from frames import BINARY, PING, PONG, TEXT, binary, fragments, frame, text, texts
from spool_reader import events_of, messages_of, payloads_of
from test_handshake import GARBAGE, WRONG, refuse
from test_violations import BEFORE, NOT_UTF8, PROTOCOL

LARGEST = 400  # more takes long, and says no more


VIOLATIONS = {
    **{name: (data, 1002) for name, (data, _) in PROTOCOL.items() if len(data) <= LARGEST},
    **{name: (text(b"good " + bad), 1007) for name, bad in NOT_UTF8.items()},
}


def upgrade_bytewise(connection, lines=None):
    connection.read_request()
    lines = lines or connection.accept_lines()
    head = "\r\n".join(["HTTP/1.1 101 Switching Protocols", *lines, "", ""])
    connection.send_bytewise(head.encode())


def test_all_that_is_right(weir, serve):
    sizes = [0, 1, 125, 126, 127, 300, 65535, 65536]
    messages = [(TEXT, b"t" * size) for size in sizes]
    messages += [(BINARY, b"\xff" * size) for size in sizes]
    data = b"".join(frame(kind, payload) for kind, payload in messages)
    data += frame(PING, b"p" * 125) + frame(PONG, b"unasked")
    data += frame(TEXT, b"\xf0", fin=False) + frame(PING) + frame(0, b"\x9f\x98", fin=False)
    data += frame(0, b"\x80") + fragments(BINARY, [b"", b"a", b""]) + binary(b"end")
    messages += [(TEXT, "😀".encode()), (BINARY, b"a"), (BINARY, b"end")]

    def script(connection):
        upgrade_bytewise(connection)
        connection.send_bytewise(data + frames.close(1001, "tschüß".encode()))
        assert connection.wait_close() == 1001

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(0)
    assert messages_of(spool) == messages
    assert [f.payload for f in server.connection.received if f.opcode == PONG] == [b"p" * 125, b""]
    assert events_of(spool)[-1].close_code == 1001


@pytest.mark.parametrize("name", VIOLATIONS)
def test_violations(weir, serve, name):
    data, code = VIOLATIONS[name]

    def script(connection):
        upgrade_bytewise(connection)
        connection.send(texts(BEFORE))
        connection.send_bytewise(data)
        assert connection.wait_close() == code
        connection.wait_end()

    server = serve(script)
    result, spool = weir.captured(server.url)
    server.join()
    result.expect(4)
    assert payloads_of(spool) == BEFORE


@pytest.mark.parametrize("name", WRONG)
def test_wrong_answers(weir, serve, name):
    change, word = WRONG[name]

    def script(connection):
        connection.read_request()
        upgrade = ["HTTP/1.1 101 OK", *change(connection.accept_lines()), "", ""]
        connection.send_bytewise("\r\n".join(upgrade).encode())
        connection.wait_end()

    refuse(weir, serve, script, word)


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage(weir, serve, name):
    """It is told as soon as no answer can come of it, so not all of it may go out."""
    def script(connection):
        connection.read_request()
        try:
            connection.send_bytewise(GARBAGE[name])
        except (BrokenPipeError, ConnectionResetError):
            return
        connection.wait_end()

    refuse(weir, serve, script)


@pytest.mark.parametrize("size, header", [(70_000, 10), (200, 4), (1, 2)])
def test_the_end_of_the_stream_in_a_header(weir, serve, size, header):
    """After each of its bytes; the message before it is never lost."""
    whole = text("x" * size)
    for cut in range(1, header):
        server = serve(lambda connection, cut=cut: (
            connection.upgrade(more=text("whole")), connection.send_bytewise(whole[:cut])))
        spool = weir.place.root / f"spool-{cut}"
        weir.captured(server.url, spool=spool)[0].expect(4, "without a Close")
        assert payloads_of(spool) == [b"whole"]
        event = events_of(spool)[-1]
        assert (event.close_code, event.cut, event.cut_bytes) == (1006, False, 0)
