"""weir salvage: what is whole in a damaged spool, in a new one that is whole."""

import os
import shutil

import pytest

from crc32c import crc32c
from damage import MESSAGES, flip, index_of, spool  # noqa: F401 (one is a fixture)
from frames import text
from servers.hostile import sending
from spool_reader import DAMAGED, ENTRY, GAP, HEADER, payloads_of, read_segment, records_of
from spool_writer import Made, write_segment, write_spool


def contents(spool):
    return {p.name: p.read_bytes() for p in spool.iterdir() if p.is_file()}


def salvage(weir, spool, place, code, *words):
    """Returns the clean spool, and what was said."""
    before, clean = contents(spool), place.root / "clean"
    result = weir.run("salvage", spool, clean)
    assert result.code == code, result
    for word in words:
        assert word in result.err + result.out.decode(), result
    assert contents(spool) == before, "the damaged one is only read"
    weir.run("check", clean).expect(0)
    return clean, result


def by_number(spool):
    return {r.seq: (r.kind, r.payload, r.time_ns) for r in records_of(spool)}


def test_a_whole_spool_is_copied(weir, spool, place):
    clean, _ = salvage(weir, spool, place, 0, "32 records, 30 of them messages", "nothing is lost")
    assert by_number(clean) == by_number(spool)


@pytest.mark.parametrize("part", ["entry", "payload"])
def test_a_damaged_record(weir, spool, place, part):
    index, at = index_of(spool, 15)
    seq, before = int(index.name[:20]) + at, by_number(spool)
    if part == "entry":
        flip(index, HEADER.size + ENTRY.size * at)
    else:
        data = index.with_suffix(".data")
        flip(data, data.read_bytes().index(MESSAGES[15]))
    clean, _ = salvage(weir, spool, place, 1, f"{index}: 1 of its records is lost", "1 record is lost")
    after = {r.seq: r for r in records_of(clean)}
    assert after[seq].kind == GAP and after[seq].cause == DAMAGED and after[seq].value == 1
    assert {n: v for n, v in by_number(clean).items() if n != seq} == \
        {n: v for n, v in before.items() if n != seq}


@pytest.mark.parametrize("at", [0, 8, 20, 60])
def test_a_damaged_header(weir, spool, place, at):
    flip(index_of(spool, 15)[0], at)
    clean, _ = salvage(weir, spool, place, 0, "it was damaged, but no record of it")
    assert payloads_of(clean) == MESSAGES


@pytest.mark.parametrize("cut", [5, 64])
def test_a_sealed_index_that_is_cut(weir, spool, place, cut):
    index, _ = index_of(spool, 15)
    count = -(-cut // ENTRY.size)
    gone = [r.payload for r in read_segment(index).records][-count:]
    os.truncate(index, index.stat().st_size - cut)
    clean, _ = salvage(weir, spool, place, 1, f"{count} of its records")
    assert payloads_of(clean) == [m for m in MESSAGES if m not in gone]


def test_an_open_segment(weir, spool, place):
    index, _ = index_of(spool, 25)
    index.rename(index.with_suffix(".index.open"))
    with open(index.with_suffix(".data"), "ab") as data:
        data.write(b"never captured")
    clean, _ = salvage(weir, spool, place, 0)
    assert payloads_of(clean) == MESSAGES


def as_aside(path, number=1):
    return path.rename(path.with_name(f"{path.name}.aside{number}"))


def test_files_that_were_put_aside(weir, spool, place):
    index, _ = index_of(spool, 15)
    as_aside(index.with_suffix(".data"))
    as_aside(index)
    clean, _ = salvage(weir, spool, place, 0)
    assert payloads_of(clean) == MESSAGES


def test_files_that_were_put_aside_with_different_numbers(weir, spool, place):
    index, _ = index_of(spool, 15)
    as_aside(index.with_suffix(".data"), 2)
    as_aside(index)
    (spool / f"{index.name[:20]}.data.aside1").write_bytes(b"something else" * 100)
    clean, _ = salvage(weir, spool, place, 1, "data.aside1: left out")
    assert payloads_of(clean) == MESSAGES


def test_originals_of_what_was_mended(weir, serve, spool, place):
    """They hold nothing more, and come in only when the mended segment is gone."""
    index, _ = index_of(spool, 15)
    data = index.with_suffix(".data")
    flip(data, data.read_bytes().index(MESSAGES[15]))
    index.rename(index.with_suffix(".index.open"))
    weir.captured(serve(sending(text("new"))).url, spool=spool)[0].expect(0)
    clean, _ = salvage(weir, spool, place, 0)
    assert by_number(clean) == by_number(spool)
    shutil.rmtree(clean)
    index.unlink()
    data.unlink()
    clean, _ = salvage(weir, spool, place, 1)
    assert payloads_of(clean) == [m for m in MESSAGES if m != MESSAGES[15]] + [b"new"]


def test_a_segment_inside_of_another_one(weir, spool, place):
    index, _ = index_of(spool, 15)
    seq = int(index.name[:20]) + 2
    raw = bytearray(index.read_bytes())
    raw[16:24] = seq.to_bytes(8, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    (spool / f"{seq:020}.index").write_bytes(raw)
    (spool / f"{seq:020}.data").write_bytes(index.with_suffix(".data").read_bytes())
    clean, _ = salvage(weir, spool, place, 1, f"{seq:020}.index: left out: its numbers")
    assert payloads_of(clean) == MESSAGES


def test_what_is_no_file(weir, spool, place):
    target = place.root / "target"
    target.write_text("mine")
    (spool / f"{900:020}.data").symlink_to(target)
    os.mkfifo(spool / f"{901:020}.index")
    clean, _ = salvage(weir, spool, place, 1, f"{900:020}.data: left out", f"{901:020}.index: left out")
    assert payloads_of(clean) == MESSAGES


def test_a_capture_goes_on_in_it(weir, serve, spool, place):
    clean, _ = salvage(weir, spool, place, 0)
    weir.captured(serve(sending(text("new"))).url, spool=clean)[0].expect(0)
    assert payloads_of(clean) == [*MESSAGES, b"new"]
    assert len({r.seq for r in records_of(clean)}) == len(records_of(clean))


def test_numbers_that_are_used_up_by_damage(weir, serve, spool, place):
    (spool / "lock").write_text(f"next {2 ** 64 - 1:020}\n")
    clean, _ = salvage(weir, spool, place, 0)
    weir.captured(serve(sending(text("new"))).url, spool=clean)[0].expect(0)
    assert payloads_of(clean) == [*MESSAGES, b"new"]


def test_a_directory_that_is_not_empty(weir, spool, place):
    other = place.directory("other")
    (other / "letter.txt").write_text("dear")
    weir.run("salvage", spool, other).expect(5, str(other), "not empty")
    assert contents(other) == {"letter.txt": b"dear"}
    weir.run("salvage", spool, spool).expect(5, "not empty")


def test_an_empty_directory_will_do(weir, spool, place):
    place.directory("clean")
    clean, _ = salvage(weir, spool, place, 0)
    assert payloads_of(clean) == MESSAGES


@pytest.mark.parametrize("kind", ["missing", "file", "other"])
def test_what_is_no_spool(weir, place, kind):
    path = place.root / kind
    if kind == "file":
        path.write_text("")
    if kind == "other":
        path.mkdir()
        (path / "letter.txt").write_text("dear")
    weir.run("salvage", path, place.root / "clean").expect(5, str(path))
    assert not (place.root / "clean").exists()


def test_usage(weir, spool):
    weir.run("salvage", spool).expect(2, "which spool")


def test_an_aside_whose_numbers_are_partly_there_is_told(weir, place):
    """It is no original of what is there, and cannot be saved under its numbers."""
    spool = write_spool(place.directory("spool"), [[Made(b"a")] * 10])
    other = write_segment(spool, 5, [Made(b"b")] * 10)
    for path in (other, other.with_suffix(".data")):
        path.rename(f"{path}.aside1")
    clean, _ = salvage(weir, spool, place, 1, "numbers are those of another segment", "0 records are lost, 1 file left out")
    assert payloads_of(clean) == [b"a"] * 10
