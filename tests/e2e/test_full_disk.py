"""A disk that is full: a small tmpfs of our own."""


import pytest

import frames
from frames import text, texts
from spool_reader import payloads_of, read_spool

BLOCK = [b"%06d " % n + b"x" * 193 for n in range(2000)]


def overflow(weir, serve, *arguments, data=texts(BLOCK), times=20):
    """Sends more than the disk takes; the client must close with 1011."""
    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(data, times)
        assert connection.answer_close() == 1011

    server = serve(script)
    result = weir.capture(server.url, "--status", "json", *arguments)
    server.join()
    return result


def is_prefix(payloads):
    return payloads == (BLOCK * (1 + len(payloads) // len(BLOCK)))[:len(payloads)]


@pytest.mark.parametrize("segment", ["64MiB", "100k"])
def test_everything_before_is_intact(weir, serve, small_disk, segment):
    spool = small_disk / "spool"
    result = overflow(weir, serve, "--keep", "--spool", spool, "--segment-size", segment)
    result.expect(5, str(spool), "space")
    kept = payloads_of(spool)
    assert is_prefix(kept) and len(kept) > 100, "how many fit depends on how the stream was cut"
    assert result.report["messages"] == len(kept)
    assert weir.cat(spool).expect(0).out == b"".join(p + b"\n" for p in kept)


def test_the_command_still_gets_what_was_captured(weir, serve, small_disk, place):
    total = place.root / "total"
    gate = place.root / "gate"
    command = f'while ! test -e {gate}; do sleep 0.01; done; cat "$1" >>{total}'

    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(texts(BLOCK), 20)
        gate.touch()
        assert connection.answer_close() == 1011

    server = serve(script)
    result = weir.capture(server.url, "--dir", small_disk, "--segment-size", "100k", "--status",
                          "json", "--", "sh", "-c", command, "sh", "{}")
    server.join()
    result.expect(5)
    lines = total.read_bytes().split(b"\n")[:-1]
    assert is_prefix(lines) and len(lines) == result.report["messages"] > 1000
    assert list(small_disk.iterdir()) == [], "all was processed: the spool is gone"


def test_one_message_larger_than_the_disk(weir, serve, small_disk):
    spool = small_disk / "spool"
    data = text("fits") + frames.binary(b"x" * (4 << 20))
    result = overflow(weir, serve, "--keep", "--spool", spool, data=data, times=1)
    result.expect(5, str(spool))
    assert payloads_of(spool) == [b"fits"]


def test_full_from_the_start(weir, serve, small_disk):
    (small_disk / "filler").write_bytes(b"x" * (1 << 20))
    spool = small_disk / "spool"
    server = serve(lambda connection: connection.upgrade())
    result = weir.capture(server.url, "--keep", "--spool", spool)
    result.expect(5, str(spool))


def test_the_next_run_can_read_what_the_full_disk_left(weir, serve, small_disk, place, collector):
    spool = small_disk / "spool"
    overflow(weir, serve, "--keep", "--spool", spool, "--segment-size", "200k").expect(5)
    kept = payloads_of(spool)
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [*kept, b"new"]
    assert read_spool(spool) == []
