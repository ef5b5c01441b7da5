"""When a segment ends, and when a capture ends by itself."""

import pytest

import frames
from frames import text, texts
from harness import LIMIT, Hurried, at_some_pace, ms, wait_until
from servers.hostile import sending, sending_and_waiting
from spool_reader import payloads_of, read_spool, records_of
from turns import forgiving

MESSAGES = [b"%03d " % n + b"x" * 96 for n in range(200)]


def segments_of(spool):
    """The payloads of each segment that holds messages."""
    split = [[r.payload for r in s.records if r.is_message] for s in read_spool(spool)]
    return [payloads for payloads in split if payloads]


def capture(weir, serve, *options, messages=MESSAGES):
    server = serve(sending(texts(messages)))
    result, spool = weir.captured(server.url, *options)
    result.expect(0)
    assert payloads_of(spool) == messages
    assert all(segment.sealed for segment in read_spool(spool))
    return segments_of(spool)


@pytest.mark.parametrize("count", [1, 7, 200, 1000])
def test_full_by_messages(weir, serve, count):
    sizes = [len(s) for s in capture(weir, serve, "--segment-messages", count)]
    assert sizes[:-1] == [count] * ((len(MESSAGES) - 1) // count)


def test_full_by_size(weir, serve):
    segments = capture(weir, serve, "--segment-size", "1000")
    for segment in segments[:-1]:
        size = sum(len(payload) + 1 for payload in segment)
        assert 1000 - 101 <= size <= 1000 + 101
    assert 18 <= len(segments) <= 23


def test_a_message_larger_than_a_segment_stays_whole(weir, serve):
    messages = [b"a", b"b" * 5000, b"c", b"d" * 5000, b"e"]
    capture(weir, serve, "--segment-size", "1000", messages=messages)


def test_full_by_size_with_one_byte(weir, serve):
    assert all(len(s) == 1 for s in capture(weir, serve, "--segment-size", "1"))


def test_full_by_age(weir, serve, collector):
    """The second message is only sent when the first was handed on: its age must do that."""
    def script(connection):
        connection.upgrade(more=text("one"))
        wait_until(lambda: collector.payloads() == [b"one"], "the first segment is handed on")
        connection.send(text("two"))
        wait_until(lambda: collector.payloads() == [b"one", b"two"], "so is the second")
        connection.finish()

    server = serve(script)
    weir.capture(server.url, "--segment-age", "50ms", "--", *collector.by_path).expect(0)
    assert collector.payloads() == [b"one", b"two"]
    server.join()


def test_no_age(weir, serve):
    assert len(capture(weir, serve, "--segment-age", "0")) == 1


def test_age_does_not_cut_a_message(weir, serve):
    half = b"x" * 50000

    def script(connection):
        connection.upgrade(more=text(half * 2)[:len(half)])
        connection.socket.settimeout(0.15)  # three times the age, with nothing to wait for
        try:
            connection.receive(1)
        except TimeoutError:
            connection.socket.settimeout(LIMIT)
        connection.send(text(half * 2)[len(half):])
        connection.finish()

    server = serve(script)
    result, spool = weir.captured(server.url, "--segment-age", "50ms")
    result.expect(0)
    assert payloads_of(spool) == [half * 2]


@pytest.mark.parametrize("count", [1, 2, 57, 200])
def test_limit_of_messages_is_exact(weir, serve, count):
    server = serve(sending_and_waiting(texts(MESSAGES)))
    result, spool = weir.captured(server.url, "--messages", count, "--status", "json")
    report = result.expect(0).report
    assert payloads_of(spool) == MESSAGES[:count]
    assert (report["messages"], report["end"]) == (count, "limit")
    assert frames.close_code(server.connection.close_payload) == 1000


@pytest.mark.parametrize("size, count", [(1, 1), (100, 1), (101, 2), (1000, 10), ("1k", 11),
                                         ("1kB", 10), (19901, 200)])
def test_limit_of_bytes_ends_with_the_message_that_reaches_it(weir, serve, size, count):
    server = serve(sending_and_waiting(texts(MESSAGES)))
    result, spool = weir.captured(server.url, "--bytes", size, "--status", "json")
    assert result.expect(0).report["end"] == "limit"
    assert payloads_of(spool) == MESSAGES[:count]
    server.join()


def test_what_comes_behind_a_limit_is_not_missed(weir, serve):
    """The message after the last that was wanted has begun; nothing of it is on record."""
    data = texts(MESSAGES[:2]) + frames.frame(frames.TEXT, b"half", fin=False)
    server = serve(sending_and_waiting(data))
    result, spool = weir.captured(server.url, "--messages", "2", "--status", "json")
    report = result.expect(0).report
    assert (report["messages"], report["end"], report["cut_bytes"]) == (2, "limit", 0)
    assert not records_of(spool)[-1].cut


def test_limit_does_not_count_empty_messages_as_bytes(weir, serve):
    messages = [b"", b"", b"a", b"", b"b", b"c"]
    server = serve(sending_and_waiting(texts(messages)))
    result, spool = weir.captured(server.url, "--bytes", "2")
    result.expect(0)
    assert payloads_of(spool) == messages[:5]


def test_limit_of_time(weir, serve):
    def script(connection):
        connection.upgrade(more=texts(MESSAGES))
        connection.wait_taken()
        connection.answer_close()

    def attempt(pace):
        server = serve(forgiving(script, AssertionError))
        result, spool = weir.captured(server.url, "--duration", ms(pace), "--status", "json",
                                      spool=weir.place.root / f"{pace}")
        report = result.expect(0).report
        assert report["end"] == "limit"
        assert pace <= report["duration_ns"] / 10**9 <= result.seconds < pace + 10
        server.join()
        if not server.connections or not server.connections[0].taken:
            raise Hurried("not all had come")
        assert payloads_of(spool) == MESSAGES
        assert frames.close_code(server.connection.close_payload) == 1000

    at_some_pace(attempt)


def test_limit_of_time_while_data_pours_in(weir, serve):
    poured = []

    def script(connection):
        connection.upgrade()
        connection.send(data)
        poured.append(True)
        connection.send_until_heard(data)
        connection.answer_close()

    def attempt(pace):
        weir.capture(serve(forgiving(script)).url, "--duration", ms(pace), "--segment-size", "1MiB",
                     "--", "true").expect(0)
        if not poured:
            raise Hurried("nothing had come")

    data = texts([b"x" * 1000] * 1000)
    at_some_pace(attempt)


def test_limits_together_with_a_command(weir, serve, collector):
    server = serve(sending_and_waiting(texts(MESSAGES)))
    weir.capture(server.url, "--messages", "50", "--segment-messages", "20", "--",
                 *collector.by_path).expect(0)
    assert collector.payloads() == MESSAGES[:50]
