"""weir ls: which spools there are, and what is in one, whatever state they are in."""

import fcntl
import json
import os
import socket

import pytest

from crc32c import crc32c
from harness import wait_until
from spool_writer import Made, write_segment, write_spool
from test_cat_follow import Pace

SECOND = 10 ** 9
BEGIN = 1_795_480_650 * SECOND  # 2026-11-24 00:37:30 UTC


def made(first, count):
    return [Made(b"message %d" % n, time_ns=BEGIN + n * SECOND) for n in range(first, first + count)]


@pytest.fixture
def spool(place):
    return write_spool(place.directory("spool"), [made(0, 10), made(10, 5), made(15, 3)], last_open=True)


def ls(weir, *arguments, code=0, words=(), env=None):
    return weir.run("ls", *arguments, env={"TZ": "UTC", **(env or {})}).expect(code, *words)


def objects(weir, *arguments, **options):
    """The spools, and their segments."""
    found = [json.loads(line) for line in ls(weir, *arguments, "--json", **options).out.splitlines()]
    return [o for o in found if "path" in o], [o for o in found if "spool" in o]


def rows(out):
    return [line.split() for line in out.decode().splitlines()]


def test_the_segments_of_a_spool(weir, spool):
    lines = ls(weir, spool).out.decode().splitlines()
    assert lines[0] == f"{spool}: not in use"
    assert lines[1].startswith("3 segments, 18 records, 188 B of data, ")
    assert lines[2].split() == "FIRST LAST STATE RECORDS DATA DISK FROM TO AGE".split()
    assert [line.split()[:4] for line in lines[3:]] == [
        ["0", "9", "sealed", "10"], ["10", "14", "sealed", "5"], ["15", "17", "open", "3"]]
    assert "2026-11-24 00:37:30  2026-11-24 00:37:39" in lines[3]
    assert len({len(line.rstrip()) for line in lines[2:]}) <= 2, "the columns are aligned"


def test_json(weir, spool):
    spools, segments = objects(weir, spool)
    assert len(spools) == 1 and spools[0]["path"] == str(spool)
    assert spools[0]["owner"] == {"alive": False}
    assert {k: spools[0][k] for k in ("segments", "records", "data_bytes", "damaged", "cuts", "asides", "foreign")} == {
        "segments": 3, "records": 18, "data_bytes": 188, "damaged": 0, "cuts": 0, "asides": 0, "foreign": 0}
    disk = sum(path.stat().st_blocks * 512 for path in spool.iterdir())
    assert spools[0]["disk_bytes"] == disk
    assert spools[0]["from"] == "2026-11-24T00:37:30.000000000Z"
    assert spools[0]["to"] == "2026-11-24T00:37:47.000000000Z"
    assert [(s["first_seq"], s["records"], s["state"]) for s in segments] == [
        (0, 10, "sealed"), (10, 5, "sealed"), (15, 3, "open")]


def test_a_directory_of_spools(weir, place):
    for name, count in (("b", 2), ("a", 1)):
        write_spool(place.directory(name), [made(0, count)])
    (place.directory("other") / "letter").write_text("dear")
    (place.root / "link").symlink_to(place.root / "a")
    found = rows(ls(weir, place.root).out)
    assert found[0][:2] == ["SPOOL", "OWNER"]
    assert [row[:4] for row in found[1:]] == [
        [str(place.root / "a"), "none", "1", "1"], [str(place.root / "b"), "none", "1", "2"]]
    assert [o["path"] for o in objects(weir, place.root)[0]] == [str(place.root / "a"), str(place.root / "b")]


def test_the_temporary_ones(weir, place):
    for name in ("weir-1", "other", "weir-2"):
        path = place.may_stay(place.temp / name)
        path.mkdir()
        write_spool(path, [made(0, 1)])
    assert [row[0] for row in rows(ls(weir).out)[1:]] == [str(place.temp / "weir-1"), str(place.temp / "weir-2")]


def test_nothing(weir, place):
    assert ls(weir).out == b""
    assert ls(weir, place.directory("empty")).out == b""


def test_one_that_is_in_use(weir, serve, place):
    spool, pace = place.root / "spool", Pace()
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep", "--segment-messages", "10")
    pace.send(texts_of(25))
    wait_until(lambda: len(list(spool.glob("*.index"))) == 2, "two segments are sealed")
    head = ls(weir, spool).out.decode().splitlines()[0]
    assert head.startswith(f"{spool}: in use by process {capture.pid} on {socket.gethostname()} since ")
    owner = objects(weir, spool)[0][0]["owner"]
    assert owner["alive"] and owner["pid"] == capture.pid
    assert rows(ls(weir, place.root).out)[1][1] == str(capture.pid)
    pace.end()
    capture.wait().expect(0)
    assert ls(weir, spool).out.decode().splitlines()[0] == f"{spool}: not in use"


def texts_of(count):
    return [b"message %d" % n for n in range(count)]


def test_one_that_is_processed_meanwhile(weir, serve, place):
    """Segments come and go while it looks; none of them is bad for that."""
    spool, pace = place.root / "spool", Pace()
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--segment-messages", "1", "--", "true")
    for n in range(30):
        pace.send(texts_of(40))
        for found in objects(weir, spool)[0] if spool.exists() else []:
            assert found["damaged"] == 0, found
    pace.end()
    capture.wait().expect(0)


def test_what_is_damaged(weir, spool):
    data = spool / f"{0:020}.data"
    data.write_bytes(data.read_bytes()[:-1])
    index = spool / f"{10:020}.index"
    raw = bytearray(index.read_bytes())
    raw[20] ^= 1
    index.write_bytes(raw)
    (spool / f"{15:020}.index.open").unlink()
    write_segment(spool, 20, made(20, 2))
    (spool / f"{20:020}.data").unlink()  # acknowledged: its deletion was interrupted
    write_segment(spool, 30, made(30, 2))
    (spool / f"{30:020}.data").unlink()
    (spool / f"{30:020}.data").symlink_to("/etc/passwd")
    (spool / f"{99:020}.data.aside1").write_text("x")
    (spool / "notes").write_text("x")
    write_segment(spool, 200, made(200, 2))
    version = spool / f"{200:020}.index"
    raw = bytearray(version.read_bytes())
    raw[8] = 9
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    version.write_bytes(raw)
    spools, segments = objects(weir, spool)
    assert [(s["first_seq"], s["state"]) for s in segments] == [
        (0, "damaged"), (10, "damaged"), (15, "incomplete"), (30, "incomplete"), (200, "unknown")]
    assert (spools[0]["damaged"], spools[0]["asides"], spools[0]["foreign"]) == (4, 1, 1)
    assert "4 damaged, 1 put aside, 1 foreign" in ls(weir, spool).out.decode().splitlines()[1]


def test_a_sealed_index_that_lacks_events_at_its_end(weir, serve, place):
    """They have no data that could tell of them; the header does."""
    spool, pace = place.root / "spool", Pace()
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep")
    pace.send(texts_of(5))
    pace.end()
    capture.wait().expect(0)
    index, = spool.glob("*.index")
    assert objects(weir, spool)[1][0]["state"] == "sealed"
    index.write_bytes(index.read_bytes()[:-32])
    assert objects(weir, spool)[1][0]["state"] == "damaged"


def test_what_is_no_file(weir, spool):
    """Nothing is followed, and nothing is waited for."""
    for path in spool.glob("*"):
        path.unlink()
    os.mkfifo(spool / "lock")
    os.mkfifo(spool / f"{0:020}.data")
    (spool / f"{0:020}.index").mkdir()
    assert objects(weir, spool)[1][0]["state"] in ("incomplete", "damaged")


def test_names_that_a_terminal_should_not_see(weir, place):
    path = place.directory("od\x1b[31md\n")
    write_spool(path, [made(0, 1)])
    out = ls(weir, place.root).out
    assert b"\x1b" not in out and len(out.splitlines()) == 2
    assert objects(weir, place.root)[0][0]["path"] == str(path)


def test_what_cannot_be_looked_at(weir, place, spool):
    result = ls(weir, place.root / "missing", spool, code=5, words=["missing"])
    assert f"{spool}: not in use".encode() in result.out, "the others are shown"
    (place.root / "file").write_text("x")
    ls(weir, place.root / "file", code=5, words=["file"])


def test_it_never_is_in_the_way(weir, spool):
    """The lock is not taken when somebody has it, and looking leaves all as it is."""
    with open(spool / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {path.name: path.read_bytes() for path in spool.iterdir()}
        assert objects(weir, spool)[0][0]["owner"]["alive"]
        assert {path.name: path.read_bytes() for path in spool.iterdir()} == before
