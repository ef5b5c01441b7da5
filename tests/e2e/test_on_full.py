"""--on-full drop-oldest and drop-newest: what is dropped is counted, and on record with its times."""

import itertools
import os
import subprocess
import threading
import time

import pytest

import frames
import spool_reader
from filling import Filler
from frames import texts
from harness import LIMIT, disk_held, wait_until
from servers.hostile import sending, sending_and_waiting
from spool_reader import payloads_of, read_spool, records_of
from turns import confirm

MEBIBYTE = 1 << 20
CAP = 4 * MEBIBYTE
COUNT = 40_000
SOURCE_ANY = 65535


def message(number, size=400):
    return b"%06d " % number + b"x" * size


def numbers(payloads):
    return [int(payload.split()[0]) for payload in payloads]


def gaps_of(spool):
    """(messages, bytes, first time, last time, source) of each gap that was dropped."""
    found, records = [], records_of(spool)
    for gap, end in itertools.pairwise(records):
        if gap.kind == spool_reader.GAP and gap.cause == spool_reader.DROPPED:
            assert end.kind == spool_reader.GAP_END and end.source == gap.source
            assert gap.time_ns <= end.time_ns
            found.append((gap.value, end.value, gap.time_ns, end.time_ns, gap.source))
    return found


def check_account(report, spool, sent, size):
    """Each message is in the spool or in a gap, and the counters say so."""
    kept, gaps = payloads_of(spool), gaps_of(spool)
    assert sum(gap[0] for gap in gaps) == report["dropped_messages"] == sent - len(kept)
    assert sum(gap[1] for gap in gaps) == report["dropped_bytes"] == (sent - len(kept)) * size
    return kept, gaps


def test_the_oldest_go(weir, serve, place):
    """--keep and a cap: what is left is the end of the stream, and a record of all before it."""
    begin = time.time_ns()
    spool = place.root / "spool"
    data = [message(n) for n in range(COUNT)]
    result = weir.capture(serve(sending(texts(data))).url, "--spool", spool, "--keep", "--disk-max",
                          CAP, "--on-full", "drop-oldest", "--status", "json").expect(0)
    kept, gaps = check_account(result.report, spool, COUNT, 407)
    assert kept == data[-len(kept):] and 1000 < len(kept) < COUNT
    assert all(begin <= gap[2] and gap[3] <= time.time_ns() for gap in gaps)
    assert disk_held(spool)[1] <= CAP and result.report["peak_disk_bytes"] <= CAP


def test_the_newest_go(weir, serve, place):
    spool = place.root / "spool"
    data = [message(n) for n in range(COUNT)]
    result = weir.capture(serve(sending(texts(data))).url, "--spool", spool, "--keep", "--disk-max",
                          CAP, "--on-full", "drop-newest", "--status", "json").expect(0)
    kept, gaps = check_account(result.report, spool, COUNT, 407)
    assert numbers(kept) == sorted(numbers(kept)) and 1000 < len(kept) < COUNT
    assert set(kept) < set(data)
    assert len(gaps) <= 20 and {gap[4] for gap in gaps} == {0}, "they are merged"
    assert disk_held(spool)[1] <= CAP and result.report["peak_disk_bytes"] <= CAP


def test_the_newest_go_until_there_is_room(weir, serve, place):
    """The gap stands where the messages are missing, and what comes behind it is captured."""
    spool, copy, gate = place.root / "spool", place.directory("copy"), place.root / "gate"
    dropped, taken = place.root / "dropped", threading.Event()

    def script(connection):
        connection.upgrade()
        confirm(connection, texts([message(n) for n in range(COUNT)]))
        taken.set()
        wait_until(dropped.exists, "the first part is sent")
        for n in range(COUNT, COUNT + 10):
            connection.send(texts([message(n)]))
        connection.finish()

    server = serve(script)
    command = (f"while ! test -e {gate}; do sleep 0.01; done;"
               f"ln {{}} {copy} && ln $WEIR_INDEX {copy}")
    process = weir.start_capture(server.url, "--spool", spool, "--disk-max", CAP, "--on-full",
                                 "drop-newest", "--status", "json", "--", "sh", "-c", command)
    assert taken.wait(LIMIT)
    gate.touch()
    wait_until(lambda: len(list(spool.glob("*.index"))) == 0, "all is processed")
    dropped.touch()
    report = process.wait().expect(0).report
    kept, gaps = check_account(report, copy, COUNT + 10, 407)
    assert numbers(kept)[-10:] == list(range(COUNT, COUNT + 10))
    before, missing = -1, 0
    for record in records_of(copy):
        if record.kind == spool_reader.GAP:
            missing += record.value
        if record.is_message:
            number = int(record.payload.split()[0])
            assert number - before - 1 == missing, "as many as are missing here"
            before, missing = number, 0
    server.join()


@pytest.mark.parametrize("urls", [1, 2])
def test_large_messages_are_dropped_as_a_whole(weir, serve, place, urls):
    spool = place.root / "spool"
    sizes = [300_000, 10, 1_500_000, 900_000, 10, 2_000_000, 700_000, 10]

    def script(connection):
        connection.upgrade()
        for size in sizes:
            connection.send(frames.binary(b"x" * size))
        connection.finish()

    server = serve(script)
    result = weir.capture(*[server.url] * urls, "--spool", spool, "--keep", "--disk-max", CAP,
                          "--on-full", "drop-newest", "--status", "json").expect(0)
    kept, gaps = payloads_of(spool), gaps_of(spool)
    assert sum(gap[0] for gap in gaps) == len(sizes) * urls - len(kept) > 0
    assert sum(gap[1] for gap in gaps) == sum(sizes) * urls - sum(map(len, kept))
    assert result.report["dropped_messages"] == len(sizes) * urls - len(kept)
    assert disk_held(spool)[1] <= CAP
    server.join()


def test_what_was_dropped_is_not_of_the_limit(weir, serve, place):
    """--bytes counts what is captured: not the beginning of a message that is dropped then."""
    size = 1_500_000

    def script(connection):
        connection.upgrade()
        for n in range(5):
            connection.send(frames.binary(b"%d" % n + b"x" * (size - 1)))
        connection.finish()

    server = serve(script)
    result = weir.capture(server.url, "--spool", place.root / "spool", "--keep", "--disk-max", CAP,
                          "--on-full", "drop-newest", "--bytes", 5 * size // 2, "--status",
                          "json").expect(0)
    kept, _ = check_account(result.report, place.root / "spool", 5, size)
    assert len(kept) == 2 and result.report["end"] == "closed"
    server.join()


def test_what_an_earlier_run_left_is_counted_when_it_goes(weir, serve, place):
    spool = place.root / "spool"
    old = [message(n) for n in range(8000)]
    weir.capture(serve(sending(texts(old))).url, "--spool", spool, "--keep", "--segment-size",
                 "500k").expect(0)
    new = [message(n) for n in range(8000, 16000)]
    result = weir.capture(serve(sending(texts(new))).url, "--spool", spool, "--keep", "--disk-max",
                          CAP, "--on-full", "drop-oldest", "--status", "json").expect(0)
    kept, gaps = check_account(result.report, spool, 16000, 407)
    assert kept == (old + new)[-len(kept):]
    assert {gap[4] for gap in gaps} == {SOURCE_ANY}


def test_kept_segments_go_too(weir, serve, place):
    """COMMAND fails, and its segments are the oldest."""
    spool = place.root / "spool"
    data = [message(n) for n in range(COUNT)]
    result = weir.capture(serve(sending(texts(data))).url, "--spool", spool, "--disk-max", CAP,
                          "--on-full", "drop-oldest", "--status", "json", "--", "false").expect(1)
    kept, _ = check_account(result.report, spool, COUNT, 407)
    # What COMMAND has in hand is not dropped, and may be older than what was meanwhile.
    assert numbers(kept) == sorted(numbers(kept)) and kept[-1] == data[-1]
    assert result.report["kept"] == len(read_spool(spool))


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_a_full_disk(weir, serve, small_disk, policy):
    spool = small_disk / "spool"
    data = [message(n) for n in range(COUNT // 4)]
    result = weir.capture(serve(sending(texts(data))).url, "--spool", spool, "--keep",
                          "--segment-size", "100k", "--on-full", policy, "--status", "json")
    report, kept = result.expect(0).report, payloads_of(spool)
    assert kept == (data[-len(kept):] if policy == "drop-oldest" else data[:len(kept)])
    assert report["messages"] - report["dropped_messages"] * (policy == "drop-oldest") == len(kept)
    assert len(kept) > 500


def test_a_reader_sees_whole_segments(weir, serve, place):
    """Standard output: what is being written to it is never dropped in the middle."""
    data, taken = [message(n) for n in range(COUNT)], threading.Event()
    server = serve(lambda connection: (sending(texts(data))(connection), taken.set()))
    process = weir.start_capture(server.url, "--dir", place.temp, "--disk-max", CAP, "--on-full",
                                 "drop-oldest", "--status", "json", stdout=subprocess.PIPE)
    assert taken.wait(LIMIT)
    out = b""
    while part := process.popen.stdout.read(65536):
        out += part
    report = process.wait().expect(0).report
    lines = out.split(b"\n")[:-1]
    assert all(line == message(int(line.split()[0])) for line in lines)
    got = numbers(lines)
    assert got == sorted(set(got)) and len(got) == COUNT - report["dropped_messages"]
    assert report["dropped_messages"] > 0


def test_min_free(weir, serve, small_disk):
    """Reading stops while less is free, and goes on when somebody makes room."""
    spool, free = small_disk / "spool", 512 << 10
    filler = small_disk / "filler"
    filler.write_bytes(b"x" * (300 << 10))
    data = [message(n, 100) for n in range(5000)]
    process = weir.start_capture(serve(sending(texts(data))).url, "--spool", spool, "--keep",
                                 "--min-free", free, "--status", "json")
    wait_until(lambda: "--min-free" in process.err_so_far(), "it says so")
    status = os.statvfs(small_disk)
    assert status.f_bavail * status.f_frsize >= free
    process.signal()
    report = process.wait().expect(0).report
    kept = payloads_of(spool)
    assert kept == data[:len(kept)] and report["messages"] == len(kept) > 0
    assert os.statvfs(small_disk).f_bavail * 4096 >= free


def test_the_end_on_a_full_disk(weir, serve, small_disk):
    """The index ends with a block; still there is room for the gap, which was kept for it."""
    spool, first = small_disk / "spool", [message(n, 10) for n in range(125)]

    def script(connection):
        connection.upgrade(more=texts(first))
        wait_until(lambda: spool.is_dir() and payloads_of(spool) == first, "they are captured")
        Filler(small_disk / "filler").fill()
        connection.send(texts([message(n, 5000) for n in range(125, 135)]))
        connection.finish()

    server = serve(script)
    report = weir.capture(server.url, "--spool", spool, "--keep", "--on-full", "drop-newest",
                          "--status", "json").expect(0).report
    kept, gaps = payloads_of(spool), gaps_of(spool)
    assert kept == first and [gap[:2] for gap in gaps] == [(10, 10 * 5007)]
    assert (report["messages"], report["dropped_messages"]) == (125, 10)
    assert [path.suffix for path in spool.glob("*.index*")] == [".index"]
    server.join()


def test_the_end_below_min_free(weir, serve, small_disk):
    """What was dropped is on record there as well."""
    spool, data = small_disk / "spool", [message(n, 100) for n in range(8000)]
    report = weir.capture(serve(sending(texts(data))).url, "--spool", spool, "--keep", "--min-free", 512 << 10,
                          "--on-full", "drop-newest", "--status", "json").expect(0).report
    kept, gaps = payloads_of(spool), gaps_of(spool)
    assert kept == data[:len(kept)] and report["dropped_messages"] == len(data) - len(kept) > 0
    assert sum(gap[0] for gap in gaps) == report["dropped_messages"]
    assert os.statvfs(small_disk).f_bavail * 4096 >= 512 << 10


def test_a_start_below_min_free(weir, serve, small_disk):
    """It takes no more of the disk than a lock."""
    (small_disk / "filler").write_bytes(b"x" * (600 << 10))
    spool, before = small_disk / "spool", os.statvfs(small_disk).f_bavail
    process = weir.start_capture(serve(sending_and_waiting(texts([b"one"] * 100))).url, "--spool", spool, "--keep",
                                 "--min-free", 512 << 10, "--on-full", "drop-newest", "--status", "json")
    wait_until(lambda: "--min-free" in process.err_so_far(), "it says so")
    assert os.statvfs(small_disk).f_bavail >= before - 1
    process.signal()
    process.wait()
    assert os.statvfs(small_disk).f_bavail >= before - 1
