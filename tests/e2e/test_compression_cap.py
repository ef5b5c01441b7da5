"""--disk-max, where a few bytes on the wire are many on the disk: never exceeded, never stuck."""

import random

import pytest

import frames
import packed
from frames import texts
from harness import disk_held, weir_path
from packed import Packer, bomb
from spool_reader import payloads_of
from test_disk_cap import CAP, MEBIBYTE, capture_watched


def capture_at_the_cap(weir, place, serve, data, payloads, *options):
    """Everything comes through a spool of 4 MiB, and no byte more is ever held."""
    total = place.root / "total"
    server = serve(packed.sending(data))
    result, most = capture_watched(weir, place, server.url, CAP, *options, "--", "sh", "-c",
                                   f"cat {{}} >>{total}")
    result.expect(0)
    assert most <= CAP, f"{most} bytes were held, {CAP} are allowed"
    assert result.report["peak_disk_bytes"] <= CAP
    assert result.report["messages"] == len(payloads)
    got = total.read_bytes()
    assert len(got) == sum(map(len, payloads)) + len(payloads)
    assert got == b"".join(p + b"\n" for p in payloads)
    server.join()


def test_what_cannot_be_compressed(weir, place, serve):
    """More waits to be unpacked than there is room for at any time."""
    rng, packer = random.Random(1), Packer()
    payloads = [rng.randbytes(500) for _ in range(12000)]
    data = b"".join(map(packer.binary, payloads))
    capture_at_the_cap(weir, place, serve, data, payloads)


def test_one_to_a_thousand(weir, place, serve):
    packer = Packer()
    payloads = [b"%d" % (n % 10) * 500_000 for n in range(60)]
    data = b"".join(map(packer.text, payloads))
    capture_at_the_cap(weir, place, serve, data, payloads)


def test_mixed_with_what_is_not_compressed(weir, place, serve):
    rng, packer = random.Random(2), Packer()
    payloads, data = [], []
    for number in range(6000):
        payload = rng.choice([b"", b"x" * rng.randrange(9000), rng.randbytes(rng.randrange(900))])
        payloads.append(payload)
        data.append(packer.binary(payload) if rng.randrange(2) else frames.binary(payload))
    capture_at_the_cap(weir, place, serve, b"".join(data), payloads)


@pytest.mark.parametrize("segment", [["--segment-size", "1"], ["--segment-messages", "1"]])
def test_a_segment_for_each_message(weir, place, serve, segment):
    """Each costs two files, and the room for what is received is small."""
    packer = Packer()
    payloads = [b"" if n % 3 else b"y" * n * 7 for n in range(700)]
    total = place.root / "total"
    server = serve(packed.sending(b"".join(map(packer.binary, payloads))))
    result, most = capture_watched(weir, place, server.url, CAP, *segment, "--", "sh", "-c",
                                   f"cat {{}} >>{total}")
    result.expect(0)
    assert most <= CAP
    assert total.read_bytes() == b"".join(p + b"\n" for p in payloads)


def test_only_empty_messages(weir, place, serve):
    data = packed.message(frames.BINARY, b"\0") * 400_000
    capture_at_the_cap(weir, place, serve, data, [b""] * 400_000)


def test_a_message_that_is_nearly_as_large_as_the_cap(weir, place, serve):
    """Of what nothing can be sealed before its end."""
    payload = random.Random(3).randbytes(3 * MEBIBYTE)
    data = packed.fragments(frames.BINARY, Packer().pack(payload), 4096)
    capture_at_the_cap(weir, place, serve, data, [payload])


@pytest.mark.parametrize("size", [3 * MEBIBYTE, 64 * MEBIBYTE])
def test_a_cap_that_nothing_can_free(weir, place, serve, size):
    """It is filled, and then the capture ends, with what was whole."""
    few = [b"fits %d" % n for n in range(100)]

    def script(connection):
        packed.upgrade(connection, more=texts(few))
        one = packed.message(frames.TEXT, bomb(size, b"b"))
        connection.send_while_wanted(one, 3)
        assert connection.answer_close() == 1011

    server = serve(script)
    result, most = capture_watched(weir, place, server.url, CAP, "--keep")
    result.expect(5, "--disk-max")
    assert most <= CAP
    kept = payloads_of(place.root / "spool")
    assert kept[:len(few)] == few
    assert [len(p) for p in kept[len(few):]] == [3 * MEBIBYTE] * (size == 3 * MEBIBYTE)
    server.join()


def test_stdout_that_is_read_late(weir, place, serve):
    """The stream is what frees the spool here."""
    packer = Packer()
    payloads = [b"%d" % (n % 10) * 300_000 for n in range(60)]
    spool = place.root / "spool"
    server = serve(packed.sending(b"".join(map(packer.text, payloads))))
    reader = "sleep 0.3; cat"
    shell = weir.start("-c", f'exec 3>&1; "$0" capture "$1" --spool "$2" --disk-max 4MiB'
                       f' | ({reader}) >&3', weir_path(), server.url, spool, program=["sh"])
    result = shell.wait()
    assert result.out == b"".join(p + b"\n" for p in payloads)
    assert disk_held(spool)[0] <= CAP
