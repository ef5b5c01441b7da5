"""A server that breaks the protocol: told, closed with the right code, nothing lost before it."""

import pytest

import frames
from frames import BINARY, CLOSE, PING, PONG, TEXT, binary, fragments, frame, text, texts
from spool_reader import events_of, payloads_of

BEFORE = [b"one", "zwei ü".encode(), b"3" * 70000]
START = frame(TEXT, b"begin", fin=False)

PROTOCOL = {
    "masked frame": (text("x", masked=True), "mask"),
    "masked empty frame": (text("", masked=True), "mask"),
    "masked ping": (frame(PING, b"x", masked=True), "mask"),
    "first reserved bit": (text("x", reserved=4), "reserved"),
    "second reserved bit": (text("x", reserved=2), "reserved"),
    "third reserved bit": (text("x", reserved=1), "reserved"),
    "reserved bit of a ping": (frame(PING, b"x", reserved=4), "reserved"),
    **{f"opcode {code}": (frame(code, b"x"), "opcode") for code in (3, 4, 5, 6, 7, 11, 13, 15)},
    "125 bytes in 16 bits": (text("x" * 125, width=16), "length"),
    "0 bytes in 16 bits": (text("", width=16), "length"),
    "65535 bytes in 64 bits": (text("x" * 65535, width=64), "length"),
    "1 byte in 64 bits": (binary(b"x", width=64), "length"),
    "64-bit length with the top bit": (b"\x82\x7f\x80" + bytes(7), "length"),
    "ping of 126 bytes": (frame(PING, b"x" * 126), "control"),
    "pong of 126 bytes": (frame(PONG, b"x" * 126), "control"),
    "close of 126 bytes": (frames.close(1000, b"x" * 124), "control"),
    "ping of 5 bytes in 16 bits": (frame(PING, b"xxxxx", width=16), ""),
    "ping in fragments": (frame(PING, b"x", fin=False), "control"),
    "close in fragments": (frame(CLOSE, b"\x03\xe8", fin=False), "control"),
    "continuation of nothing": (frame(0, b"x"), "continu"),
    "continuation of nothing, unfinished": (frame(0, b"x", fin=False), "continu"),
    "binary inside a longer text": (frame(TEXT, fin=False) + frame(0, fin=False) + frame(BINARY),
                                    "message"),
    "text inside a text": (START + text("x"), "message"),
    "binary inside a text": (START + binary(b"x", fin=False), "message"),
    "close of 1 byte": (frame(CLOSE, b"\x03"), "close"),
    **{f"close code {code}": (frames.close(code), "code")
       for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535)},
}

NOT_UTF8 = {
    "overlong slash": b"\xc0\xaf",
    "overlong of three bytes": b"\xe0\x80\xaf",
    "overlong of four bytes": b"\xf0\x8f\xbf\xbf",
    "surrogate": b"\xed\xa0\x80",
    "low surrogate": b"\xed\xbf\xbf",
    "too high": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "byte ff": b"\xff",
    "continuation alone": b"\x80",
    "truncated": b"\xe2\x82",
    "truncated before ASCII": b"\xc3x",
}


def violate(weir, serve, data, close_code):
    """Sends good messages and then `data`; checks all that must hold after it."""
    def script(connection):
        connection.upgrade(more=texts(BEFORE))
        connection.send(data)
        connection.send_while_wanted(text("after"))
        assert connection.wait_close() == close_code
        connection.wait_end()

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json")
    server.connection  # raises when the close code was another
    result.expect(4)
    assert payloads_of(spool) == BEFORE
    assert result.report["messages"] == len(BEFORE)
    assert result.report["end"] == "failed"
    return result, events_of(spool)[-1]


@pytest.mark.parametrize("name", PROTOCOL)
def test_protocol(weir, serve, name):
    data, word = PROTOCOL[name]
    result, _ = violate(weir, serve, data, 1002)
    assert word in result.complaint.lower(), f"no message says {word!r}\n{result}"


@pytest.mark.parametrize("name", NOT_UTF8)
def test_text_that_is_not_utf8(weir, serve, name):
    result, event = violate(weir, serve, text(b"good " + NOT_UTF8[name]), 1007)
    assert "utf-8" in result.complaint.lower()
    assert event.cut


@pytest.mark.parametrize("name", NOT_UTF8)
def test_text_that_is_not_utf8_cut_across_frames(weir, serve, name):
    bad = NOT_UTF8[name]
    data = fragments(TEXT, [b"good " + bad[:1], *(bytes([b]) for b in bad[1:]), b""])
    violate(weir, serve, data, 1007)


def test_a_character_that_the_end_of_a_message_cuts(weir, serve):
    violate(weir, serve, text(b"\xe6\xbc") + text(b"\xa2"), 1007)


def test_bad_text_is_refused_before_its_message_ends(weir, serve):
    """Fail fast: the rest of neither the frame nor the message ever comes."""
    whole = text(b"bad \xff" + b"x" * 1000)

    def script(connection):
        connection.upgrade(more=texts(BEFORE))
        connection.send(whole[:100])
        assert connection.wait_close() == 1007

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(4, "utf-8")
    assert payloads_of(spool) == BEFORE
    server.join()


def test_a_close_reason_that_is_not_utf8(weir, serve):
    violate(weir, serve, frames.close(1000, b"\xc3\x28"), 1007)


def test_a_violation_in_the_packet_of_the_answer(weir, serve):
    def script(connection):
        connection.upgrade(more=text("one") + frame(3))
        assert connection.wait_close() == 1002

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(4)
    assert payloads_of(spool) == [b"one"]
    server.join()


def test_a_violation_hands_on_what_was_captured(weir, serve, collector):
    def script(connection):
        connection.upgrade(more=texts(BEFORE) + frame(3))
        assert connection.wait_close() == 1002

    server = serve(script)
    weir.capture(server.url, "--", *collector.by_path).expect(4)
    assert collector.payloads() == BEFORE
    server.join()


def test_server_that_ignores_our_close(weir, serve):
    """It neither answers nor hangs up: weir waits for it, but not for ever."""
    def script(connection):
        connection.upgrade(more=text("one") + frame(3))
        assert connection.wait_close() == 1002
        connection.wait_end()

    server = serve(script)
    result, _ = weir.captured(server.url)
    result.expect(4)
    assert result.seconds < 20
    server.join()
