"""--disk-max, where a few bytes on the wire are many on the disk: never exceeded, never stuck."""

import random

import pytest

import frames
import packed
from frames import texts
from harness import disk_held, wait_until, weir_path
from packed import Packer, bomb
from spool_reader import payloads_of
from test_disk_cap import CAP, MEBIBYTE, capture_watched


def capture_at_the_cap(weir, place, serve, data, payloads, *options, **server_options):
    """Everything comes through a spool of 4 MiB, and no byte more is ever held."""
    total = place.root / "total"
    server = serve(packed.sending(data), **server_options)
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


def test_the_same_in_tls(weir, place, serve, authority):
    rng, packer = random.Random(4), Packer()
    payloads = [rng.choice([rng.randbytes(700), b"z" * 90_000]) for _ in range(2000)]
    data = b"".join(map(packer.binary, payloads))
    capture_at_the_cap(weir, place, serve, data, payloads, "--cacert", authority.path,
                       tls=authority.context())


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
    payloads = [b"" if n % 3 else b"y" * n * 60 for n in range(250)]
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
    server.join()


def test_two_sources(weir, place, serve):
    """What is kept aside of one message, and what is unpacked of the other, count together."""
    def script(connection):
        packed.upgrade(connection)
        packer, letter = Packer(), b"ab"[len(started):][:1]
        started.append(letter)
        for number in range(40):
            message = packer.pack(letter * 300_000 + b"%d" % number)
            connection.send(packed.fragments(frames.TEXT, message, 100))
        connection.finish()

    started, total = [], place.root / "total"
    server = serve(script)
    result, most = capture_watched(weir, place, server.url, CAP, server.url, "--", "sh", "-c",
                                   f"cat {{}} >>{total}")
    result.expect(0)
    assert most <= CAP
    lines = total.read_bytes().split(b"\n")[:-1]
    for letter in b"a", b"b":
        assert [line for line in lines if line.startswith(letter)] == \
            [letter * 300_000 + b"%d" % number for number in range(40)]
    server.join()


def test_a_server_that_is_gone_when_there_is_room_again(weir, place, serve):
    """It has sent all, and hung up. What waits in weir and in the system is taken all the same."""
    gate, total = place.root / "gate", place.root / "total"
    rng, packer = random.Random(5), Packer()
    payloads = [rng.randbytes(40) * 400 for _ in range(500)]

    def script(connection):
        packed.upgrade(connection)
        connection.send(b"".join(map(packer.binary, payloads)))
        connection.socket.close()
        gate.touch()

    server = serve(script)
    command = f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}"
    result, most = capture_watched(weir, place, server.url, CAP, "--", "sh", "-c", command)
    result.expect(4)
    assert most <= CAP and result.report["cut_bytes"] == 0
    assert total.read_bytes() == b"".join(p + b"\n" for p in payloads)
    server.join()


def test_a_signal_while_there_is_no_room(weir, place, serve):
    """What was not unpacked yet was not captured; what was is handed on."""
    gate, total, spool = place.root / "gate", place.root / "total", place.root / "spool"
    packer = Packer()
    payloads = [b"%d" % n * 20_000 for n in range(1000)]

    def script(connection):
        packed.upgrade(connection)
        connection.send(b"".join(map(packer.text, payloads)))
        assert connection.answer_close() == 1000
        gate.touch()

    server = serve(script)
    command = f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}"
    process = weir.start_capture(server.url, "--spool", spool, "--disk-max", CAP, "--status",
                                 "json", "--", "sh", "-c", command)
    wait_until(lambda: spool.is_dir() and disk_held(spool)[0] > CAP - MEBIBYTE, "it is full")
    process.signal()
    report = process.wait().expect(0).report
    whole = report["messages"]
    assert 10 < whole < len(payloads)
    assert total.read_bytes() == b"".join(p + b"\n" for p in payloads[:whole])
    server.join()
