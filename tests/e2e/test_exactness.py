"""Against servers that others wrote: what is captured is what was sent, in order."""

import hashlib
import random

import pytest

from servers.plan import Plan
from spool_reader import BINARY, DISCONNECTED, TEXT, events_of, records_of

KINDS = {"text": TEXT, "binary": BINARY}
SIZES = [0, 1, 125, 126, 127, 65535, 65536]
ALL_BYTES = bytes(range(256))
LETTERS = "aé漢😀\n\r\n\t\"\\\u0000\u2028\ufeff\U0010ffff"


def digest(messages):
    """One hash of all kinds and payloads, lengths included."""
    total = hashlib.sha256()
    for kind, payload in messages:
        total.update(b"%d %d " % (kind, len(payload)) + payload)
    return total.hexdigest()


def play(weir, honest_server, plan, *options):
    """Captures the plan; returns the server and the records."""
    server = honest_server(plan.close())
    result, spool = weir.captured(server.url, "--status", "json", *options)
    result.expect(0)
    records = records_of(spool)
    got = [(r.kind, r.payload) for r in records if r.is_message]
    sent = [(KINDS[kind], payload) for kind, payload in plan.sent]
    assert [len(p) for _, p in got] == [len(p) for _, p in sent]
    assert digest(got) == digest(sent)
    report = result.report
    assert (report["messages"], report["bytes"]) == (len(sent), sum(len(p) for _, p in sent))
    assert (report["end"], report["close_code"], report["cut_bytes"]) == ("closed", 1000, 0)
    server.wait_played()
    assert server.close_code == 1000, "the close frame was not answered with its code"
    return server, records


def test_every_length_form_as_text_and_binary(weir, honest_server):
    plan = Plan()
    for size in SIZES:
        plan.text("x" * size).binary(random.Random(size).randbytes(size))
    play(weir, honest_server, plan)


def test_nothing_at_all(weir, honest_server):
    play(weir, honest_server, Plan())


def test_only_empty_messages(weir, honest_server):
    plan = Plan()
    for _ in range(1000):
        plan.text("").binary(b"")
    play(weir, honest_server, plan)


def test_every_byte_value(weir, honest_server):
    plan = Plan().binary(ALL_BYTES * 300).binary(b"\n" * 7).binary(ALL_BYTES[::-1])
    play(weir, honest_server, plan)


def test_text_with_newlines_and_wide_characters(weir, honest_server):
    plan = Plan().text(LETTERS * 99).text("\n").text("\n\n").text(LETTERS)
    play(weir, honest_server, plan)


def test_characters_cut_across_frames(weir, honest_server):
    raw, plan = (LETTERS * 3).encode(), Plan()
    for at in range(1, len(raw)):
        plan.text(raw[:at], raw[at:])
    plan.text(*(raw[at:at + 1] for at in range(len(raw))))
    play(weir, honest_server, plan)


def test_thousands_of_tiny_frames(weir, honest_server):
    plan = Plan().text("before")
    plan.text(*(b"%d" % (n % 10) for n in range(5000)))
    plan.binary(*(ALL_BYTES[n % 256:n % 256 + n % 3] for n in range(5000)))
    play(weir, honest_server, plan.text("after"))


def test_empty_frames_in_a_message(weir, honest_server):
    plan = Plan().text(b"", b"a", b"", b"b", b"").binary(b"", b"").text(b"", b"c")
    play(weir, honest_server, plan)


def test_pings_between_frames_and_messages(weir, honest_server):
    plan = Plan().ping(b"first").text("one").ping_inside(*(b"piece %d, " % n for n in range(50)))
    plan.pong(b"nobody asked").ping(b"x" * 125).pong().text("two").ping(b"")
    server, _ = play(weir, honest_server, plan)
    assert server.pongs == plan.pings, "a pong does not have the payload of its ping"


def test_many_messages_of_many_sizes(weir, honest_server):
    rng, plan = random.Random(5), Plan()
    for number in range(4000):
        size = int(rng.paretovariate(0.9)) % 70000
        plan.text(f"{number} ".encode() + b"t" * size)
    play(weir, honest_server, plan, "--segment-size", "1MiB")


@pytest.mark.parametrize("kind", ["text", "binary"])
def test_64_mebibytes_in_one_message(weir, honest_server, kind):
    block = ("0123456789abcdé" * 4096).encode()
    payload = (block * (1 + (64 << 20) // len(block)))[:64 << 20]
    payload = payload[:-4] + b"end."
    plan = Plan().text("before").message(kind, payload).text("after")
    play(weir, honest_server, plan, "--segment-size", "1MiB")


def test_the_record_of_one_capture(weir, honest_server):
    _, records = play(weir, honest_server, Plan().text("one").text("two"))
    assert [r.seq for r in records] == list(range(4))
    assert [r.time_ns for r in records] == sorted(r.time_ns for r in records)
    assert {(r.source, r.connection) for r in records} == {(0, 0)}
    assert records[-1].kind == DISCONNECTED
    assert (records[-1].close_code, records[-1].cut) == (1000, False)


@pytest.mark.parametrize("code, exit_code", [(1001, 0), (1008, 4), (1011, 4), (4000, 4)])
def test_the_code_of_the_server_decides(weir, honest_server, code, exit_code):
    server = honest_server(Plan().text("kept").close(code))
    result, spool = weir.captured(server.url, "--status", "json")
    words = [str(code)] if exit_code else []
    assert result.expect(exit_code, *words).report["close_code"] == code
    assert [r.payload for r in records_of(spool) if r.is_message] == [b"kept"]
    assert events_of(spool)[-1].close_code == code
    server.wait_played()
    assert server.close_code == code
