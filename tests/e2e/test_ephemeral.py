"""--ephemeral: files without names. Nothing is ever seen in the directory, nothing is left there, and
COMMAND reads its segment by a descriptor of its own."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import frames
import torture
from frames import texts
from harness import LIMIT, SANITIZED, kill_marked, wait_until, weir_path
from servers.hostile import flooding, sending, sending_and_waiting
from spool_reader import DROPPED, GAP, read_segment
from test_faults import library  # noqa: F401 (a fixture)
from test_signals import signal_again
from torture import Dice

MEBIBYTE = 1 << 20
MESSAGES = [b"%05d " % n + b"x" * 90 for n in range(1000)]
BLOCK = [b"%06d " % n + b"x" * 493 for n in range(2000)]  # a megabyte
BY_HUNDRED = ["--segment-messages", "100"]

KEEP = """
set -e
name=$(printf '%s/%020d' "$1" "$WEIR_FIRST_SEQ")
if [ "$2" ]; then cp "$2" "$name.data"; else cat >"$name.data"; fi
cp "$WEIR_INDEX" "$name.index"
"""

# Says what it has: its descriptors, its variables, and what can be done with them.
LOOK = """
import fcntl, json, mmap, os, sys
data, index = (int(os.environ[name].rpartition("/")[2]) for name in ("WEIR_SEGMENT", "WEIR_INDEX"))
open_here = dict()
for fd in range(256):
    try:
        open_here[fd] = os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        pass
def refused(act, *arguments):
    try:
        act(*arguments)
    except OSError:
        return True
    return False
first = os.read(data, 10)
os.lseek(data, 0, os.SEEK_END)
with mmap.mmap(data, 0, prot=mmap.PROT_READ) as memory:
    whole = len(memory)
print(json.dumps({
    "arguments": sys.argv[1:], "data": data, "index": index, "open": open_here,
    "names": sorted(name for name in os.environ if name.startswith("WEIR_") and name != "WEIR_TEST_RUN"),
    "first": first.decode(), "again": open(f"/dev/fd/{data}").read(10), "mapped": whole,
    "read_only": refused(os.write, data, b"x") and refused(os.ftruncate, index, 0),
}))
"""


@pytest.fixture
def disk(place):
    """A file system of 64 mebibytes, of which nothing may be in use after the test."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a tmpfs")
    path = place.directory("disk")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "weir-test", path],
                           capture_output=True, check=False)
    if mount.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mount.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


def used(disk):
    status = os.statvfs(disk)
    return (status.f_blocks - status.f_bfree) * status.f_frsize


def is_as_it_was(disk):
    assert list(disk.iterdir()) == []
    wait_until(lambda: used(disk) == 0, "all of the space is free again")


def keeper(directory, by_path=True):
    return ["--", "sh", "-c", KEEP, "sh", directory, *(["{}"] if by_path else [])]


def kept_in(directory):
    segments = [read_segment(path) for path in sorted(directory.glob("*.index"))]
    return [r.payload for segment in segments for r in segment.records if r.is_message]


def inodes_held(process):
    return [name for name in process.descriptors() if name.endswith(" (deleted)")]


@pytest.mark.parametrize("by_path", [True, False], ids=["path", "stdin"])
def test_the_command_gets_the_segment(weir, serve, place, disk, by_path):
    kept = place.directory("kept")
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--ephemeral", "--dir", disk,
                          *BY_HUNDRED, "--status", "json", *keeper(kept, by_path))
    result.expect(0)
    assert kept_in(kept) == MESSAGES
    assert len(list(kept.glob("*.data"))) == 10
    assert result.report["spool"] == "" and result.report["acked"] >= 10
    assert result.report["peak_disk_bytes"] > 0
    is_as_it_was(disk)


def test_what_the_command_inherits(weir, serve, place, disk):
    """Two descriptors, for reading, with positions of its own, under the numbers that it is told."""
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--ephemeral", "--dir", disk,
                          *BY_HUNDRED, "--", sys.executable, "-c", LOOK, "{}", "a{}b",
                          env={"WEIR_SPOOL": "/somewhere/else"}).expect(0)
    said = [json.loads(line) for line in result.out.splitlines()]
    assert len(said) == 10
    for number, told in enumerate(said):
        path = f"/dev/fd/{told['data']}"
        assert told["arguments"] == [path, f"a{path}b"]
        assert set(told["open"]) == {"0", "1", "2", str(told["data"]), str(told["index"])}
        for one in ("data", "index"):
            assert told["open"][str(told[one])].startswith(str(disk))
            assert told["open"][str(told[one])].endswith(" (deleted)")
        assert told["open"]["0"] == "/dev/null"
        assert told["first"] == told["again"] == MESSAGES[number * 100][:10].decode()
        assert told["mapped"] == 100 * (len(MESSAGES[0]) + 1)
        assert told["read_only"]
        assert "WEIR_SPOOL" not in told["names"] and "WEIR_FIRST_SEQ" in told["names"]


def test_no_other_program_gets_them(weir, serve, place, disk):
    """A token command runs while a segment is open, and one waits."""
    seen, gate = place.root / "seen", place.root / "gate"
    command = f"ls -l /proc/self/fd >>{seen}; echo token"
    server = serve(sending(texts(MESSAGES[:150])))
    process = weir.start_capture(
        server.url, "--ephemeral", "--dir", disk, *BY_HUNDRED, "--token-command", command,
        "--reconnect", "--retry-wait-max", "20ms", "--messages", "450", "--", "sh", "-c",
        f"while ! test -e {gate}; do sleep 0.01; done")
    wait_until(lambda: len(server.connections) >= 3, "it has connected again")
    assert len(inodes_held(process)) >= 4
    gate.touch()
    process.wait().expect(0)
    assert str(disk) not in seen.read_text() and "/dev/null" in seen.read_text()


@pytest.mark.parametrize("ending", ["full", "killed"])
def test_standard_output(weir, serve, place, disk, ending):
    """A reader that is slow: what it has not read is on the disk, and nobody sees it there."""
    server = serve(flooding(texts(BLOCK), 16))
    process = weir.start_capture(server.url, "--ephemeral", "--dir", disk, "--segment-size", "1MiB",
                                 "--status", "json", stdout=subprocess.PIPE)
    wait_until(lambda: used(disk) > 12 * MEBIBYTE, "the backlog is on the disk")
    assert list(disk.iterdir()) == []
    if ending == "killed":
        process.kill()
    else:
        lines = b"".join(m + b"\n" for m in BLOCK) * 16
        assert process.popen.stdout.read() == lines
        process.wait().expect(0)
    is_as_it_was(disk)


def test_the_space_comes_back_with_each_acknowledgement(weir, serve, place, disk):
    """Eight megabytes are captured at once; the second command finds less in use than the first."""
    log, gate = place.root / "log", place.root / "gate"
    command = f"""
        while ! test -e {gate}; do sleep 0.01; done
        stat -f -c '%b %f %S' {disk} >>{log}
    """
    closed = []

    def script(connection):
        sending(texts(BLOCK * 8))(connection)
        closed.append(True)

    process = weir.start_capture(serve(script).url, "--ephemeral", "--dir", disk, "--segment-size",
                                 "1MiB", "--status", "json", "--", "sh", "-c", command)
    wait_until(lambda: closed, "it is all on the disk")
    gate.touch()
    process.wait().expect(0)
    counts = [[int(word) for word in line.split()] for line in log.read_text().splitlines()]
    in_use = [(blocks - free) * size for blocks, free, size in counts]
    assert len(in_use) >= 8
    assert all(after < before for before, after in zip(in_use, in_use[1:])), in_use
    is_as_it_was(disk)


def test_the_cap_holds(weir, serve, place, disk):
    cap, total, gate = 4 * MEBIBYTE, place.root / "total", place.root / "gate"
    server = serve(flooding(texts(BLOCK), 16))
    process = weir.start_capture(server.url, "--ephemeral", "--dir", disk, "--disk-max", cap,
                                 "--status", "json", "--", "sh", "-c",
                                 f"while ! test -e {gate}; do sleep 0.01; done; cat {{}} >>{total}")
    most = 0
    while process.running:
        most = max(most, used(disk))
        if most > 3 * MEBIBYTE:
            gate.touch()
    result = process.wait().expect(0)
    assert total.read_bytes() == b"".join(m + b"\n" for m in BLOCK) * 16
    assert MEBIBYTE < most <= cap
    assert MEBIBYTE < result.report["peak_disk_bytes"] <= cap


def test_several_sources_and_large_messages(weir, serve, place, disk):
    """Parts of messages that wait until they are whole have no names either."""
    kept = place.directory("kept")
    large = [[bytes([65 + source]) * (3 * MEBIBYTE + n) for n in range(3)] for source in range(3)]
    servers = [serve(sending(b"".join(frames.fragments(frames.TEXT, [m[:99], m[99:]]) for m in one)))
               for one in large]
    weir.capture(*[server.url for server in servers], "--ephemeral", "--dir", disk,
                 "--segment-size", "4MiB", *keeper(kept)).expect(0)
    got = kept_in(kept)
    assert [[m for m in got if m[0] == 65 + source] for source in range(3)] == large
    is_as_it_was(disk)


def test_a_command_that_fails(weir, serve, place, disk):
    """Its segment can be had as long as weir runs, counts until then, and is gone at the end."""
    gate = place.root / "gate"
    command = f'[ "$WEIR_FIRST_SEQ" = 0 ] && exit 7; while ! test -e {gate}; do sleep 0.01; done'
    server = serve(sending_and_waiting(texts(MESSAGES)))
    process = weir.start_capture(server.url, "--ephemeral", "--dir", disk, *BY_HUNDRED,
                                 "--messages", "1000", "--status", "json", "--", "sh", "-c", command)
    wait_until(lambda: "exit code 7" in process.err_so_far(), "it was told")
    path = next(word for word in process.err_so_far().split() if word.startswith("/proc/"))
    lines = Path(path).read_bytes().splitlines()
    assert lines == MESSAGES[:len(lines)] and len(lines) >= 99
    gate.touch()
    result = process.wait().expect(1, "gone", "--ephemeral")
    assert result.report["kept"] == 1 and result.report["spool"] == ""
    is_as_it_was(disk)


def test_failed_segments_fill_the_cap(weir, serve, disk):
    server = serve(flooding(texts(BLOCK), 16))
    weir.capture(server.url, "--ephemeral", "--dir", disk, "--disk-max", "4MiB", "--",
                 "false").expect(5, "--disk-max")
    is_as_it_was(disk)


def test_a_reader_that_goes_away(weir, serve, disk):
    process = weir.start_capture(serve(flooding(texts(BLOCK), 16)).url, "--ephemeral", "--dir", disk,
                                 stdout=subprocess.PIPE)
    process.popen.stdout.read(1000)
    process.popen.stdout.close()
    process.wait().expect(1, "gone")
    is_as_it_was(disk)


def test_stopped_at_once(weir, serve, place, disk):
    gate = place.root / "gate"
    server = serve(sending_and_waiting(texts(MESSAGES)))
    process = weir.start_capture(server.url, "--ephemeral", "--dir", disk, *BY_HUNDRED,
                                 "--", "sh", "-c", f"echo $$ >>{gate}; exec sleep 600")
    wait_until(lambda: gate.exists() and len(inodes_held(process)) >= 20, "all has come in, and the command runs")
    process.signal(signal.SIGINT)
    wait_until(lambda: server.connections[0].close_payload, "Close is said")
    signal_again(process, signal.SIGTERM)
    process.wait().expect(128 + signal.SIGTERM, "gone")
    is_as_it_was(disk)


def test_more_segments_than_descriptors(weir, serve, place, disk):
    """It is as with a cap: nothing is read until a segment was processed, and nothing is lost."""
    kept, gate = place.directory("kept"), place.root / "gate"
    process = weir.start_capture(
        serve(sending(texts(MESSAGES))).url, "--ephemeral", "--dir", disk, "--segment-messages",
        "5", "--status", "json", "--", "sh", "-c",
        f"while ! test -e {gate}; do sleep 0.01; done" + KEEP, "sh", kept, "{}",
        program=["prlimit", "--nofile=64:64", weir_path()])
    wait_until(lambda: len(inodes_held(process)) >= 30, "there is a backlog")
    gate.touch()
    report = process.wait().expect(0).report
    assert kept_in(kept) == MESSAGES
    assert report["segments"] >= 200
    is_as_it_was(disk)


def test_failed_segments_take_all_descriptors(weir, serve, disk):
    """What is kept is never given back, so that nothing can go on."""
    server = serve(flooding(texts(MESSAGES), 4))
    weir.run("capture", server.url, "--ephemeral", "--dir", disk, "--segment-messages", "5", "--",
             "false", program=["prlimit", "--nofile=64:64", weir_path()]).expect(5, "descriptors")
    is_as_it_was(disk)


@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest"])
def test_dropping(weir, serve, place, disk, policy):
    """Under a cap, what is dropped gives its space back, and is counted."""
    kept, gate = place.directory("kept"), place.root / "gate"

    def script(connection):
        connection.upgrade()
        connection.send(texts(BLOCK) * 16)
        gate.touch()
        assert connection.finish() == 1000

    process = weir.start_capture(
        serve(script).url, "--ephemeral", "--dir", disk, "--disk-max", "4MiB", "--on-full", policy,
        "--segment-size", "256KiB", "--status", "json", "--", "sh", "-c",
        f"while ! test -e {gate}; do sleep 0.01; done" + KEEP, "sh", kept, "{}")
    report = process.wait().expect(0).report
    segments = [read_segment(path) for path in sorted(kept.glob("*.index"))]
    records = [r for segment in segments for r in segment.records]
    missing = sum(r.value for r in records if r.kind == GAP and r.cause == DROPPED)
    there = sum(r.is_message for r in records)
    assert report["dropped_messages"] > 0
    assert report["dropped_messages"] + there == 16 * len(BLOCK)
    assert missing <= report["dropped_messages"], "it may be that no record came behind the last gap"
    is_as_it_was(disk)


def kill_somewhere(weir, serve, place, disk, dice):
    command = ["--", "sh", "-c", f"sleep {dice.choice([0, 0.01, 60])}; cat {{}} >/dev/null"]
    process = weir.start_capture(
        serve(flooding(texts(BLOCK), 8)).url, "--ephemeral", "--dir", disk, "--segment-size",
        dice.choice(["10k", "200k", "64MiB"]), *dice.choice([command, []]),
        stdout=subprocess.PIPE)
    enough = dice.randrange(8 * MEBIBYTE)
    wait_until(lambda: used(disk) >= enough or not process.running, "there is something", LIMIT)
    assert list(disk.iterdir()) == []
    process.signal(signal.SIGKILL)
    process.wait()
    kill_marked(place.mark)  # a COMMAND that still runs has its segment
    is_as_it_was(disk)


def test_killed(weir, serve, place, disk):
    dice = Dice("ephemeral")
    print(f"seed {torture.SEED}")
    for _ in range(8):
        kill_somewhere(weir, serve, place, disk, dice)


@pytest.mark.torture
def test_killed_often(weir, serve, place, disk):
    print(f"torture: seed {torture.SEED}")
    dice = Dice("ephemeral")
    for _ in range(torture.KILLS):
        kill_somewhere(weir, serve, place, disk, dice)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")
def test_a_file_system_that_has_no_unnamed_files(library, weir, serve, place, disk):  # noqa: F811
    """Each file has a name for a moment, then none."""
    kept = place.directory("kept")
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": "O_TMPFILE:EOPNOTSUPP:1:0",
           "WEIR_FAULT_PROGRAM": "weir", "WEIR_FAULT_LOG": str(place.root / "faults")}
    weir.capture(serve(sending(texts(MESSAGES))).url, "--ephemeral", "--dir", disk, *BY_HUNDRED,
                 *keeper(kept), env=env).expect(0)
    assert kept_in(kept) == MESSAGES
    assert (place.root / "faults").exists()
    is_as_it_was(disk)


@pytest.mark.parametrize("options, words", [
    (["--spool", "s"], ["--spool"]), (["--prefix", "x"], ["--prefix"]),
    (["--suffix", "x"], ["--suffix"]), (["--keep"], ["COMMAND"]),
])
def test_what_does_not_go_with_it(weir, options, words):
    command = [] if "--keep" in options else ["--", "true"]
    weir.capture("ws://127.0.0.1:1/", "--ephemeral", *options, *command).expect(
        2, "--ephemeral", *words)


@pytest.mark.parametrize("where", ["missing", "file", "sealed"])
def test_where_nothing_can_be_made(weir, place, where):
    """It is told at the start, before anything is connected."""
    path = place.root / where
    if where == "file":
        path.write_bytes(b"")
    elif where == "sealed":
        path = Path("/proc")
    weir.capture("ws://127.0.0.1:1/", "--ephemeral", "--dir", path, "--", "true").expect(5, str(path))
