"""Redundant sources: what several bring comes once. And the holes in a server's numbers."""

import json
import random
import threading

import pytest

from frames import TEXT, binary, fragments, text, texts
from harness import LIMIT, wait_until
from servers.hostile import sending, sending_and_waiting
from spool_reader import GAP, events_of, payloads_of, records_of


def numbered(numbers, size=0):
    return [json.dumps({"data": {"id": n}, "more": "x" * size}).encode() for n in numbers]


def together(streams):
    """Scripts that send only when weir is connected to all, as those of a feed that goes on."""
    barrier = threading.Barrier(len(streams), timeout=LIMIT)

    def script_of(stream):
        def script(connection):
            connection.upgrade()
            connection.next_of(TEXT)
            barrier.wait()
            connection.send(stream)
            connection.finish()
        return script

    return [script_of(stream) for stream in streams]


def capture(weir, serve, streams, *options):
    urls = [serve(script).url for script in together(streams)]
    spool = weir.place.root / "spool"
    result = weir.run("capture", *urls, "--keep", "--spool", spool, "--status", "json",
                      "--send", "here", *options)
    return result.expect(0).report, spool


def test_two_that_bring_the_same(weir, serve):
    messages = numbered(range(5000))
    report, spool = capture(weir, serve, [texts(messages)] * 2, "--unique")
    assert payloads_of(spool) == messages
    assert (report["messages"], report["duplicates"]) == (5000, 5000)


def test_without_the_option_both_count(weir, serve):
    messages = numbered(range(500))
    report, spool = capture(weir, serve, [texts(messages)] * 2)
    assert sorted(payloads_of(spool)) == sorted(messages * 2)
    assert report["duplicates"] == 0


def test_what_one_lacks_comes_by_another(weir, serve):
    random.seed(7)
    messages = numbered(range(3000))
    streams = [texts(m for m in messages if random.random() < 0.7) for _ in range(4)]
    wanted = {m for stream in streams for m in messages if text(m) in stream}
    report, spool = capture(weir, serve, streams, "--unique")
    got = payloads_of(spool)
    assert len(got) == len(set(got)) and set(got) == wanted
    assert report["messages"] == len(wanted) and report["duplicates"] > 2000


def test_repeats_of_one_are_no_duplicates(weir, serve):
    """A heartbeat, or two equal trades."""
    stream = texts([b"beat", b"trade", b"trade", b"beat"] * 50)
    report, spool = capture(weir, serve, [stream, stream], "--unique")
    assert sorted(payloads_of(spool)) == [b"beat"] * 100 + [b"trade"] * 100
    assert report["duplicates"] == 200


def test_kinds_differ(weir, serve):
    _, spool = capture(weir, serve, [text("same"), binary(b"same")], "--unique")
    assert payloads_of(spool) == [b"same"] * 2


def test_by_a_key(weir, serve):
    """The rest of the message may differ; what has no key is let through."""
    one, two = numbered(range(1000)), numbered(range(1000), size=5)
    report, spool = capture(weir, serve, [texts([*one, b"no JSON"]), texts([*two, b"no JSON"])],
                            "--unique-key", "/data/id")
    got = payloads_of(spool)
    assert sorted(json.loads(m)["data"]["id"] for m in got if m[:1] == b"{") == list(range(1000))
    assert got.count(b"no JSON") == 2
    assert report["duplicates"] == 1000


@pytest.mark.parametrize("size", [300_000, 3_000_000])
def test_large_messages(weir, serve, size):
    """In pieces, and larger than what is kept in memory."""
    random.seed(size)
    messages = [random.randbytes(size) for _ in range(6)]
    stream = b"".join(fragments(2, [m[:100], m[100:]]) for m in messages)
    report, spool = capture(weir, serve, [stream, stream], "--unique")
    assert payloads_of(spool) == messages
    assert report["duplicates"] == 6


def test_limits_count_what_is_let_through(weir, serve):
    messages = numbered(range(100))
    report, spool = capture(weir, serve, [texts(messages)] * 2, "--unique", "--messages", "40")
    assert len(payloads_of(spool)) == len(set(payloads_of(spool))) == 40
    assert report["messages"] == 40


def gaps_of(spool):
    """(number of the message behind it, how many are missing) of each gap event, in order."""
    records = records_of(spool)
    return [(json.loads(after.payload)["data"]["id"], record.value)
            for record, after in zip(records, records[1:]) if record.kind == GAP]


def test_holes_in_the_numbers(weir, serve):
    numbers = [5, 6, 7, 10, 11, 3, 4, 1000, 1000, 1001]
    report, spool = capture(weir, serve, [texts(numbered(numbers))], "--sequence", "/data/id")
    assert payloads_of(spool) == numbered(numbers)
    assert gaps_of(spool) == [(10, 2), (1000, 995)]
    assert all(event.flags == 4 for event in events_of(spool) if event.kind == GAP)
    assert (report["gaps"], report["missing"]) == (2, 997)


def test_holes_of_each_source(weir, serve):
    streams = [texts(numbered(range(100))), texts(numbered([7, 9, 10]))]
    report, spool = capture(weir, serve, streams, "--sequence", "/data/id")
    assert (report["gaps"], report["missing"]) == (1, 1)
    gap, = [record for record in records_of(spool) if record.kind == GAP]
    assert (gap.source, gap.value) == (1, 1)


def test_redundant_sources_fill_each_others_holes(weir, serve):
    """Each has every second message only."""
    even, odd = numbered(range(0, 2000, 2)), numbered(range(1, 2000, 2))
    report, spool = capture(weir, serve, [texts(even), texts(odd)], "--unique",
                            "--sequence", "/data/id")
    assert sorted(json.loads(m)["data"]["id"] for m in payloads_of(spool)) == list(range(2000))
    assert report["duplicates"] == 0


POINTERS = [("--unique-key", "keyless", "duplicates cannot"),
            ("--sequence", "numberless", "gaps cannot")]


@pytest.mark.parametrize("option, counter, meaning", POINTERS)
def test_a_pointer_to_nothing(weir, serve, option, counter, meaning):
    """It is counted, told, and summed up."""
    messages = [*numbered(range(5)), b"no JSON", b"x" * (2 << 20)]
    urls = [serve(sending(texts(messages))).url]
    result = weir.capture(*urls, option, "/dat/id", "--status", "json").expect(0)
    assert result.report[counter] == 7
    assert result.complaint.count(f"weir: {option} /dat/id: no ") == 1 and meaning in result.complaint
    result = weir.capture(*urls, option, "/dat/id").expect(0)
    assert f"at {option} in 7 of 7 messages" in result.err


@pytest.mark.parametrize("option, counter, meaning", POINTERS)
def test_a_pointer_that_leads_somewhere(weir, serve, option, counter, meaning):
    urls = [serve(sending(texts([b"welcome", *numbered(range(5))]))).url]
    result = weir.capture(*urls, option, "/data/id").expect(0)
    assert f"at {option} in 1 of 6 messages" in result.err and meaning not in result.err


@pytest.mark.parametrize("option, counter, meaning", POINTERS)
def test_a_pointer_to_nothing_is_told_while_it_runs(weir, serve, option, counter, meaning):
    server = serve(sending_and_waiting(texts(numbered(range(2000)))))
    process = weir.start_capture(server.url, option, "/dat", "--status", "json")
    wait_until(lambda: meaning in process.err_so_far(), "it is told")
    process.signal()
    result = process.wait().expect(0)
    assert result.report[counter] == 2000 and result.err.count(meaning) == 1


@pytest.mark.parametrize("options, word", [
    (["--unique-key", "data"], "--unique-key"),
    (["--unique-key", "/a~2"], "--unique-key"),
    (["--sequence", "id"], "--sequence"),
    (["--unique", "--unique-key", "/id"], "only one"),
])
def test_what_cannot_be_meant(weir, options, word):
    weir.capture("ws://127.0.0.1:9/", *options).expect(2, word)


def test_too_many_for_unique(weir):
    weir.run("capture", *["ws://127.0.0.1:9/"] * 5, "--unique").expect(2, "4 URLs")
