"""Writes a spool as docs/format.md says, with any records in it: the opposite of spool_reader."""

import struct
from dataclasses import dataclass

from crc32c import crc32c
from spool_reader import ENTRY, HEADER, MAGIC, TEXT, VERSION


@dataclass(frozen=True)
class Made:
    """A record that is to be written; a message has a payload, an event a value."""
    payload: bytes = b""
    kind: int = TEXT
    time_ns: int = 0
    source: int = 0
    connection: int = 0
    flags: int = 0
    value: int = 0

    @property
    def is_message(self):
        return self.kind < 16


def header(first_seq, created_ns=0, version=VERSION, records=0):
    raw = HEADER.pack(MAGIC, version, HEADER.size, ENTRY.size, 1, 0x0a, first_seq, created_ns, records, b"", 0)
    return raw[:60] + struct.pack("<I", crc32c(raw[:60]))


def entry(record, offset):
    length = len(record.payload) if record.is_message else record.value
    raw = ENTRY.pack(offset | record.source << 48, length, record.time_ns, record.kind, record.flags,
                     record.connection, 0)[:28]
    return raw + struct.pack("<I", crc32c(record.payload, raw))


def write_segment(spool, first_seq, records, sealed=True):
    """Returns the path of its index."""
    data, index = bytearray(), bytearray(header(first_seq))
    for record in records:
        index += entry(record, len(data))
        if record.is_message:
            data += record.payload + b"\n"
    path = spool / f"{first_seq:020}.index{'' if sealed else '.open'}"
    (spool / f"{first_seq:020}.data").write_bytes(data)
    whole = path.with_suffix(".new")
    whole.write_bytes(index)
    return whole.rename(path)


def write_spool(spool, segments, first_seq=0, last_open=False):
    """Segments that follow each other, each a list of records."""
    (spool / "lock").write_text(f"next {first_seq:020}\n")
    for number, records in enumerate(segments):
        sealed = not (last_open and number == len(segments) - 1)
        write_segment(spool, first_seq, records, sealed)
        first_seq += len(records)
    return spool
