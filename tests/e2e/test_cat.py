"""weir cat: the messages of a spool, and the truth about a damaged one."""

import os

import pytest

from crc32c import crc32c
from damage import MESSAGES, flip, spool  # noqa: F401 (one is a fixture)
from frames import binary, text
from servers.hostile import sending
from spool_reader import ENTRY, HEADER, read_segment, read_spool
from spool_writer import header


def lines(messages):
    return b"".join(message + b"\n" for message in messages)


def indexes(spool):
    """Of the segments that hold messages."""
    return [path for path in sorted(spool.glob("*.index"))
            if any(r.is_message for r in read_segment(path).records)]


def test_everything_in_order(weir, spool):
    before = {path.name: path.read_bytes() for path in spool.iterdir()}
    result = weir.cat(spool).expect(0)
    assert result.out == lines(MESSAGES) and result.err == ""
    assert {path.name: path.read_bytes() for path in spool.iterdir()} == before


def test_all_kinds_of_payload(weir, serve):
    data = text("") + binary(bytes(range(256))) + text("a\nb") + binary(b"") + text("ü")
    result, spool = weir.captured(serve(sending(data)).url)
    result.expect(0)
    assert weir.cat(spool).expect(0).out == (b"\n" + bytes(range(256)) + b"\na\nb\n\n"
                                             + "ü\n".encode())


def test_a_large_message(weir, serve):
    payload = bytes(range(256)) * 40960
    result, spool = weir.captured(serve(sending(binary(payload))).url)
    result.expect(0)
    assert weir.cat(spool).expect(0).out == payload + b"\n"


def test_an_empty_spool(weir, serve):
    result, spool = weir.captured(serve(sending(b"")).url)
    result.expect(0)
    assert weir.cat(spool).expect(0).out == b""


def test_a_spool_that_has_just_begun(weir, place):
    """Killed between making the directory and making anything in it."""
    assert weir.cat(place.directory("spool")).expect(0).out == b""


def test_missing(weir, place):
    weir.cat(place.root / "missing").expect(5, str(place.root / "missing"))


def test_not_a_spool(weir, place):
    other = place.directory("other")
    (other / "letter.txt").write_text("dear")
    weir.cat(other).expect(5, str(other))
    assert [path.name for path in other.iterdir()] == ["letter.txt"], "nothing is made by looking"


def test_a_file_is_not_a_spool(weir, place):
    path = place.root / "file"
    path.write_text("dear")
    weir.cat(path).expect(5, str(path))


def damaged(weir, spool, count):
    """Checks that the first `count` messages are printed, and that the damage is told."""
    result = weir.cat(spool).expect(5, str(spool), "damaged")
    assert result.out.startswith(lines(MESSAGES[:count]))
    return result


def test_a_damaged_payload(weir, spool):
    index = indexes(spool)[1]
    data = index.with_suffix(".data")
    at = data.read_bytes().index(MESSAGES[15])
    flip(data, at)
    result = damaged(weir, spool, 15)
    assert data.read_bytes()[at:at + 10] not in result.out, "what is damaged is not printed"


@pytest.mark.parametrize("part", [0, 8, 16, 24, 25, 26, 28])
def test_a_damaged_entry(weir, spool, part):
    index = indexes(spool)[1]
    segment = read_segment(index)
    number = [r.payload for r in segment.records].index(MESSAGES[15])
    flip(index, HEADER.size + ENTRY.size * number + part)
    damaged(weir, spool, 15)


@pytest.mark.parametrize("at", [0, 8, 12, 16, 40, 60])
def test_a_damaged_header(weir, spool, at):
    """It is told, and the records are read without it."""
    index = indexes(spool)[1]
    flip(index, at)
    assert damaged(weir, spool, 0).out == lines(MESSAGES)
    index.write_bytes(bytes(index.stat().st_size))
    assert weir.cat(spool).expect(5, str(index), "not an index of weir").out == lines(MESSAGES[:10] + MESSAGES[20:])


@pytest.mark.parametrize("version", [1, 3])
def test_another_version(weir, spool, version):
    index = indexes(spool)[1]
    raw = bytearray(index.read_bytes())
    raw[8:10] = version.to_bytes(2, "little")
    raw[60:64] = crc32c(bytes(raw[:60])).to_bytes(4, "little")
    index.write_bytes(raw)
    result = weir.cat(spool).expect(5, str(index), "written by another version of weir")
    assert result.out == lines(MESSAGES[:10] + MESSAGES[20:])


@pytest.mark.parametrize("suffix", [".data", ".index"])
@pytest.mark.parametrize("what, words", [("link", "symbolic link"), ("fifo", "no regular file"),
                                         ("directory", "no regular file")])
def test_something_else_in_place_of_a_file(weir, spool, place, suffix, what, words):
    """It is not followed and not waited for, and the rest is printed."""
    path = indexes(spool)[1].with_suffix(suffix)
    whole = place.root / "elsewhere"
    path.rename(whole)
    {"link": lambda: path.symlink_to(whole), "fifo": lambda: os.mkfifo(path), "directory": path.mkdir}[what]()
    result = weir.cat(spool).expect(5, str(path.with_suffix(".index")), words)
    assert result.out == lines(MESSAGES[:10] + MESSAGES[20:])


def test_a_data_file_that_is_cut(weir, spool):
    index = indexes(spool)[1]
    data = index.with_suffix(".data")
    whole = data.read_bytes()
    data.write_bytes(whole[:whole.index(MESSAGES[15]) + 3])
    damaged(weir, spool, 15)


def test_many_that_are_damaged_take_one_line(weir, spool):
    index = indexes(spool)[1]
    numbers = [r.seq for r in read_segment(index).records if r.is_message]
    index.with_suffix(".data").write_bytes(b"")
    result = weir.cat(spool).expect(5, f"records {numbers[0]} to {numbers[-1]} cannot be read: it is damaged")
    assert result.out == lines(MESSAGES[:10] + MESSAGES[20:]) and len(result.err.splitlines()) == 1


def test_an_index_whose_data_is_gone(weir, spool):
    """That is how a segment looks whose deletion was interrupted: it had been acknowledged."""
    index = indexes(spool)[1]
    gone = [r.payload for r in read_segment(index).records if r.is_message]
    index.with_suffix(".data").unlink()
    assert weir.cat(spool).expect(0).out == lines([m for m in MESSAGES if m not in gone])


def test_a_sealed_index_that_is_cut(weir, spool):
    index = indexes(spool)[1]
    index.write_bytes(index.read_bytes()[:-5])
    damaged(weir, spool, 18)


def test_an_entry_that_points_outside(weir, spool):
    """With a checksum that is right: the numbers themselves must be checked."""
    index = indexes(spool)[1]
    raw = bytearray(index.read_bytes())
    at = len(raw) - ENTRY.size
    raw[at:at + 16] = (2 ** 64 - 8).to_bytes(8, "little") + (2 ** 63).to_bytes(8, "little")
    raw[at + 28:at + 32] = crc32c(bytes(raw[at:at + 28])).to_bytes(4, "little")
    index.write_bytes(raw)
    damaged(weir, spool, 18)


def as_after_a_crash(spool, cut=0):
    """Makes the last segment with messages an open one; the last `cut` bytes are gone."""
    for index in sorted(spool.glob("*.index")):
        if index > indexes(spool)[-1]:
            index.with_suffix(".data").unlink()
            index.unlink()
    index = indexes(spool)[-1]
    raw = header(int(index.name[:20])) + index.read_bytes()[HEADER.size:]
    index.with_suffix(".index.open").write_bytes(raw[:len(raw) - cut])
    index.unlink()
    return index.with_suffix(".index.open")


@pytest.mark.parametrize("cut", [0, 1, 31, 32, 100])
def test_the_torn_end_of_an_open_index_does_not_count(weir, spool, cut):
    index = as_after_a_crash(spool, cut)
    kept = [r for r in read_segment(index).records if r.is_message]
    last = MESSAGES.index(kept[-1].payload)
    assert weir.cat(spool).expect(0).out == lines(MESSAGES[:last + 1])


def test_data_beyond_the_index_does_not_count(weir, spool):
    index = as_after_a_crash(spool)
    with open(spool / (index.name.split(".")[0] + ".data"), "ab") as data:
        data.write(b"more that was never indexed")
    assert weir.cat(spool).expect(0).out == lines(MESSAGES)


def test_output_to_a_full_disk(weir, spool):
    with open("/dev/full", "wb") as full:
        result = weir.cat(spool, stdout=full)
    assert result.code in (1, 5) and result.complaint, result
