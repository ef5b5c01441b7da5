"""weir cat of a spool that a death, a loss of power or somebody else has damaged: never silent, and
whatever is whole is printed. test_cat.py has the damage of sealed segments."""

import fcntl
import os

import pytest

from damage import flip
from spool_reader import ENTRY, HEADER
from spool_writer import Made, header, write_segment, write_spool


def record(number):
    return Made(b"message %d" % number)


def lines(numbers):
    return b"".join(record(number).payload + b"\n" for number in numbers)


@pytest.fixture
def spool(place):
    """Two sealed segments of ten messages, and one that was open when its process died."""
    return write_spool(place.directory("spool"),
                       [[record(n) for n in range(first, first + 10)] for first in (0, 10, 20)], last_open=True)


def part(spool, first, suffix):
    return spool / f"{first:020}{suffix}"


def damage(spool, *numbers):
    """One byte of the payload of each."""
    for number in numbers:
        data = part(spool, number // 10 * 10, ".data")
        flip(data, data.read_bytes().index(record(number).payload))


def printed(result, *missing, numbers=range(30)):
    assert result.out == lines(n for n in numbers if n not in missing), result


@pytest.mark.parametrize("follow", [[], ["--follow"]])
@pytest.mark.parametrize("numbers, words", [
    ([20], "record 20"), ([24], "record 24"), ([24, 25, 27], "records 24 to 25"), ([29], "record 29"),
    (range(20, 30), "records 20 to 29"), (range(25, 30), "records 25 to 29"), ([3, 24], "record 3"),
])
def test_an_open_segment_is_read_on_behind_damage(weir, spool, numbers, words, follow):
    damage(spool, *numbers)
    result = weir.run("cat", spool, *follow).expect(5, f"{words} cannot be read: it is damaged")
    printed(result, *numbers)
    assert ".index.open" in result.err


def test_its_entries_too(weir, spool):
    flip(part(spool, 20, ".index.open"), HEADER.size + ENTRY.size * 4 + 3)
    printed(weir.cat(spool).expect(5, f"{20:020}.index.open: record 24"), 24)


def test_messages_that_a_loss_of_power_took(weir, spool):
    """The entries are there, and what they speak of is not."""
    data = part(spool, 20, ".data")
    os.truncate(data, data.read_bytes().index(b"message 26") + 4)
    printed(weir.cat(spool).expect(5, "records 26 to 29"), 26, 27, 28, 29)


def test_an_index_that_was_about_to_be_sealed_and_lost_its_end(weir, spool):
    index = part(spool, 20, ".index.open")
    raw = header(20, records=10) + index.read_bytes()[64:-64]
    index.write_bytes(raw)
    printed(weir.cat(spool).expect(5, f"{index.name}: records 28 to 29"), 28, 29)


@pytest.mark.parametrize("suffix, more", [(".data", b"x"), (".index", b"x" * 20), (".index", b"x" * 40)])
def test_what_stands_behind_the_end_is_no_record(weir, spool, suffix, more):
    """Its number would be that of the next segment's first one, which is whole."""
    with part(spool, 0, suffix).open("ab") as file:
        file.write(more)
    printed(weir.cat(spool).expect(5, f"{0:020}.index: its end cannot be read"))


@pytest.mark.parametrize("cut", [0, 1, 31])
def test_what_a_death_leaves_is_no_damage(weir, spool, cut):
    index = part(spool, 20, ".index.open")
    os.truncate(index, index.stat().st_size - cut)
    with part(spool, 20, ".data").open("ab") as data:
        data.write(b"never captured")
    part(spool, 30, ".data").write_bytes(b"")
    part(spool, 31, ".data").write_bytes(b"")
    part(spool, 31, ".index.open").write_bytes(header(31)[:40])
    part(spool, 32, ".index.open").write_bytes(header(32))
    part(spool, 33, ".data.cut").write_bytes(b"cut off")
    part(spool, 34, ".index").write_bytes(header(34) + bytes(32))  # half of an acknowledgement
    printed(weir.cat(spool).expect(0), *([29] if cut else []))


def test_somebody_who_writes_may_take_back_the_end(weir, spool):
    """When his disk is full; but not what stands before a record that is whole."""
    damage(spool, 28, 29)
    with open(spool / "lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        printed(weir.cat(spool).expect(0), 28, 29)
        damage(spool, 22)
        printed(weir.cat(spool).expect(5, "record 22"), 22, 28, 29)


@pytest.mark.parametrize("follow", [[], ["--follow"]])
@pytest.mark.parametrize("first", [0, 10, 20])
def test_data_without_an_index(weir, spool, first, follow):
    name = part(spool, first, ".index.open" if first == 20 else ".index")
    name.unlink()
    result = weir.run("cat", spool, *follow).expect(5, f"{first:020}.index", "it is missing")
    printed(result, *range(first, first + 10))


def test_an_open_index_without_data(weir, spool):
    part(spool, 20, ".data").unlink()
    printed(weir.cat(spool).expect(5, f"{20:020}.data", "it is missing"), *range(20, 30))


def test_an_index_that_ends_in_its_header(weir, spool):
    os.truncate(part(spool, 20, ".index.open"), 40)
    printed(weir.cat(spool).expect(5, f"{20:020}.index.open", "damaged"), *range(20, 30))


def test_a_segment_that_was_being_written_anew(weir, spool):
    """A start died between two renames."""
    part(spool, 10, ".index").rename(part(spool, 10, ".index.new"))
    part(spool, 10, ".data").rename(part(spool, 10, ".data.new"))
    printed(weir.cat(spool).expect(5, f"{10:020}.index.new", "written anew"), *range(10, 20))
    part(spool, 10, ".data.new").rename(part(spool, 10, ".data"))
    printed(weir.cat(spool).expect(5, f"{10:020}.index.new", "written anew"), *range(10, 20))


def test_numbers_that_overlap(weir, spool):
    write_segment(spool, 15, [Made(b"foreign") for n in range(9)])
    result = weir.cat(spool).expect(5, f"{15:020}.index", "numbers")
    printed(result)


def test_an_index_that_says_too_much(weir, spool):
    """Its damaged end has the numbers of the next segment, which are whole."""
    with part(spool, 0, ".index").open("ab") as index:
        index.write(bytes(7 * ENTRY.size))
    printed(weir.cat(spool).expect(5, f"{0:020}.index"))
