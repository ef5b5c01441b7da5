"""What the wire may legally do to a client, byte by byte."""

import frames
from frames import BINARY, PING, PONG, TEXT, fragments, frame, text, texts
from servers.hostile import sending
from spool_reader import CONNECTED, DISCONNECTED, events_of, messages_of, payloads_of


def capture(weir, serve, script, code=0, words=(), options=()):
    """Captures what the script sends; returns what weir said, the spool, and the connection."""
    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json", *options)
    result.expect(code, *words)
    return result, spool, server.connection


def test_the_request(weir, serve):
    server = serve(sending(b""))
    url = server.url + "a/b%20c?d=e&f=%23"
    result, _ = weir.captured(url, "--header", "X-One: 1", "--header", "X-Two: two words")
    result.expect(0)
    request = server.connection.request
    assert request.line == "GET /a/b%20c?d=e&f=%23 HTTP/1.1"
    assert not request.values("sec-websocket-protocol"), "a subprotocol nobody asked for"
    assert request.value("host") == f"127.0.0.1:{server.port}"
    assert (request.value("x-one"), request.value("x-two")) == ("1", "two words")


def test_two_runs_have_two_keys(weir, serve):
    server = serve(sending(b""))
    for _ in range(2):
        weir.captured(server.url)[0].expect(0)
    server.join()
    keys = {c.request.value("sec-websocket-key") for c in server.connections}
    assert len(keys) == 2


def test_every_byte_in_a_packet_of_its_own(weir, serve):
    messages = [b"", b"a", "ü漢😀".encode(), b"x" * 130]
    data = texts(messages) + fragments(TEXT, [b"cu", b"t\xc3", b"\xbc"]) + frame(PING, b"ping")

    def script(connection):
        connection.read_request()
        head = "\r\n".join(["HTTP/1.1 101 ", *connection.accept_lines(), "", ""]).encode()
        connection.send_bytewise(head + data)
        assert connection.next_of(PONG).payload == b"ping"
        connection.send_bytewise(frames.close(1000))
        assert connection.wait_close() == 1000

    _, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [*messages, "cutü".encode()]


def test_data_in_the_packet_of_the_answer(weir, serve):
    messages = [b"%d" % n for n in range(1000)]

    def script(connection):
        connection.upgrade(more=texts(messages))
        connection.finish()

    assert payloads_of(capture(weir, serve, script)[1]) == messages


def test_everything_in_the_packet_of_the_answer(weir, serve):
    def script(connection):
        connection.upgrade(more=text("a") + frame(PING, b"p") + text("b") + frames.close(1000))
        assert connection.wait_close() == 1000

    _, spool, connection = capture(weir, serve, script)
    assert payloads_of(spool) == [b"a", b"b"]
    assert [f.payload for f in connection.received if f.opcode == PONG] == [b"p"]


def test_half_a_message_in_the_packet_of_the_answer(weir, serve):
    whole = text("x" * 70000)

    def script(connection):
        connection.upgrade(more=whole[:100])
        connection.send(whole[100:])
        connection.finish()

    assert payloads_of(capture(weir, serve, script)[1]) == [b"x" * 70000]


def test_headers_in_other_spelling(weir, serve):
    def script(connection):
        accept = connection.read_request().accept
        connection.answer("uPGRADE:WebSocket", "connection: keep-alive , upgrade  ",
                          f"SEC-WEBSOCKET-ACCEPT:\t{accept} ", "Server: x", "X-Empty:")
        connection.finish()

    capture(weir, serve, script)


def test_headers_in_lower_case(weir, serve):
    def script(connection):
        accept = connection.read_request().accept
        connection.answer("upgrade: websocket", "connection: upgrade",
                          f"sec-websocket-accept: {accept}", "date: Fri, 27 Nov 2026 00:00:00 GMT",
                          more=text("one"))
        connection.finish()

    _, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [b"one"]


def test_each_ping_gets_its_pong_in_order(weir, serve):
    pings = [b"", b"\x00\xff", b"x" * 125] + [b"%d" % n for n in range(200)]
    data = frame(BINARY, b"be", fin=False) + b"".join(frame(PING, p) for p in pings)
    data += frame(PONG, b"unasked") + frame(0, b"gin")
    _, spool, connection = capture(weir, serve, sending(data))
    assert messages_of(spool) == [(BINARY, b"begin")]
    assert [f.payload for f in connection.received if f.opcode == PONG] == pings


def test_more_pings_than_the_socket_takes_pongs_for(weir, serve):
    """The server does not read: weir must neither hang nor grow, and may answer the last only."""
    ping = frame(PING, b"p" * 125)

    def script(connection):
        connection.upgrade()
        connection.send(ping * 40000 + text("after"))
        connection.finish()
        pongs = [f for f in connection.received if f.opcode == PONG]
        assert pongs and all(f.payload == b"p" * 125 for f in pongs)

    _, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [b"after"]


def test_the_last_of_many_pings_is_answered(weir, serve):
    """Those before it need no answer then, RFC 6455 section 5.5.3; it does."""
    pings = [b"%06d" % n + b"p" * 119 for n in range(60_000)]
    pongs = []

    def script(connection):
        connection.upgrade()
        connection.send(b"".join(frame(PING, ping) for ping in pings))
        while not pongs or pongs[-1] != pings[-1]:
            pongs.append(connection.next_of(PONG).payload)
        connection.finish()

    capture(weir, serve, script)
    assert pongs == sorted(pongs)


def test_messages_to_send_arrive_in_order(weir, serve):
    sends = ['{"op":"subscribe"}', "", "zwei ü", "x" * 70000]

    def script(connection):
        connection.upgrade()
        got = [connection.next_frame() for _ in sends]
        assert [f.opcode for f in got] == [TEXT] * len(sends)
        assert [f.payload.decode() for f in got] == sends
        connection.finish()

    options = [part for send in sends for part in ("--send", send)]
    capture(weir, serve, script, options=options)


def test_end_without_close(weir, serve):
    def script(connection):
        connection.upgrade(more=texts([b"one", b"two"]))

    result, spool, _ = capture(weir, serve, script, code=4)
    assert payloads_of(spool) == [b"one", b"two"]
    assert (result.report["end"], result.report["close_code"]) == ("failed", 0)
    event = events_of(spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


def test_reset(weir, serve):
    def script(connection):
        connection.upgrade(more=text("one") + frame(PING))
        connection.next_of(PONG)  # all of it was read
        connection.reset()

    _, spool, _ = capture(weir, serve, script, code=4)
    assert payloads_of(spool) == [b"one"]
    assert events_of(spool)[-1].close_code == 1006


def cut(weir, serve, data, end, code):
    """Sends `data`, then `end`; returns what weir said, and the payloads and events it kept."""
    def script(connection):
        connection.upgrade(more=text("whole"))
        connection.send(data + end)
        if end:
            connection.wait_close()

    result, spool, _ = capture(weir, serve, script, code)
    events = events_of(spool)
    assert [e.kind for e in events] == [CONNECTED, DISCONNECTED]
    assert payloads_of(spool) == [b"whole"]
    assert result.report["messages"] == 1
    assert result.report["cut_bytes"] == events[-1].cut_bytes
    return events[-1]


def test_close_inside_a_fragmented_message(weir, serve):
    data = frame(TEXT, b"12345", fin=False) + frame(0, b"678", fin=False)
    event = cut(weir, serve, data, frames.close(1000), 0)
    assert (event.close_code, event.cut, event.cut_bytes) == (1000, True, 8)


def test_close_inside_a_message_of_no_bytes_yet(weir, serve):
    event = cut(weir, serve, frame(TEXT, fin=False), frames.close(1001), 0)
    assert (event.close_code, event.cut, event.cut_bytes) == (1001, True, 0)


def test_end_inside_a_frame(weir, serve):
    event = cut(weir, serve, text("x" * 1000)[:504], b"", 4)
    assert (event.close_code, event.cut, event.cut_bytes) == (1006, True, 500)


def test_end_inside_a_large_message(weir, serve):
    size = 9 << 20
    event = cut(weir, serve, text(b"x" * (size + 1))[:-1], b"", 4)
    assert (event.close_code, event.cut, event.cut_bytes) == (1006, True, size)


def test_end_inside_a_frame_header(weir, serve):
    event = cut(weir, serve, text("x" * 1000)[:3], b"", 4)
    assert event.close_code == 1006 and event.cut_bytes == 0


def test_nothing_after_close_counts(weir, serve):
    def script(connection):
        connection.upgrade(more=text("one") + frames.close(1000) + text("two"))
        assert connection.wait_close() == 1000

    _, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [b"one"]


def test_reason_of_the_server_is_told(weir, serve):
    def script(connection):
        connection.upgrade(more=text("one") + frames.close(1008, "nicht erlaubt ü".encode()))
        assert connection.wait_close() == 1008

    capture(weir, serve, script, code=4, words=["1008", "nicht erlaubt ü"])


def test_close_without_code(weir, serve):
    """A proper end too. The code of the record is 1005, which no server can send."""
    def script(connection):
        connection.upgrade(more=text("one") + frames.close())
        assert connection.wait_close() in (None, 1000)

    result, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [b"one"]
    assert events_of(spool)[-1].close_code == 1005
    assert result.report["end"] == "closed"


def test_server_that_hangs_up_right_after_its_close(weir, serve):
    def script(connection):
        connection.upgrade(more=text("one") + frames.close(1000))

    _, spool, _ = capture(weir, serve, script)
    assert payloads_of(spool) == [b"one"]
