"""weir cat: which records are printed, and in which form."""

import base64
import json
import os
import struct
import time

import pytest

from spool_reader import (BINARY, CONNECTED, DISCONNECTED, DROPPED, FLAG_CUT, FLAG_SEQUENCE, GAP,
                          GAP_END, LOST, RECONNECTED, TEXT, VIOLATED)
from spool_writer import Made, write_spool

SECOND = 10 ** 9
BEGIN = 1_795_480_650 * SECOND  # 2026-11-24 00:37:30 UTC
ANY = 65535


def message(number, **more):
    return Made(payload=b"message %d" % number, kind=BINARY if number % 3 == 0 else TEXT,
                time_ns=BEGIN + number * 60 * SECOND, source=number % 2, connection=number % 4, **more)


MADE = [[message(n) for n in range(first, first + 10)] for first in range(0, 40, 10)]
ALL = [record for segment in MADE for record in segment]


@pytest.fixture
def spool(place):
    """40 messages in 4 segments, one each minute, of two sources."""
    return write_spool(place.directory("spool"), MADE)


def printed(weir, spool, *options, code=0, words=()):
    result = weir.run("cat", spool, *options).expect(code, *words)
    return result.out.splitlines()


def payloads(records):
    return [record.payload for record in records]


@pytest.mark.parametrize("options, wanted", [
    (["--from-seq", 7], ALL[7:]),
    (["--to-seq", 7], ALL[:8]),
    (["--from-seq", 9, "--to-seq", 30], ALL[9:31]),
    (["--from-seq", 10], ALL[10:]),
    (["--from-seq", 40], []),
    (["--from-seq", 2 ** 64 - 1], []),
    (["--from-seq", 5, "--to-seq", 4], []),
    (["--count", 13], ALL[:13]),
    (["--count", 0], []),
    (["--from-seq", 5, "--count", 10], ALL[5:15]),
    (["--source", 1], ALL[1::2]),
    (["--source", 2], []),
    (["--kind", "text"], [r for r in ALL if r.kind == TEXT]),
    (["--kind", "binary"], [r for r in ALL if r.kind == BINARY]),
    (["--kind", "message"], ALL),
    (["--kind", "event"], []),
    (["--kind", "text", "--source", 0, "--count", 3], [r for r in ALL if r.kind == TEXT and r.source == 0][:3]),
    (["--since", f"@{BEGIN // SECOND + 600}"], ALL[10:]),
    (["--since", f"@{BEGIN // SECOND + 601}"], ALL[11:]),
    (["--since", "2026-11-24T00:47:30Z"], ALL[10:]),
    (["--since", "2026-11-24T01:47:30+01:00"], ALL[10:]),
    (["--until", f"@{BEGIN // SECOND + 600}"], ALL[:10]),
    (["--until", f"@{BEGIN // SECOND + 600}.000000001"], ALL[:11]),
    (["--since", f"@{BEGIN // SECOND + 300}", "--until", f"@{BEGIN // SECOND + 1500}"], ALL[5:25]),
    (["--since", "@0"], ALL),
    (["--until", "@0"], []),
    (["--since", "2100-01-01Z"], []),
])
def test_what_is_wanted(weir, spool, options, wanted):
    assert printed(weir, spool, *options) == payloads(wanted)


@pytest.mark.parametrize("options, words", [
    (["--from-seq", "x"], ["--from-seq", "whole number"]),
    (["--from-seq", "-1"], ["--from-seq"]),
    (["--to-seq", "18446744073709551616"], ["too large"]),
    (["--source", "65536"], ["too large"]),
    (["--since", "yesterday"], ["--since", "10m"]),
    (["--since", "10"], ["--since"]),
    (["--until", "1969-12-31Z"], ["1970"]),
    (["--kind", "sound"], ["--kind", "event"]),
    (["--separator", "tab"], ["--separator", "json"]),
    (["--count", ""], ["--count"]),
])
def test_what_cannot_be_meant(weir, spool, options, words):
    assert printed(weir, spool, *options, code=2, words=words) == []


def test_ages(weir, place):
    now = time.time_ns()
    made = [Made(b"%d" % minutes, time_ns=now - minutes * 60 * SECOND) for minutes in (90, 61, 59, 5)]
    spool = write_spool(place.directory("spool"), [made])
    assert printed(weir, spool, "--since", "1h") == [b"59", b"5"]
    assert printed(weir, spool, "--until", "60m") == [b"90", b"61"]


def test_times_that_are_a_little_out_of_order(weir, place):
    """As those of several sources are."""
    times = [0, 3, 1, 2, 5, 4, 9, 7, 8]
    made = [Made(b"%d" % t, time_ns=BEGIN + t * SECOND) for t in times]
    spool = write_spool(place.directory("spool"), [made[:4], made[4:]])
    since, until = (f"@{BEGIN // SECOND + t}" for t in (2, 8))
    assert printed(weir, spool, "--since", since, "--until", until) == [b"3", b"2", b"5", b"4", b"7"]


def test_numbers_at_the_end(weir, place):
    """Sequence numbers near 2^64."""
    first = 2 ** 64 - 10
    spool = write_spool(place.directory("spool"), [MADE[0][:5], MADE[0][5:9]], first)
    assert printed(weir, spool) == payloads(MADE[0][:9])
    assert printed(weir, spool, "--from-seq", first + 6) == payloads(MADE[0][6:9])
    assert printed(weir, spool, "--to-seq", first + 5) == payloads(MADE[0][:6])


def test_selection_of_one_that_is_damaged(weir, spool):
    """Damage is told only where it is in the way."""
    data = spool / f"{10:020}.data"
    raw = bytearray(data.read_bytes())
    raw[3] ^= 1
    data.write_bytes(raw)
    assert printed(weir, spool, "--to-seq", 9) == payloads(ALL[:10])
    assert printed(weir, spool, "--from-seq", 11) == payloads(ALL[11:])
    assert printed(weir, spool, code=5, words=["record 10"]) == payloads(ALL[:10] + ALL[11:])


AWKWARD = [b"", b"\n", b"a\nb", b"\0", b"\"\\/\b\f\n\r\t\x01\x1f", "ü€😀".encode(), b"x" * 300_000, b"y" * 2_000_000]


@pytest.fixture
def awkward(place):
    made = [Made(p, kind=TEXT, time_ns=BEGIN) for p in AWKWARD]
    made += [Made(bytes(range(256)), kind=BINARY), Made(bytes(range(256)) * 8192, kind=BINARY)]
    return write_spool(place.directory("spool"), [made])


def awkward_payloads():
    return [*AWKWARD, bytes(range(256)), bytes(range(256)) * 8192]


def test_separated_by_newlines(weir, awkward):
    assert weir.cat(awkward).expect(0).out == b"".join(p + b"\n" for p in awkward_payloads())


def test_into_a_file_that_is_appended_to(weir, awkward, place):
    """Which sendfile(2) does not do."""
    path = place.root / "out"
    with open(path, "ab") as out:
        weir.cat(awkward, stdout=out).expect(0)
    assert path.read_bytes() == b"".join(p + b"\n" for p in awkward_payloads())


@pytest.mark.parametrize("form", ["newline", "json"])
def test_into_a_pipe_that_does_not_block(weir, awkward, form):
    """Somebody else may have made it so."""
    end, begin = os.pipe()
    os.set_blocking(begin, False)
    process = weir.start("cat", awkward, "--separator", form, stdout=begin)
    os.close(begin)
    with open(end, "rb") as pipe:
        time.sleep(0.05)
        out = pipe.read()
    process.wait().expect(0)
    if form == "newline":
        assert out == b"".join(p + b"\n" for p in awkward_payloads())
    else:
        assert len([json.loads(line) for line in out.splitlines()]) == len(awkward_payloads())


def test_separated_by_nuls(weir, awkward):
    out = weir.run("cat", awkward, "--separator", "nul").expect(0).out
    assert out == b"".join(p + b"\0" for p in awkward_payloads())


def test_lengths(weir, awkward):
    out = weir.run("cat", awkward, "--separator", "length").expect(0).out
    found = []
    while out:
        size = struct.unpack(">I", out[:4])[0]
        found.append(out[4:4 + size])
        out = out[4 + size:]
    assert found == awkward_payloads()


def objects(weir, spool, *options):
    out = weir.run("cat", spool, "--separator", "json", *options).expect(0).out
    return [json.loads(line) for line in out.splitlines()]


def test_json(weir, awkward):
    found = objects(weir, awkward)
    texts, binaries = found[:len(AWKWARD)], found[len(AWKWARD):]
    assert [o["payload"].encode() for o in texts] == AWKWARD
    assert [base64.b64decode(o["payload_base64"]) for o in binaries] == awkward_payloads()[len(AWKWARD):]
    assert [o["seq"] for o in found] == list(range(len(found)))
    assert found[0] == {"seq": 0, "time": "2026-11-24T00:37:30.000000000Z", "kind": "text", "source": 0,
                        "connection": 0, "payload": ""}
    assert found[-1]["kind"] == "binary"


def test_json_of_every_character_everywhere(weir, place):
    characters = [chr(code) for code in (*range(0x23), 0x5c, 0x7f, 0x80, 0xa2, 0xdc, 0x2028, 0x1f600)]
    payloads = ["x" * at + character + "y" * (17 - at) + character for character in characters for at in range(18)]
    spool = write_spool(place.directory("spool"), [[Made(p.encode()) for p in payloads]])
    assert [o["payload"] for o in objects(weir, spool)] == payloads


@pytest.mark.parametrize("size", [1, 3_000_000])
def test_json_of_a_text_that_is_none(weir, place, size):
    payload = b"x" * size + b"\xff"
    spool = write_spool(place.directory("spool"), [[Made(payload, kind=TEXT)]])
    assert base64.b64decode(objects(weir, spool)[0]["payload_base64"]) == payload


EVENTS = [
    (Made(kind=CONNECTED, source=1), {"kind": "connected", "source": 1}),
    (Made(kind=DISCONNECTED, value=1000), {"kind": "disconnected", "code": 1000, "reason": "closed",
                                           "cut": False, "cut_bytes": 0}),
    (Made(kind=DISCONNECTED, value=1006 | 77 << 16, flags=FLAG_CUT | VIOLATED << 4),
     {"code": 1006, "reason": "violated", "cut": True, "cut_bytes": 77}),
    (Made(kind=GAP, value=3, flags=FLAG_SEQUENCE), {"kind": "gap", "cause": "server", "missing": 3}),
    (Made(kind=GAP, value=0, flags=LOST << 4, source=ANY), {"cause": "lost", "missing": None, "source": None}),
    (Made(kind=GAP, value=3, flags=DROPPED << 4), {"kind": "gap", "cause": "dropped", "missing": 3}),
    (Made(kind=GAP_END, value=99), {"kind": "gap-end", "missing_bytes": 99}),
    (Made(kind=RECONNECTED, value=5 * SECOND), {"kind": "reconnected", "down_ns": 5 * SECOND}),
    (Made(kind=77, value=2 ** 64 - 1, flags=3), {"kind": "event", "event": 77, "flags": 3, "value": 2 ** 64 - 1}),
]


@pytest.fixture
def eventful(place):
    """A message behind each event."""
    made = [record for event, _ in EVENTS for record in (event, Made(b"message"))]
    return write_spool(place.directory("spool"), [made])


def test_events(weir, eventful):
    found = objects(weir, eventful, "--kind", "event")
    assert [o["seq"] for o in found] == list(range(0, 2 * len(EVENTS), 2))
    for (_, wanted), event in zip(EVENTS, found):
        assert {key: event[key] for key in wanted} == wanted
        assert "payload" not in event
        assert ("cause" in event) == (event["kind"] == "gap")


def test_events_between_messages(weir, eventful):
    lines = printed(weir, eventful, "--kind", "all")
    assert lines[1::2] == [b"message"] * len(EVENTS)
    assert [json.loads(line)["seq"] for line in lines[::2]] == list(range(0, 2 * len(EVENTS), 2))
    assert printed(weir, eventful) == [b"message"] * len(EVENTS)


def test_the_length_of_an_event(weir, eventful):
    out = weir.run("cat", eventful, "--kind", "event", "--separator", "length").expect(0).out
    for _ in EVENTS:
        size = struct.unpack(">I", out[:4])[0]
        json.loads(out[4:4 + size])
        out = out[4 + size:]
    assert out == b""


@pytest.mark.parametrize("follow", [[], ["--follow"]])
def test_an_open_segment_whose_header_is_damaged(weir, place, follow):
    """It is not one that was just begun."""
    spool = write_spool(place.directory("open"), MADE[:2], last_open=True)
    index = spool / f"{10:020}.index.open"
    raw = bytearray(index.read_bytes())
    raw[25] ^= 1
    index.write_bytes(raw)
    result = weir.run("cat", spool, *follow)
    assert result.out == b"".join(record.payload + b"\n" for record in MADE[0] + MADE[1])
    result.expect(5, index.name, "damaged")
    index.write_bytes(raw[:63])
    weir.run("cat", spool, *follow).expect(5, index.name, "damaged")
    (spool / f"{10:020}.data").write_bytes(b"")  # a header comes before data
    weir.run("cat", spool, *follow).expect(0)
