"""Reads a spool, written from nothing but docs/format.md.

It shares no code with weir, so that it proves two things at once: that weir writes what the
document says, and that the document is enough to write a reader from.
"""

import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from crc32c import crc32c

MAGIC = b"\x89WEIR\r\n\x1a"
VERSION = 2
HEADER = struct.Struct("<8sHHHBBQQQ20sI")
ENTRY = struct.Struct("<QQQBBHI")
TEXT, BINARY, CONNECTED, DISCONNECTED, GAP, RECONNECTED, GAP_END = 1, 2, 16, 17, 18, 19, 20
FLAG_CUT, FLAG_KERNEL_TIME, FLAG_SEQUENCE = 1, 2, 4
BITS_LOSS = 0x70
BITS_CAUSE = 0x30
SERVER, DROPPED, DAMAGED, LOST = range(4)  # why messages are missing
CLOSED, ENDED, BROKEN, VIOLATED, SILENT, IDLE, UNANSWERED, OPENING = range(8)
FLAGS = {TEXT: FLAG_KERNEL_TIME, BINARY: FLAG_KERNEL_TIME, CONNECTED: 0,
         DISCONNECTED: FLAG_CUT | BITS_LOSS,
         GAP: FLAG_SEQUENCE | BITS_CAUSE, RECONNECTED: 0, GAP_END: 0}


class Damage(Exception):
    """What stands in the spool is not what the format says."""


@dataclass(frozen=True)
class Record:
    seq: int
    kind: int
    flags: int
    source: int
    connection: int
    time_ns: int
    payload: bytes  # of a message
    value: int  # of an event

    @property
    def is_message(self):
        return self.kind in (TEXT, BINARY)

    @property
    def kernel_time(self):
        return bool(self.flags & FLAG_KERNEL_TIME)

    @property
    def close_code(self):
        return self.value & 0xFFFF

    @property
    def loss(self):
        """How a connection ended: CLOSED and so on."""
        return self.flags >> 4

    @property
    def cause(self):
        """Why messages are missing: SERVER and so on."""
        return self.flags >> 4

    @property
    def cut(self):
        return bool(self.flags & FLAG_CUT)

    @property
    def cut_bytes(self):
        return self.value >> 16


@dataclass(frozen=True)
class Segment:
    first_seq: int
    created_ns: int
    sealed: bool
    records: list


def _check_header(raw, path):
    if len(raw) < HEADER.size:
        raise Damage(f"{path}: the header is cut short")
    (magic, version, header_size, entry_size, separator_length, separator, first_seq, created,
     count, zeros, checksum) = HEADER.unpack(raw[:HEADER.size])
    if magic != MAGIC:
        raise Damage(f"{path}: not an index")
    if checksum != crc32c(raw[:60]):
        raise Damage(f"{path}: the checksum of the header is wrong")
    if (version, header_size, entry_size) != (VERSION, 64, 32):
        raise Damage(f"{path}: version {version} or its sizes are unknown")
    if (separator_length, separator) != (1, 0x0A) or any(zeros):
        raise Damage(f"{path}: unknown separator, or reserved bytes that are not zero")
    return first_seq, created, count


def _read_entry(raw, data, seq, path):
    if len(raw) < ENTRY.size:
        raise Damage(f"{path}: record {seq} is torn")
    where, length, time_ns, kind, flags, connection, checksum = ENTRY.unpack(raw)
    offset, source = where % 2**48, where >> 48
    if kind not in FLAGS or flags & ~FLAGS[kind]:
        raise Damage(f"{path}: record {seq} is of unknown kind {kind} or has unknown flags {flags}")
    payload, value = b"", length
    if kind in (TEXT, BINARY):
        payload, value = data[offset:offset + length], 0
        if len(payload) != length or data[offset + length:offset + length + 1] != b"\n":
            raise Damage(f"{path}: the payload of record {seq} is not all there")
    if checksum != crc32c(payload, raw[:28]):
        raise Damage(f"{path}: the checksum of record {seq} is wrong")
    return Record(seq, kind, flags, source, connection, time_ns, payload, value)


def read_packed(path):
    """A compressed segment: its index and its data, as if they were two files."""
    raw = path.read_bytes()
    count, descriptor, magic = struct.unpack("<IBI", raw[-9:])
    table = len(raw) - 9 - 8 * count
    if magic != 0x8F92EAB1 or descriptor or struct.unpack("<II", raw[table - 8:table]) != (
            0x184D2A5E, 8 * count + 9):
        raise Damage(f"{path}: no seek table at the end")
    frames = list(struct.iter_unpack("<II", raw[table:-9]))
    at = sum(size for size, _ in frames[:-1])
    magic, size = struct.unpack("<II", raw[at:at + 8])
    if magic != 0x184D2A57 or frames[-1] != (size + 8, 0) or at + 8 + size != table - 8:
        raise Damage(f"{path}: no index before the seek table")
    data = subprocess.run(["zstd", "-qdc", path], check=True, capture_output=True).stdout
    if len(data) != sum(plain for _, plain in frames):
        raise Damage(f"{path}: the data is not as long as the seek table says")
    return raw[at + 8:table - 8], data


def data_of(index):
    return index.with_name(index.name.split(".")[0] + ".data")


def read_segment(index):
    """One segment, given the path of its index, or of the compressed file that holds it. An open index
    ends at its first bad entry."""
    index = Path(index)
    sealed = index.suffix != ".open"
    if index.suffix == ".zst":
        raw, payloads = read_packed(index)
    else:
        raw, payloads = index.read_bytes(), data_of(index).read_bytes()
    first_seq, created, count = _check_header(raw, index)
    if index.name.split(".")[0] != f"{first_seq:020}":
        raise Damage(f"{index}: the header says that the first record is {first_seq}")
    records = []
    for at in range(HEADER.size, len(raw), ENTRY.size):
        try:
            records.append(_read_entry(raw[at:at + ENTRY.size], payloads,
                                       first_seq + len(records), index))
        except Damage:
            if sealed:
                raise
            break
    if sealed and count not in (0, len(records)):
        raise Damage(f"{index}: {len(records)} records of {count} are there")
    return Segment(first_seq, created, sealed, records)


def segment_paths(directory):
    """What read_segment() wants of each segment, in order."""
    directory, found = Path(directory), {}
    for pattern in ("*.index.open", "*.index", "*.data.zst"):  # one becomes the next meanwhile
        found.update((path.name[:20], path) for path in directory.glob(pattern))
    for path in sorted(found.values()):
        if path.suffix != ".zst" and not data_of(path).exists():
            if data_of(path).with_suffix(".data.zst").exists():
                raise FileNotFoundError(path)
            continue  # acknowledged: its deletion was interrupted between the two files
        if path.suffix == ".open" and path.stat().st_size < HEADER.size:
            continue  # just begun
        yield path


def read_spool(directory):
    """All segments in order; checks that no record number is used twice and none goes back. Of one
    that is in use, files may have other names by the time that they are opened."""
    for _ in range(20):
        try:
            return _read_spool(directory)
        except FileNotFoundError:
            pass
    return _read_spool(directory)


def _read_spool(directory):
    segments = []
    for path in segment_paths(directory):
        segment = read_segment(path)
        if segments and segment.first_seq < end_of(segments[-1]):
            raise Damage(f"{path}: its numbers overlap with those of the segment before")
        segments.append(segment)
    return segments


def end_of(segment):
    return segment.first_seq + len(segment.records)


def records_of(directory):
    return [record for segment in read_spool(directory) for record in segment.records]


def messages_of(directory):
    """(kind, payload) of every message, in order."""
    return [(r.kind, r.payload) for r in records_of(directory) if r.is_message]


def payloads_of(directory):
    return [r.payload for r in records_of(directory) if r.is_message]


def events_of(directory):
    return [r for r in records_of(directory) if not r.is_message]
