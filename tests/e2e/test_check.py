"""weir check: nothing that is damaged passes, and nothing that is whole is called damaged."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from crc32c import crc32c
from damage import MESSAGES, flip, index_of, spool  # noqa: F401 (one is a fixture)
from frames import text, texts
from harness import wait_until
from servers.hostile import sending
from spool_reader import ENTRY, HEADER, payloads_of
from spool_writer import Made, write_spool


def check(weir, spool, code, *words):
    before = {p.name: p.read_bytes() for p in spool.iterdir() if p.is_file() and not p.is_symlink()}
    result = weir.run("check", spool)
    assert result.code == code, result
    out = result.out.decode()
    for word in words:
        assert word in out, result
    assert ("damaged: " in out) == (code == 5), result
    assert {p.name: p.read_bytes() for p in spool.iterdir()
            if p.is_file() and not p.is_symlink()} == before, "looking changes nothing"
    return out


def damages(out):
    return [line for line in out.splitlines() if ": damaged: " in line]


def test_whole(weir, spool):
    out = check(weir, spool, 0, "4 segments, 32 records, 30 of them messages", "whole")
    assert len(out.splitlines()) == 1


def test_every_byte_of_a_segment(weir, spool):
    """Index and data, header and separators: whichever byte it is, it is told."""
    index, _ = index_of(spool, 25)
    for path in (index, index.with_suffix(".data")):
        for at in range(0, path.stat().st_size, 3):
            flip(path, at)
            check(weir, spool, 5, index.name[:20])
            flip(path, at)
    check(weir, spool, 0)


def test_each_damaged_record_is_named(weir, spool):
    index, place = index_of(spool, 15)
    seq = int(index.name[:20]) + place
    flip(index, HEADER.size + ENTRY.size * place)
    out = check(weir, spool, 5, f"record {seq} is damaged", "1 record is lost, 1 segment touched")
    assert len(damages(out)) == 1
    flip(index, HEADER.size + ENTRY.size * (place + 1))
    flip(index, HEADER.size + ENTRY.size * (place + 3))
    out = check(weir, spool, 5, f"records {seq} to {seq + 1} are damaged", f"record {seq + 3} is damaged")
    assert len(damages(out)) == 2


@pytest.mark.parametrize("cut, words", [(1, "1 of its records are missing"), (64, "2 of its records are missing")])
def test_a_sealed_index_that_is_cut(weir, spool, cut, words):
    index, _ = index_of(spool, 15)
    os.truncate(index, index.stat().st_size - cut)
    check(weir, spool, 5, index.name, words)


def test_data_that_is_cut(weir, spool):
    data = index_of(spool, 15)[0].with_suffix(".data")
    os.truncate(data, data.stat().st_size - 30)
    check(weir, spool, 5, "are damaged")


def test_data_that_is_too_long(weir, spool):
    with open(index_of(spool, 15)[0].with_suffix(".data"), "ab") as data:
        data.write(b"more")
    check(weir, spool, 5, "4 bytes of data stand behind")


def test_what_a_death_leaves_is_no_damage(weir, spool):
    index, _ = index_of(spool, 25)
    index.rename(index.with_suffix(".index.open"))
    with open(index.with_suffix(".data"), "ab") as data:
        data.write(b"never captured")
    (spool / f"{900:020}.data").write_bytes(b"")
    (spool / f"{901:020}.index").write_bytes(b"x" * 100)
    check(weir, spool, 0, "14 bytes at the end were written and never captured",
          f"{900:020}.data: left by a process", f"{901:020}.index: left by a process")


def test_entries_without_their_data(weir, spool):
    index, place = index_of(spool, 25)
    index.rename(index.with_suffix(".index.open"))
    data = index.with_suffix(".data")
    os.truncate(data, data.read_bytes().index(MESSAGES[26]) + 1)
    seq = int(index.name[:20]) + place
    check(weir, spool, 5, f"records {seq + 1} to ", "captured, and lost")


def test_files_alone(weir, spool):
    (spool / f"{900:020}.data").write_bytes(b"data")
    (spool / f"{901:020}.index.open").write_bytes(b"x" * 100)
    (spool / f"{902:020}.data").write_bytes(b"data")
    (spool / f"{902:020}.index.open").write_bytes(b"x" * 63)
    check(weir, spool, 5, f"{902:020}.data: damaged: there is no index", f"{900:020}.data: damaged: there is no index",
          f"{901:020}.index.open: damaged: there is no data")


def test_other_names(weir, spool):
    (spool / "letter.txt").write_text("dear")
    (spool / "evil\x1b[2J\n").write_text("")
    (spool / f"{7:020}.data.aside1").write_text("x")
    (spool / f"{0:020}.data.cut").write_text("x")
    out = check(weir, spool, 0, "letter.txt: not a file of weir", f"{7:020}.data.aside1: put aside",
                "what was cut off its end", "evil?[2J?")
    assert "\x1b" not in out


def test_links_are_not_followed(weir, spool, place):
    target = place.root / "target"
    target.write_text("mine")
    (spool / f"{900:020}.data").symlink_to(target)
    os.mkfifo(spool / f"{901:020}.index")
    check(weir, spool, 5, f"{900:020}.data: damaged: a file of this segment is a link",
          f"{901:020}.index: damaged: a file of this segment is a link")


@pytest.mark.parametrize("lock, code, words", [
    (None, 0, "lock: it is missing; the next capture makes it"),
    (b"", 0, "whole"),  # of a spool that has just begun
    (bytes(40), 0, "whole"),  # never reached the disk
    (b"next 00000000000000000007\n", 0, "whole"),
    (b"lext 00000000000000000007\n", 5, "lock: damaged: it does not say which number"),
    (b"next 000000000000000x0007\n", 5, "lock: damaged: it does not say which number"),
    (b"next", 5, "lock: damaged: it does not say which number"),
    (b"next 20000000000000000007\n", 5, "lock: damaged: it says that no number is left"),
    (b"4711\n", 5, "lock: damaged: it does not say which number"),
    (Path.mkdir, 5, "lock: damaged: it is a link, a directory or the like"),
    (os.mkfifo, 5, "lock: damaged: it is a link, a directory or the like"),
    (lambda lock: lock.symlink_to("target"), 5, "lock: damaged: it is a link, a directory or the like"),
])
def test_the_lock(weir, spool, lock, code, words):
    """A capture makes one that is missing; what is no file keeps it out."""
    path = spool / "lock"
    path.unlink()
    if callable(lock):
        lock(path)
    elif lock is not None:
        path.write_bytes(lock)
    check(weir, spool, code, words)


def test_another_version(weir, spool):
    index, _ = index_of(spool, 15)
    raw = bytearray(index.read_bytes())
    raw[8:10] = (3).to_bytes(2, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    index.write_bytes(raw)
    check(weir, spool, 5, f"{index.name}: damaged: it was written by another version")


def test_numbers_that_overlap(weir, spool):
    index, _ = index_of(spool, 15)
    seq = int(index.name[:20]) + 2
    raw = bytearray(index.read_bytes())
    raw[16:24] = seq.to_bytes(8, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    (spool / f"{seq:020}.index").write_bytes(raw)
    (spool / f"{seq:020}.data").write_bytes(index.with_suffix(".data").read_bytes())
    check(weir, spool, 5, f"{seq:020}.index: damaged: its numbers are those of the segment before")


def test_quiet(weir, spool):
    (spool / "letter.txt").write_text("dear")
    assert weir.run("check", "--quiet", spool).expect(0).out == b""
    flip(index_of(spool, 15)[0].with_suffix(".data"), 0)
    assert len(weir.run("check", spool, "--quiet").expect(5).out.splitlines()) == 1


def test_a_spool_that_is_in_use(weir, serve, place):
    spool = place.root / "spool"
    server = serve(lambda connection: (connection.upgrade(more=texts(MESSAGES)),
                                       connection.answer_close()))
    owner = weir.start_capture(server.url, "--keep", "--spool", spool, "--segment-messages", "7")
    wait_until(lambda: spool.is_dir() and len(payloads_of(spool)) == 30, "all is captured")
    result = weir.run("check", spool).expect(0)
    assert f"in use by process {owner.pid}" in result.out.decode() and "whole" in result.out.decode()
    owner.signal(signal.SIGINT)
    owner.wait().expect(0)


@pytest.mark.parametrize("kind", ["missing", "file", "other", "empty"])
def test_what_is_no_spool(weir, place, kind):
    path = place.root / kind
    if kind == "file":
        path.write_text("")
    elif kind != "missing":
        path.mkdir()
    if kind == "other":
        (path / "letter.txt").write_text("dear")
    if kind == "empty":
        weir.run("check", path).expect(0)
    else:
        weir.run("check", path).expect(5, str(path))


def test_usage(weir, spool):
    weir.run("check").expect(2, "which spool")
    weir.run("check", spool, spool).expect(2)


def test_a_mended_spool_is_whole(weir, serve, spool):
    index, _ = index_of(spool, 15)
    flip(index.with_suffix(".data"), 3)
    check(weir, spool, 5)
    index.rename(index.with_suffix(".index.open"))
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0)
    check(weir, spool, 0, "1 gap", "put aside")


def test_a_read_only_file_system(weir, serve, small_disk, place):
    """A capture says so; who only looks needs no more."""
    spool = small_disk / "spool"
    weir.captured(serve(sending(texts(MESSAGES))).url, spool=spool)[0].expect(0)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    weir.capture("ws://127.0.0.1:1/", "--spool", spool, "--keep").expect(5, str(spool), "read-only")
    weir.run("check", spool).expect(0)
    weir.run("salvage", spool, place.root / "clean").expect(0)
    assert payloads_of(place.root / "clean") == MESSAGES


def test_a_name_that_a_terminal_would_obey(weir, place):
    spool = write_spool(place.directory("spool\x1b[2J\x9b"), [[Made(b"x")]])
    (spool / "letter\x1b[2J").write_text("dear")
    result = weir.run("check", spool).expect(0)
    assert b"spool?[2J?: 1 segment" in result.out and b"letter?[2J: not a file" in result.out
    assert b"\x1b" not in result.out
