"""--compress: segments that wait become one file each, by zstd, and nobody who reads them notices."""

import os
import shutil
import signal
import struct
import subprocess
import time
from itertools import accumulate
from pathlib import Path

import pytest

import torture
from frames import text, texts
from harness import SANITIZED, wait_until
from servers.hostile import flooding, sending, sending_and_waiting
from spool_reader import DAMAGED, DROPPED, GAP, payloads_of, read_packed, read_segment, records_of
from test_disk_cap import Watch
from test_ephemeral import KEEP, kept_in
from test_faults import library  # noqa: F401 (a fixture)
from torture import Dice

KILL_SOURCE = Path(__file__).resolve().parents[1] / "fault" / "kill.c"
MEBIBYTE = 1 << 20
MESSAGES = [b'{"number":%06d,"text":"' % n + b"abcdefgh" * (n % 60) + b'"}' for n in range(4000)]
LINES = b"".join(message + b"\n" for message in MESSAGES)
BY_SIZE = ["--segment-size", "100KiB"]
COMPRESS = ["--compress", "zstd"]


@pytest.fixture(autouse=True)
def has_zstd(weir):
    if "without libzstd" in weir.capture("ws://127.0.0.1:1/", *COMPRESS, "--", "true").err:
        pytest.skip("built without libzstd")
    if not shutil.which("zstd"):
        pytest.skip("the program zstd is not here")


@pytest.fixture(scope="module")
def kill_library(tmp_path_factory):
    compiler = os.environ.get("CC") or shutil.which("cc")
    if SANITIZED or not compiler:
        pytest.skip("needs a compiler, and no sanitizer")
    path = tmp_path_factory.mktemp("kill") / "kill.so"
    subprocess.run([*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared",
                    "-fvisibility=hidden", KILL_SOURCE, "-o", path], check=True)
    return path


def keeper(directory, before=""):
    return ["--", "sh", "-c", before + KEEP, "sh", directory, "{}"]


def names_in(spool):
    return sorted(path.name for path in spool.iterdir() if path.name != "lock")


def packed_in(spool):
    return sorted(spool.glob("*.data.zst"))


@pytest.fixture
def packed(weir, serve, place):
    """A spool in which every segment but the last is compressed."""
    result, spool = weir.captured(serve(sending(texts(MESSAGES))).url, *BY_SIZE, *COMPRESS)
    result.expect(0)
    assert len(packed_in(spool)) >= 8
    return spool


def test_what_stays_is_compressed(weir, serve, place):
    result, spool = weir.captured(serve(sending(texts(MESSAGES))).url, *BY_SIZE, *COMPRESS,
                                  "--status", "json")
    report = result.expect(0).report
    small = [path for path in spool.glob("*.data")]
    assert len(packed_in(spool)) == report["compressed"] >= report["segments"] - len(small) > 8
    assert len(small) <= 1, "only the last one may be too small for it"
    assert len(names_in(spool)) == len(packed_in(spool)) + 2 * len(small)
    assert report["compress_failures"] == 0
    assert payloads_of(spool) == MESSAGES
    assert weir.cat(spool).expect(0).out == LINES
    held = sum(path.stat().st_size for path in spool.iterdir())
    assert held < len(LINES) // 2


@pytest.mark.parametrize("when", ["seal", "interval=20ms", "every"])
def test_what_is_synced_is_compressed(weir, serve, place, when):
    """Only what is durable is, and at the end that is all."""
    spool = place.root / "spool"
    result, _ = weir.captured(serve(sending(texts(MESSAGES))).url, *BY_SIZE, *COMPRESS, "--sync",
                              when, "--status", "json", spool=spool)
    if result.code == 5 and "tmpfs" in result.err:
        pytest.skip("the directory for tests is in memory")
    report = result.expect(0).report
    assert len(packed_in(spool)) >= report["segments"] - 1
    assert report["durable_messages"] == len(MESSAGES)
    assert payloads_of(spool) == MESSAGES


def test_the_data_is_for_everyone(packed):
    """What zstd makes of the file is the data, and parts of it can be had by the table alone."""
    for path in packed_in(packed):
        _, data = read_packed(path)
        raw = path.read_bytes()
        count = struct.unpack("<I", raw[-9:-5])[0]
        size, plain = struct.unpack("<II", raw[-9 - 8 * count:-1 - 8 * count])
        first = subprocess.run(["zstd", "-qdc"], input=raw[:size], capture_output=True, check=True)
        assert first.stdout == data[:plain]


def test_a_level(weir, serve, place):
    sizes = []
    for level in ["1", "19"]:
        spool = place.root / level
        weir.captured(serve(sending(texts(MESSAGES))).url, *BY_SIZE, "--compress", f"zstd={level}",
                      spool=spool)[0].expect(0)
        assert payloads_of(spool) == MESSAGES
        sizes.append(sum(path.stat().st_size for path in packed_in(spool)))
    assert sizes[1] < sizes[0]


def test_a_backlog(weir, serve, place):
    """The first command waits until all others but the next are compressed; each gets what it should."""
    kept, gate, spool = place.directory("kept"), place.root / "gate", place.root / "spool"
    says = place.root / "says"
    process = weir.start_capture(
        serve(sending(texts(MESSAGES))).url, "--spool", spool, *BY_SIZE, *COMPRESS, "--status",
        "json", *keeper(kept, f"while ! test -e {gate}; do sleep 0.01; done\n"
                              f"echo $WEIR_SEGMENT $WEIR_INDEX $WEIR_SPOOL >>{says}\n"))
    wait_until(lambda: len(packed_in(spool)) >= 7, "the backlog is compressed")
    gate.touch()
    report = process.wait().expect(0).report
    assert kept_in(kept) == MESSAGES
    assert report["compressed"] >= 7 and report["acked"] == report["segments"]
    said = [line.split() for line in says.read_text().splitlines()]
    assert {where for _, _, where in said} == {str(spool)}
    assert said[0][0].startswith(str(spool)), "the first one was never compressed"
    assert sum(data.startswith("/dev/fd/") for data, _, _ in said) >= 7
    assert names_in(spool) == []


def test_a_slow_reader_of_standard_output(weir, serve, place):
    spool = place.root / "spool"
    process = weir.start_capture(serve(flooding(texts(MESSAGES), 8)).url, "--spool", spool,
                                 *BY_SIZE, *COMPRESS, stdout=subprocess.PIPE)
    wait_until(lambda: len(packed_in(spool)) >= 10, "the backlog is compressed")
    assert process.popen.stdout.read() == LINES * 8
    process.wait().expect(0)
    assert names_in(spool) == []


def test_a_reader_of_standard_output_that_goes_away(weir, serve, place):
    """What it has not read stays compressed."""
    spool = place.root / "spool"
    process = weir.start_capture(serve(sending_and_waiting(texts(MESSAGES * 4))).url, "--spool",
                                 spool, *BY_SIZE, *COMPRESS, "--status", "json",
                                 stdout=subprocess.PIPE)
    wait_until(lambda: len(packed_in(spool)) >= 10, "the backlog is compressed")
    first = process.popen.stdout.read(1000)
    process.popen.stdout.close()
    report = process.wait().expect(1).report
    assert len(packed_in(spool)) >= 10 and report["kept"] >= 10
    there = payloads_of(spool)
    assert LINES.startswith(first) and there == (MESSAGES * 4)[-len(there):]


def test_the_next_run_needs_no_option(weir, serve, place, packed):
    kept = place.directory("kept")
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    result = weir.capture(server.url, "--spool", packed, "--status", "json", *keeper(kept))
    result.expect(0)
    assert kept_in(kept) == [*MESSAGES, b"new"]
    assert names_in(packed) == []


def test_a_command_that_fails(weir, serve, place, packed):
    """The segment stays as it is on the disk, and is named by what is there."""
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    before = names_in(packed)
    result = weir.capture(server.url, "--spool", packed, "--", "false")
    result.expect(1, *[str(path) for path in packed_in(packed)])
    assert set(before) <= set(names_in(packed))
    assert payloads_of(packed) == [*MESSAGES, b"new"]


def test_the_cap_holds(weir, serve, place):
    spool, total, cap = place.root / "spool", place.root / "total", 4 * MEBIBYTE
    gate, server = place.root / "gate", serve(flooding(texts(MESSAGES), 12))
    process = weir.start_capture(server.url, "--spool", spool, "--disk-max", cap, "--status",
                                 "json", "--segment-size", "300KiB", *COMPRESS, "--", "sh", "-c",
                                 f'while ! test -e {gate}; do sleep 0.01; done; cat "$1" >>{total}',
                                 "sh", "{}")
    watch = Watch(process, spool)
    wait_until(lambda: packed_in(spool), "something is compressed")
    gate.touch()
    report = process.wait().expect(0).report
    assert total.read_bytes() == LINES * 12
    assert watch.end() <= cap and report["peak_disk_bytes"] <= cap
    assert report["compressed"] > 0


def test_the_cap_holds_for_what_an_earlier_run_compressed(weir, serve, place):
    """A segment that is larger than the whole cap when it is decompressed: that is done elsewhere."""
    kept, cap = place.directory("kept"), 4 * MEBIBYTE
    _, spool = weir.captured(serve(sending(texts(MESSAGES * 12))).url, *COMPRESS)
    assert len(packed_in(spool)) == 1 and packed_in(spool)[0].stat().st_size < cap // 2
    server = serve(sending(text("new")))
    report = weir.capture(server.url, "--spool", spool, "--disk-max", cap, "--status", "json",
                          *keeper(kept)).expect(0).report
    assert kept_in(kept) == [*MESSAGES * 12, b"new"]
    assert report["peak_disk_bytes"] <= cap


def test_dropping_what_is_being_compressed(weir, serve, place):
    """The spool holds the end of the stream, and a gap that counts what is missing in front of it."""
    server = serve(flooding(texts(MESSAGES), 24))
    result, spool = weir.captured(server.url, "--disk-max", "4MiB", "--on-full", "drop-oldest",
                                  "--segment-size", "300KiB", *COMPRESS, "--status", "json")
    report = result.expect(0).report
    assert report["compressed"] > 0 and report["peak_disk_bytes"] <= 4 * MEBIBYTE
    records = records_of(spool)
    missing = sum(r.value for r in records if r.kind == GAP and r.cause == DROPPED)
    there = [r.payload for r in records if r.is_message]
    assert there == (MESSAGES * 24)[-len(there):]
    assert missing == report["dropped_messages"] == 24 * len(MESSAGES) - len(there) > 0


def test_reading_while_it_is_compressed(weir, serve, place):
    """Files change their form between the look at the directory and their opening."""
    spool = place.root / "spool"
    process = weir.start_capture(serve(sending_and_waiting(texts(MESSAGES * 4))).url, "--keep",
                                 "--spool", spool, "--segment-size", "70KiB", *COMPRESS,
                                 "--messages", len(MESSAGES) * 4)
    wait_until(lambda: spool.is_dir() and names_in(spool), "it has begun")
    while process.running:
        out = weir.cat(spool).expect(0).out
        assert (LINES * 4).startswith(out)
    process.wait().expect(0)
    assert payloads_of(spool) == MESSAGES * 4


def next_run_gets(weir, serve, place, spool, number):
    """What is left of a killed run is processed by the next one; returns the payloads of both."""
    kept = place.directory(f"kept{number}")
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    weir.capture(server.url, "--spool", spool, *COMPRESS, *keeper(kept)).expect(0)
    assert names_in(spool) == []
    return kept_in(kept)


def check_what_was_left(weir, serve, place, spool, number):
    """After a kill of a capture that keeps all: what can be read is what the next run hands on."""
    if not spool.is_dir():
        return
    there = payloads_of(spool)
    assert weir.cat(spool).expect(0).out == b"".join(m + b"\n" for m in there)
    assert there == (MESSAGES * 2)[:len(there)]
    assert next_run_gets(weir, serve, place, spool, number) == [*there, b"new"]


def kill_at_any_moment(weir, serve, place, dice, number):
    spool = place.root / f"spool{number}"
    process = weir.start_capture(serve(flooding(texts(MESSAGES), 2)).url, "--keep", "--spool",
                                 spool, "--segment-size", dice.choice(["70KiB", "200KiB"]),
                                 "--compress", dice.choice(["zstd=1", "zstd=9"]))
    wait_until(lambda: spool.is_dir() and packed_in(spool) or not process.running, "it compresses")
    time.sleep(dice.random() * 0.1)
    process.signal(signal.SIGKILL)
    process.wait()
    check_what_was_left(weir, serve, place, spool, number)
    shutil.rmtree(spool)


def test_killed(weir, serve, place):
    print(f"seed {torture.SEED}")
    for number in range(3):
        kill_at_any_moment(weir, serve, place, Dice("zstd", number), number)


@pytest.mark.torture
def test_killed_often(weir, serve, place):
    print(f"torture: seed {torture.SEED}")
    for number in range(torture.KILLS):
        kill_at_any_moment(weir, serve, place, Dice("zstd", number), number)


def killed_at(weir, serve, place, kill_library, call):
    """A capture that is killed at this call; false if it came to its end before."""
    spool = place.root / f"spool{call}"
    env = {"LD_PRELOAD": str(kill_library), "WEIR_KILL_PROGRAM": "weir", "WEIR_KILL": str(call)}
    result = weir.capture(serve(flooding(texts(MESSAGES[:1500]), 1)).url, "--keep", "--spool",
                          spool, "--segment-size", "150KiB", *COMPRESS, env=env)
    if result.code == 0:
        return False
    assert result.code == -signal.SIGKILL, result
    check_what_was_left(weir, serve, place, spool, f"at{call}")
    return True


def test_killed_at_each_step(weir, serve, place, kill_library):
    """Some steps in the ordinary suite; all of them are what the torture goes through."""
    calls = range(1, 400, 31)
    assert [call for call in calls if not killed_at(weir, serve, place, kill_library, call)]


@pytest.mark.torture
def test_killed_at_every_step(weir, serve, place, kill_library):
    call = 1
    while killed_at(weir, serve, place, kill_library, call):
        call += 1
    print(f"torture: killed at each of {call - 1} calls")
    assert call > 20


@pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")
@pytest.mark.parametrize("fault", ["write:ENOSPC:1:0", "write:EIO:2:1", "fdatasync:EIO:1:0",
                                   "renameat:EIO:1:0"])
def test_a_compression_that_fails(library, weir, serve, place, fault):  # noqa: F811
    """The segment stays what it was, and that is counted."""
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": fault, "WEIR_FAULT_PROGRAM": "weir",
           "WEIR_FAULT_PATH": ".zst.new", "WEIR_FAULT_LOG": str(place.root / "faults")}
    result, spool = weir.captured(serve(sending(texts(MESSAGES))).url, *BY_SIZE, *COMPRESS,
                                  "--status", "json", env=env)
    report = result.expect(0).report
    assert (place.root / "faults").exists()
    assert report["compress_failures"] > 0
    assert payloads_of(spool) == MESSAGES
    assert not list(spool.glob("*.new"))


def test_a_damaged_frame(weir, packed):
    """The records in it are lost, are told to be, and no others."""
    path = packed_in(packed)[3]
    sound = {r.seq: r.payload for r in records_of(packed) if r.is_message}
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 8] ^= 4
    path.write_bytes(raw)
    result = weir.cat(packed)
    result.expect(5, path.name[:20])
    lines = result.out.splitlines()
    assert len(lines) < len(sound)
    assert set(lines) <= set(sound.values())
    lost = len(sound) - len(lines)
    assert lost < 1000, "that is more than there are in one segment"


def test_a_damaged_frame_is_processed_with_gaps(weir, serve, place, packed):
    """As a plain segment that is damaged: what is whole is handed on, what is not becomes gaps."""
    weir.captured(serve(sending(texts(MESSAGES))).url, "--segment-size", "700KiB", *COMPRESS,
                  spool=packed)[0].expect(0)
    path, kept = max(packed_in(packed), key=lambda path: path.stat().st_size), place.directory("kept")
    sound = {r.seq: r.payload for r in records_of(packed) if r.is_message}
    raw = bytearray(path.read_bytes())
    raw[1000] ^= 4
    path.write_bytes(raw)
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    result = weir.capture(server.url, "--spool", packed, *keeper(kept)).expect(0)
    assert f"segment {int(path.name[:20])}" in result.complaint, "it is told"
    records = [r for index in sorted(kept.glob("*.index")) for r in read_segment(index).records]
    whole = {r.seq: r.payload for r in records if r.is_message and r.payload != b"new"}
    lost = [r.seq for r in records if r.kind == GAP and r.cause == DAMAGED]
    assert whole.items() <= sound.items()
    assert sound.keys() - whole.keys() == set(lost) != set()
    assert f"{path.name}.aside1" in names_in(packed)


@pytest.mark.parametrize("where", [-1, -7, -20])
def test_a_damaged_table(weir, serve, place, packed, where):
    """What was compressed is found without it: nothing is lost."""
    path, kept = packed_in(packed)[3], place.directory("kept")
    sound = {r.seq: r.payload for r in records_of(packed) if r.is_message}
    raw = bytearray(path.read_bytes())
    raw[where] ^= 0x55
    path.write_bytes(raw)
    weir.run("check", packed).expect(5)
    assert weir.cat(packed).expect(5, path.name[:20]).out.splitlines() == list(sound.values())
    server = serve(lambda c: (c.upgrade(more=text("new")), c.finish()))
    result = weir.capture(server.url, "--spool", packed, *keeper(kept)).expect(0)
    assert f"segment {int(path.name[:20])} was damaged, but no record of it" in result.complaint
    assert kept_in(kept) == [*sound.values(), b"new"]
    assert names_in(packed) == [f"{path.name}.aside1"]


def frames_of(raw):
    """Where each frame of the data begins, and the index behind them."""
    entries = int.from_bytes(raw[-9:-5], "little")
    sizes = [int.from_bytes(raw[at:at + 4], "little") for at in range(len(raw) - 9 - 8 * entries, len(raw) - 9, 8)]
    return [sum(sizes[:n]) for n in range(entries)]


def large(weir, serve, place):
    """One compressed segment of several frames, and its messages."""
    _, spool = weir.captured(serve(sending(texts(MESSAGES))).url, *COMPRESS, spool=place.root / "large")
    path, = packed_in(spool)
    assert len(frames_of(path.read_bytes())) >= 4
    return spool, path, [r.payload for r in records_of(spool) if r.is_message]


def salvaged(weir, spool, place, code, *words):
    clean = place.root / "clean"
    result = weir.run("salvage", spool, clean)
    assert result.code == code and all(word in result.err for word in words), result
    weir.run("check", clean).expect(0)
    return payloads_of(clean)


def damaged_file(whole, damage):
    """And the frame whose records are lost."""
    raw, starts = bytearray(whole), frames_of(whole)
    lost = {"in the chain": 1, "at the beginning": 0}.get(damage)
    if lost is not None:
        raw[starts[lost]:starts[lost] + 40] = bytes(40)
    if damage == "cut in the table":
        del raw[-20:]
    elif damage == "cut in the index":
        del raw[starts[-1] + 8 + 64 + 32 * 1000:]
    elif damage != "none":
        raw[-1] ^= 1
    return raw, lost


def test_salvage_of_one_that_was_put_aside(weir, serve, place):
    """Without its table, and with a frame that does not tell where it ends."""
    spool, path, messages = large(weir, serve, place)
    whole, aside = path.read_bytes(), path.rename(f"{path}.aside1")
    for damage in ("none", "in the table", "cut in the table", "cut in the index", "in the chain", "at the beginning"):
        raw, lost = damaged_file(whole, damage)
        aside.write_bytes(raw)
        got = salvaged(weir, spool, place, 0 if damage in ("none", "in the table", "cut in the table") else 1)
        shutil.rmtree(place.root / "clean")
        if damage == "cut in the index":
            assert got == messages[:len(got)] and len(got) > 990
            continue
        begin = lost * (256 << 10) if lost is not None else 1 << 40
        gone = {n for n, end in enumerate(accumulate(len(m) + 1 for m in messages))
                if end > begin and end - len(messages[n]) - 1 < begin + (256 << 10)}
        assert got == [m for n, m in enumerate(messages) if n not in gone], damage


def test_damage_in_a_frame_costs_what_stands_behind_it(weir, serve, place):
    """Not all that is in the frame: the second half of the first one is gone here, at most."""
    spool, path, messages = large(weir, serve, place)
    raw = bytearray(path.read_bytes())
    end = frames_of(raw)[1]
    raw[end - 40] ^= 0xff
    path.write_bytes(raw)
    got = salvaged(weir, spool, place, 1, f"{path.name}: ")
    sizes = sum(len(message) + 1 for message in set(messages) - set(got))
    assert 0 < sizes <= 130 << 10 and got == [m for m in messages if m in set(got)]



@pytest.mark.parametrize("how", ["gzip", "zstd=", "zstd=0", "zstd=20", "zstd=x", ""])
def test_what_it_takes(weir, how):
    weir.capture("ws://127.0.0.1:1/", "--compress", how, "--", "true").expect(2, "--compress")


def test_what_does_not_go_with_it(weir):
    weir.capture("ws://127.0.0.1:1/", *COMPRESS, "--ephemeral", "--", "true").expect(
        2, "--compress", "--ephemeral")
