"""Compressed messages from a server that means no good: refused with the right words and code, in
constant memory, and nothing that came before is lost."""

import random
import signal
import zlib

import pytest

import frames
import packed
from frames import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, text, texts
from harness import SANITIZED, disk_held, wait_until
from packed import NAME, RSV1, Packer, bomb, message
from spool_reader import events_of, payloads_of, records_of
from turns import forgiving

MEBIBYTE = 1 << 20
MEMORY = 24 * MEBIBYTE  # of all that a capture is
BEFORE = [b"one", "zwei ü".encode(), b"3" * 70000]

ANSWERS = {
    "no list": (f"{NAME}; =", "malformed"),
    "no separator": (f"{NAME} {NAME}", "malformed"),
    "an open quotation mark": (f'{NAME}; client_max_window_bits="9', "malformed"),
    "another extension": ("x-webkit-deflate-frame", "was not offered"),
    "another extension besides": (f"{NAME}, permessage-bzip2", "was not offered"),
    "twice": (f"{NAME}, {NAME}", "permessage-deflate twice"),
    "another parameter": (f"{NAME}; level=9", "does not have"),
    "a parameter twice": (f"{NAME}; server_no_context_takeover; server_no_context_takeover",
                          "a parameter of permessage-deflate twice"),
    "bits twice": (f"{NAME}; client_max_window_bits=9; client_max_window_bits=10",
                   "a parameter of permessage-deflate twice"),
    "server bits without a number": (f"{NAME}; server_max_window_bits", "without a number"),
    "client bits without a number": (f"{NAME}; client_max_window_bits", "without a number"),
    "a value for a flag": (f"{NAME}; server_no_context_takeover=1", "that has none"),
    "a value for the other flag": (f"{NAME}; client_no_context_takeover=true", "that has none"),
    **{f"bits {bits}": (f"{NAME}; server_max_window_bits={bits}", "8 to 15")
       for bits in (7, 16, "08", "+9", "1e1", 150)},
    **{f"client bits {bits}": (f"{NAME}; client_max_window_bits={bits}", "8 to 15")
       for bits in (0, 7, 16)},
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_that_is_not_allowed(weir, serve, name):
    answer, words = ANSWERS[name]

    def script(connection):
        packed.upgrade(connection, answer=answer, more=text("too early"))
        connection.wait_end()

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(3, words)
    assert records_of(spool) == []
    server.join()


def test_an_answer_to_no_offer(weir, serve):
    def script(connection):
        connection.read_request()
        connection.answer(*connection.accept_lines(), f"Sec-WebSocket-Extensions: {NAME}")
        connection.wait_end()

    server = serve(script)
    weir.capture(server.url, "--no-compression", "--keep", "--spool",
                 weir.place.root / "spool").expect(3, "was not offered")
    server.join()


def violate(weir, serve, data, code, *options, upgrade=packed.upgrade):
    """Sends good messages and then `data`; checks all that must hold after it."""
    def script(connection):
        upgrade(connection, more=texts(BEFORE))
        connection.send_while_wanted(data)
        connection.send_while_wanted(text("after"))
        assert connection.wait_close() == code

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json", *options)
    server.join()
    result.expect(4)
    assert payloads_of(spool) == BEFORE
    report = result.report
    assert (report["messages"], report["end"]) == (len(BEFORE), "failed")
    assert disk_held(spool, "*.data")[0] == sum(len(p) + 1 for p in BEFORE)
    if not SANITIZED:
        assert report["peak_rss_bytes"] < MEMORY
    return result, events_of(spool)[-1]


HALF = Packer().pack(b"half of it")
START = frame(TEXT, HALF, fin=False, reserved=RSV1)
RESERVED = {
    "on a continuation": START + frame(CONTINUATION, HALF, reserved=RSV1),
    "on the continuation of a plain message": text("x", fin=False) +
        frame(CONTINUATION, HALF, reserved=RSV1),
    **{f"on control frame {code}": frame(code, b"", reserved=RSV1) for code in (CLOSE, PING, PONG)},
    "on a ping between fragments": START + frame(PING, HALF, reserved=RSV1),
    "with another bit": frame(TEXT, HALF, reserved=RSV1 | 2),
}


@pytest.mark.parametrize("name", RESERVED)
def test_the_bit_where_it_may_not_be(weir, serve, name):
    violate(weir, serve, RESERVED[name], 1002)[0].expect(4, "reserved bits")


def test_the_bit_without_agreement(weir, serve):
    violate(weir, serve, message(TEXT, HALF), 1002,
            upgrade=lambda c, more: c.upgrade(more=more))[0].expect(4, "reserved bits")


@pytest.mark.parametrize("name, data", [
    ("a message inside", START + text("x")), ("a compressed one inside", START + START)])
def test_a_message_inside_a_compressed_one(weir, serve, name, data):
    result, event = violate(weir, serve, data, 1002)
    result.expect(4, "inside an unfinished")
    assert (event.cut, event.cut_bytes) == (True, len(b"half of it"))


TEXT_PACKED = Packer().pack(bytes(range(256)) * 20)
BAD = {
    "a reserved kind of block": b"\xff\xff",
    "a length that is none": b"\x00\x05\x00\x05\x00hello\x00",
    "a distance into nothing": zlib.compress(b"x" * 100)[2:-4][:1] + b"\xff" * 9,
    "a window that was forgotten": Packer().pack(b"abc")[:2] + b"\x05\x80\x01",
    "truncated": TEXT_PACKED[:len(TEXT_PACKED) // 2],
    "truncated by three bytes": TEXT_PACKED[:-3],
    "a block that is stored and cut": b"\x00\x05\x00\xfa\xffhell",
    "garbage": random.Random(4).randbytes(2000),
    "garbage behind the end": Packer().pack(b"good") + b"\xff\xff\xff",
    "garbage behind a final block": b"\x03\x00" + b"\xff\xff",
}


@pytest.mark.parametrize("how", ["whole", "in fragments"])
@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_decompressed(weir, serve, name, how):
    data = message(BINARY, BAD[name]) if how == "whole" else packed.fragments(BINARY, BAD[name], 1)
    violate(weir, serve, data, 1007)[0].expect(4, "cannot be decompressed")


def test_what_refers_to_a_context_that_is_not_kept(weir, serve):
    """The server says that it forgets, and does not."""
    packer = Packer()
    data = packer.text(b"a text that comes again")

    def script(connection):
        packed.upgrade(connection, answer=f"{NAME}; server_no_context_takeover")
        connection.send(data + packer.text(b"a text that comes again"))
        assert connection.wait_close() == 1007

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(4, "cannot be decompressed")
    assert payloads_of(spool) == [b"a text that comes again"]
    server.join()


@pytest.mark.parametrize("bad", [b"good \xff", b"good \xed\xa0\x80", b"good \xe2\x82"])
def test_text_that_is_not_utf8(weir, serve, bad):
    violate(weir, serve, Packer().text(bad), 1007)[0].expect(4, "utf-8")
    assert packed.Unpacker().unpack(Packer().pack(bad)) == bad


def test_bad_text_is_refused_before_its_message_ends(weir, serve):
    """Fail fast: the rest of neither the frame nor the message ever comes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    half = packer.compress(b"good " * 100 + b"\xff") + packer.flush(zlib.Z_SYNC_FLUSH)
    head = frame(TEXT, half + b"x" * 1000, fin=False, reserved=RSV1)

    def script(connection):
        packed.upgrade(connection, more=texts(BEFORE))
        connection.send(head[:-1000])
        assert connection.wait_close() == 1007

    server = serve(script)
    result, spool = weir.captured(server.url)
    result.expect(4, "utf-8")
    assert payloads_of(spool) == BEFORE
    server.join()


def test_64_mebibytes_of_65_kilobytes(weir, serve, place):
    """Chromium does this. It is no bomb, and it takes no memory."""
    size = 64 * MEBIBYTE
    data = message(TEXT, bomb(size, b"a"))
    assert len(data) < 70_000
    server = serve(packed.sending(texts(BEFORE) + data + text("after")))
    result, spool = weir.captured(server.url, "--status", "json")
    report = result.expect(0).report
    got = payloads_of(spool)
    assert got[:3] == BEFORE and got[4:] == [b"after"]
    assert len(got[3]) == size == got[3].count(b"a")
    assert report["wire_bytes"] < 150_000 and report["bytes"] > size
    if not SANITIZED:
        assert report["peak_rss_bytes"] < MEMORY


LIMITS = {"--message-max": "8MiB", "--ratio-max": "100"}


@pytest.mark.parametrize("limit", LIMITS)
@pytest.mark.parametrize("form", ["one frame", "many fragments", "a bomb of a bomb"])
def test_a_bomb(weir, serve, limit, form):
    """A gigabyte, of a megabyte. Nothing of it is left in the spool."""
    inner = (bomb(256 * MEBIBYTE) + packed.TAIL) * 4
    data = {"one frame": lambda: message(BINARY, inner),
            "many fragments": lambda: packed.fragments(BINARY, inner, 50),
            "a bomb of a bomb": lambda: packed.fragments(BINARY, Packer(level=9).pack(inner), 7)}
    value = "100KiB" if form == "a bomb of a bomb" and limit == "--message-max" else LIMITS[limit]
    result, event = violate(weir, serve, data[form](), 1009, limit, value)
    result.expect(4, limit)
    assert event.cut


def test_the_largest_that_is_allowed(weir, serve):
    """A limit on the size is exact, to the byte."""
    packer = Packer()
    fits = b"f" * MEBIBYTE

    def script(connection):
        packed.upgrade(connection, more=packer.text(fits) + packer.text(fits[1:] + b"g"))
        connection.send(packer.text(fits + b"h"))
        assert connection.wait_close() == 1009

    server = serve(script)
    result, spool = weir.captured(server.url, "--message-max", "1MiB")
    result.expect(4, "went beyond a limit", "--message-max")
    assert [len(p) for p in payloads_of(spool)] == [MEBIBYTE] * 2
    server.join()


def test_a_ratio_that_is_allowed(weir, serve):
    """Small messages may have any; large ones what the limit says."""
    packer = Packer()
    payloads = [b"s" * 200_000, random.Random(5).randbytes(500_000).hex().encode()]
    server = serve(packed.sending(b"".join(map(packer.text, payloads))))
    result, spool = weir.captured(server.url, "--ratio-max", "3")
    result.expect(0)
    assert payloads_of(spool) == payloads


def test_too_many_fragments(weir, serve):
    data = packed.fragments(TEXT, Packer().pack(b"fragments" * 100), 1)
    violate(weir, serve, data, 1008, "--fragments-max", "5")[0].expect(4, "--fragments-max")


def test_a_close_between_fragments(weir, serve):
    def script(connection):
        packed.upgrade(connection, more=texts(BEFORE))
        connection.send(START)
        connection.finish(1001)

    server = serve(script)
    result, spool = weir.captured(server.url, "--status", "json")
    assert payloads_of(spool) == BEFORE
    event = events_of(spool)[-1]
    assert (event.close_code, event.cut, event.cut_bytes) == (1001, True, len(b"half of it"))
    assert result.report["cut_bytes"] == len(b"half of it")
    server.join()


def endless(connection):
    """A message without an end, compressed a thousand times."""
    packed.upgrade(connection, more=texts(BEFORE))
    block = bomb(MEBIBYTE) + packed.TAIL
    connection.send(frame(BINARY, block, fin=False, reserved=RSV1))
    connection.send_until_heard(frame(CONTINUATION, block, fin=False) * 20)


def endless_capture(weir, serve, script, *options):
    spool = weir.place.root / "spool"
    server = serve(script)
    process = weir.start_capture(server.url, "--keep", "--spool", spool, *options)
    wait_until(lambda: spool.is_dir() and disk_held(spool)[0] > 8 * MEBIBYTE, "it is written")
    return server, process, spool


def test_a_signal_in_the_middle_of_a_huge_message(weir, serve):
    def script(connection):
        endless(connection)
        assert connection.answer_close() == 1000

    server, process, spool = endless_capture(weir, serve, script, "--status", "json")
    process.signal(signal.SIGINT)
    result = process.wait().expect(0)
    assert payloads_of(spool) == BEFORE
    assert result.report["cut_bytes"] >= 7 * MEBIBYTE
    assert disk_held(spool, "*.data")[0] == sum(len(p) + 1 for p in BEFORE)
    server.join()


def test_a_kill_in_the_middle_of_a_huge_message(weir, serve, collector):
    server, process, spool = endless_capture(weir, serve, forgiving(endless))
    process.kill()
    server.join()
    again = serve(packed.sending(Packer().text(b"new")))
    weir.capture(again.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [*BEFORE, b"new"]


def test_a_full_disk(weir, serve, small_disk):
    spool = small_disk / "spool"

    def script(connection):
        packed.upgrade(connection, more=text("fits"))
        connection.send_while_wanted(message(BINARY, bomb(4 * MEBIBYTE)))
        assert connection.answer_close() == 1011

    server = serve(script)
    result, _ = weir.captured(server.url, "--on-full", "stop", spool=spool)
    result.expect(5, "space")
    assert payloads_of(spool) == [b"fits"]
    server.join()


def test_nothing_is_unpacked_after_the_end(weir, serve):
    """What was not asked for any more costs no time: 64 GiB would, and is a violation besides."""
    block = bomb(256 * MEBIBYTE)

    def script(connection):
        packed.upgrade(connection, more=text("one"))
        assert connection.wait_close() == 1000
        connection.send_while_wanted(message(TEXT, block[:-2]), 256)
        connection.send_while_wanted(frames.close(1000))

    server = serve(script)
    result, spool = weir.captured(server.url, "--messages", "1")
    result.expect(0)
    assert payloads_of(spool) == [b"one"]
    server.join()
