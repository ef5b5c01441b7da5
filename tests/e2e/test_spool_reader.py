"""The reader that the other tests trust, against bytes that are made here."""

import pytest

from crc32c import LONG, _advance, crc32c
from spool_reader import (BINARY, DISCONNECTED, ENTRY, FLAG_KERNEL_TIME, HEADER,
                          MAGIC, TEXT, VERSION, Damage, read_spool, records_of)


def make_header(first_seq, version=VERSION):
    raw = HEADER.pack(MAGIC, version, 64, 32, 1, 10, first_seq, 1_700_000_000, 0, bytes(20), 0)
    return raw[:60] + crc32c(raw[:60]).to_bytes(4, "little")


def make_entry(offset, length, kind, payload=b"", flags=0, source=0):
    raw = ENTRY.pack(source << 48 | offset, length, 1_700_000_001, kind, flags, 3, 0)[:28]
    return raw + crc32c(payload, raw).to_bytes(4, "little")


@pytest.fixture
def spool(tmp_path):
    name = tmp_path / f"{7:020}"
    name.with_suffix(".data").write_bytes(b"one\n\n")
    name.with_suffix(".index").write_bytes(
        make_header(7) + make_entry(0, 3, TEXT, b"one") + make_entry(4, 0, BINARY, flags=FLAG_KERNEL_TIME,
                                                                  source=65535)
        + make_entry(0, 12 << 16 | 1006, DISCONNECTED, flags=1))
    return tmp_path


def flip(path, at):
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


@pytest.mark.parametrize("data, expected", [
    (b"", 0), (b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43)])
def test_checksum_of_known_data(data, expected):
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [LONG, LONG + 1, LONG * 3 + 77])
def test_checksum_of_long_data_agrees_with_the_plain_way(size):
    data = bytes(i * i % 251 for i in range(size))
    assert crc32c(b"ab", data) == _advance(_advance(0xFFFFFFFF, b"ab"), data) ^ 0xFFFFFFFF


def test_records_are_read(spool):
    first, second, event = records_of(spool)
    assert (first.seq, first.kind, first.payload) == (7, TEXT, b"one")
    assert (second.seq, second.kind, second.payload) == (8, BINARY, b"")
    assert (first.source, second.source, second.connection) == (0, 65535, 3)
    assert (first.kernel_time, second.kernel_time) == (False, True)
    assert (event.seq, event.close_code, event.cut, event.cut_bytes) == (9, 1006, True, 12)


@pytest.mark.parametrize("version", [0, 1, 3])
def test_another_version_is_refused(spool, version):
    index = next(spool.glob("*.index"))
    index.write_bytes(make_header(7, version) + index.read_bytes()[64:])
    with pytest.raises(Damage):
        read_spool(spool)


@pytest.mark.parametrize("at", [0, 17, 61, 64, 96 + 20, 128 + 24, 128 + 31])
def test_a_changed_byte_of_the_index_is_damage(spool, at):
    flip(next(spool.glob("*.index")), at)
    with pytest.raises(Damage):
        read_spool(spool)


def test_a_changed_byte_of_a_payload_is_damage(spool):
    flip(next(spool.glob("*.data")), 1)
    with pytest.raises(Damage):
        read_spool(spool)


def test_an_open_index_ends_at_its_first_torn_entry(spool):
    index = next(spool.glob("*.index"))
    raw = index.read_bytes()
    index.unlink()
    index.with_suffix(".index.open").write_bytes(raw[:-5])
    assert [r.seq for r in records_of(spool)] == [7, 8]
