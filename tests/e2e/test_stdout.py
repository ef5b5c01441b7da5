"""weir capture URL | consumer: an elastic pipe whose slack is on disk."""

import hashlib
import os
import subprocess

import pytest

from frames import binary, text, texts
from harness import LIMIT, SANITIZED, weir_path, disk_held, wait_until
from servers.hostile import flooding, sending
from spool_reader import payloads_of

MEBIBYTE = 1 << 20
BLOCK = [b'{"n":%06d,"x":"' % n + b"x" * 480 + b'"}' for n in range(2000)]
LINES = b"".join(message + b"\n" for message in BLOCK)


def test_messages_and_newlines_and_nothing_else(weir, serve, place):
    data = text("one") + text("") + binary(bytes(range(256))) + text("a\nb")
    result = weir.capture(serve(sending(data)).url).expect(0)
    assert result.out == b"one\n\n" + bytes(range(256)) + b"\na\nb\n"
    assert list(place.temp.iterdir()) == []


def test_many_segments(weir, serve):
    server = serve(sending(texts(BLOCK)))
    assert weir.capture(server.url, "--segment-size", "20k").expect(0).out == LINES


def test_what_is_out_takes_no_space(weir, serve):
    """A file that is deleted and still open would keep its blocks, perhaps the last ones of a disk."""
    seen = []

    def script(connection):
        connection.upgrade(more=text("one"))
        wait_until(lambda: seen, "its segment is out and deleted")
        connection.finish()

    process = weir.start_capture(serve(script).url, "--segment-messages", "1")
    wait_until(lambda: process.out_so_far() == b"one\n", "the message is on standard output")
    wait_until(lambda: not [fd for fd in process.descriptors() if ".data" in fd], "its file is closed")
    seen.append(True)
    process.wait().expect(0)


def test_a_message_comes_out_as_soon_as_it_is_captured(weir, serve):
    """The server sends the next one only when the first was seen: no segment ends here."""
    seen = []

    def script(connection):
        connection.upgrade(more=text("one"))
        wait_until(lambda: seen == [b"one\n"], "the first message is on standard output")
        connection.send(text("two"))
        connection.finish()

    server = serve(script)
    process = weir.start_capture(server.url, "--segment-age", "0", stdout=subprocess.PIPE)
    seen.append(process.popen.stdout.readline())
    assert process.popen.stdout.read() == b"two\n"
    process.wait().expect(0)


def backlog(weir, serve, place, times):
    """A capture whose reader does not read, when all has come in; the process and the spool."""
    server = serve(flooding(texts(BLOCK), times))
    process = weir.start_capture(server.url, "--status", "json", stdout=subprocess.PIPE)
    wait_until(lambda: sum(disk_held(d)[0] for d in place.temp.iterdir()) > times * MEBIBYTE * 0.95,
               "the backlog is on disk")
    return process, next(place.temp.iterdir())


def test_a_slow_reader_makes_the_backlog_grow_on_disk_not_in_memory(weir, serve, place):
    times = 64
    process, _ = backlog(weir, serve, place, times)
    memory = process.peak_memory()
    hashed, expected = hashlib.sha256(), hashlib.sha256(LINES * times)
    while part := process.popen.stdout.read(MEBIBYTE):
        hashed.update(part)
    result = process.wait().expect(0)
    assert hashed.digest() == expected.digest()
    if not SANITIZED:
        assert memory < 16 * MEBIBYTE, f"{memory} bytes of memory"
        assert result.report["peak_rss_bytes"] < 16 * MEBIBYTE
    assert result.report["messages"] == times * len(BLOCK)


def test_a_reader_that_goes_away(weir, serve, place):
    """All that it did not take is still there, and weir says where."""
    process, spool = backlog(weir, serve, place, 8)
    taken = process.popen.stdout.read(100_000)
    process.popen.stdout.close()
    result = process.wait()
    assert result.code == 1 and str(spool) in result.complaint, result
    assert result.report["spool"] == str(place.may_stay(spool))
    kept = payloads_of(spool)
    assert kept == (BLOCK * 8)[-len(kept):], "what is kept is the end of the stream"
    assert sum(len(p) + 1 for p in kept) >= len(LINES) * 8 - len(taken)
    assert taken == (LINES * 8)[:len(taken)]


def test_a_reader_that_is_gone_from_the_start(weir, serve, place):
    server = serve(sending(texts([b"one", b"two"])))
    process = weir.start_capture(server.url, "--status", "json", stdout=subprocess.PIPE)
    process.popen.stdout.close()
    result = process.wait()
    assert result.code == 1 and result.complaint, result
    spool = place.may_stay(result.report["spool"])
    assert payloads_of(spool)[:2] == [b"one", b"two"][:len(payloads_of(spool))]


@pytest.mark.parametrize("count", [1, 100])
def test_limit_of_messages(weir, serve, count):
    server = serve(flooding(texts(BLOCK), 2))
    result = weir.capture(server.url, "--messages", count).expect(0)
    assert result.out == b"".join(m + b"\n" for m in BLOCK[:count])


def test_head_as_consumer(weir, serve, place):
    """`weir capture URL | head -1` ends, even though the source never does."""
    def script(connection):
        connection.upgrade()
        connection.send_until_heard(texts(BLOCK))
        connection.answer_close()

    server = serve(script)
    process = weir.start_capture(server.url, "--status", "json", stdout=subprocess.PIPE)
    head = subprocess.run(["head", "-1"], stdin=process.popen.stdout, capture_output=True)
    process.popen.stdout.close()
    result = process.wait()
    assert head.stdout == BLOCK[0] + b"\n"
    assert result.code == 1, result
    assert result.report["end"] == "reader"
    place.may_stay(result.report["spool"])


def test_output_to_a_full_disk(weir, serve, place):
    server = serve(sending(texts([b"one", b"two"])))
    with open("/dev/full", "wb") as full:
        result = weir.capture(server.url, "--status", "json", stdout=full)
    assert result.code in (1, 5) and result.complaint, result
    assert payloads_of(place.may_stay(result.report["spool"])) == [b"one", b"two"]


def test_named_spool_is_emptied_through_standard_output(weir, serve, place):
    spool = place.root / "spool"
    weir.captured(serve(sending(text("old"))).url)[0].expect(0)
    result = weir.capture(serve(sending(text("new"))).url, "--spool", spool).expect(0)
    assert result.out == b"old\nnew\n"
    assert payloads_of(spool) == []


def test_closed_standard_output(weir, serve):
    """No descriptor 1 at all: a file of the spool must not take its place."""
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", "--spool", "spool",
                          preexec_fn=lambda: os.close(1))
    weir.place.may_stay(weir.place.cwd / "spool")
    if result.code == 0:
        assert payloads_of(weir.place.cwd / "spool") == [b"one"]
    else:
        assert result.complaint


def test_standard_output_that_is_closed(serve, place):
    """Once the spool's lock took its place, and everything went there and was gone, with exit 0."""
    server = serve(sending(texts(BLOCK[:5])))
    command = f'exec "$0" capture {server.url} --spool "$1" <&- >&-'
    spool = place.root / "spool"
    done = subprocess.run(["sh", "-c", command, weir_path(), spool], capture_output=True, timeout=LIMIT)
    assert done.returncode == 1, done.stderr
    assert payloads_of(spool) == BLOCK[:5]
