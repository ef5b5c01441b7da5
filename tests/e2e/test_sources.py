"""Several sources in one capture: side by side, each message whole and with its source."""

import random
import threading
import time

import pytest

import frames
from frames import BINARY, CONTINUATION, PING, TEXT, frame, text, texts
from harness import LIMIT, SANITIZED, disk_held, free_port, wait_until
from servers.hostile import flooding, sending, sending_and_waiting
from spool_reader import payloads_of, records_of
from test_disk_cap import Watch
from turns import AT_ONCE, announced, answering, confirm, forgiving, giving, in_turn, story

MEBIBYTE = 1 << 20


def pouring(data):
    """A script that sends these to a client that may go away, connected or not, when it has enough."""
    return forgiving(sending_and_waiting(data))


def captured(weir, servers, *options):
    return weir.captured(servers[0].url, *[server.url for server in servers[1:]], *options)


def by_source(spool):
    found = {}
    for record in records_of(spool):
        if record.is_message:
            found.setdefault(record.source, []).append(record.payload)
    return found


def test_messages_know_their_source(weir, serve):
    sent = {source: [b"%d %d" % (source, n) for n in range(500)] for source in range(3)}
    servers = [serve(sending(texts(sent[source]))) for source in range(3)]
    result, spool = captured(weir, servers)
    result.expect(0)
    assert by_source(spool) == sent
    for source, connection in {(r.source, r.connection) for r in records_of(spool)}:
        assert source == connection, "they are counted in the run, one for each source"
    for source in range(3):
        assert [word for s, _, word in story(spool) if s == source] == [
            "connected", "disconnected 1000"]


def test_the_same_url_twice(weir, serve):
    server = serve(sending(texts([b"a", b"b"])))
    result, spool = captured(weir, [server, server])
    result.expect(0)
    assert by_source(spool) == {0: [b"a", b"b"], 1: [b"a", b"b"]} and len(server.connections) == 2


def test_a_hundred_sources(weir, serve):
    servers = [serve(sending(texts([b"%d %d" % (source, n) for n in range(50)])))
               for source in range(100)]
    result, spool = captured(weir, servers, "--status", "json")
    result.expect(0)
    assert by_source(spool) == {source: [b"%d %d" % (source, n) for n in range(50)]
                                for source in range(100)}
    if not SANITIZED:
        assert result.report["peak_rss_bytes"] < 64 * MEBIBYTE


# One of them is in trouble

def test_one_that_ends_does_not_stop_the_others(weir, serve):
    ended = threading.Event()

    def first(connection):
        connection.upgrade(more=text("a"))
        connection.finish()
        connection.wait_end()
        ended.set()

    def second(connection):
        connection.upgrade()
        assert ended.wait(LIMIT)
        confirm(connection, text("b"))
        connection.finish()

    result, spool = captured(weir, [serve(first), serve(second)])
    result.expect(0)
    assert by_source(spool) == {0: [b"a"], 1: [b"b"]}


TROUBLES = {
    "404": (answering("404 Not Found"), 3, "404 Not Found"),
    "hang-up": (lambda connection: None, 3, "hung up"),
    "FIN": (lambda connection: connection.upgrade(), 4, "without a Close"),
    "violation": (lambda connection: (connection.upgrade(more=b"\xff\xff"),
                                      connection.wait_end()), 4, "broke the WebSocket protocol"),
    "1008": (lambda connection: (connection.upgrade(), connection.finish(1008)), 4, "with code 1008"),
}


@pytest.mark.parametrize("name", TROUBLES)
def test_one_in_trouble(weir, serve, name):
    """It is told at once, and again by the exit code; the other one is captured to its end."""
    script, code, word = TROUBLES[name]

    def healthy(connection):
        connection.upgrade(more=text("a"))
        wait_until(lambda: process and word in process.err_so_far(), "the trouble is told")
        confirm(connection, text("b"))
        connection.finish()

    process = None
    troubled, server = serve(script), serve(healthy)
    spool = weir.place.root / "spool"
    process = weir.start_capture(server.url, troubled.url, "--keep", "--spool", spool)
    result = process.wait().expect(code, word, troubled.url)
    assert by_source(spool) == {0: [b"a", b"b"]}
    assert result.complaint.count(word) == 1, f"it is told more than once\n{result}"


def test_all_in_trouble(weir, serve):
    """Each is told."""
    servers = [serve(answering("404 Not Found")), serve(answering("401 Unauthorized"))]
    result, _ = captured(weir, servers)
    result.expect(3, "404", "401", servers[0].url, servers[1].url)
    assert len(result.complaint.splitlines()) == 2


def test_one_that_nobody_listens_for(weir, serve):
    server = serve(giving("a"))
    process = weir.start_capture(server.url, f"ws://127.0.0.1:{free_port()}/")
    wait_until(lambda: b"a\n" in process.out_so_far() and "nobody answers" in process.err_so_far(),
               "a message and a complaint")
    process.signal()
    process.wait().expect(3, "nobody answers")


def test_what_one_brought_is_summed_up(weir, serve, place):
    """Also where the exit code is that of another one, which nobody listens for."""
    server = serve(sending(texts([b"x"] * 7)))
    spool = place.root / "spool"
    result = weir.run("capture", server.url, f"ws://127.0.0.1:{free_port()}/", "--keep", "--spool", spool).expect(3)
    assert "captured   7 messages" in result.err and str(spool) in result.err


def test_one_that_comes_back(weir, serve):
    back = threading.Event()

    def lost(connection):
        connection.upgrade()
        confirm(connection, text("a"))

    def returned(connection):
        connection.upgrade(more=text("b"))
        back.set()
        connection.answer_close()

    def healthy(connection):
        connection.upgrade()
        assert back.wait(LIMIT)
        confirm(connection, text("c"))
        connection.answer_close()

    servers = [serve(healthy), serve(in_turn(lost, returned))]
    result, spool = captured(weir, servers, *AT_ONCE, "--messages", "3", "--status", "json")
    result.expect(0)
    assert by_source(spool) == {0: [b"c"], 1: [b"a", b"b"]}
    words = [(source, word) for source, _, word in story(spool)]
    assert words.count((1, "reconnected")) == 1 and (0, "reconnected") not in words
    assert len(announced(result)) == 1 and servers[1].url in announced(result)[0]


# Messages side by side

def test_one_that_stops_in_mid_message_blocks_nobody(weir, serve):
    begun = threading.Event()

    def stuck(connection):
        connection.upgrade()
        confirm(connection, frame(TEXT, b"x" * 1000, fin=False))
        begun.set()
        connection.answer_close()

    def healthy(connection):
        connection.upgrade()
        assert begun.wait(LIMIT)
        for n in range(100):
            connection.send(text("%d" % n))
        connection.answer_close()

    result, spool = captured(weir, [serve(stuck), serve(healthy)], "--messages", "100",
                             "--segment-messages", "10")
    result.expect(0)
    assert by_source(spool) == {1: [b"%d" % n for n in range(100)]}


class Dribble:
    """Messages of up to some megabytes, in frames and packets of any size."""

    def __init__(self, number, most):
        self.dice = random.Random(number)
        self.sent = []
        for n in range(6):
            size = int(2 * (most / 2) ** self.dice.random())
            self.sent.append(b"%d %d " % (number, n) + self.dice.randbytes(size))
        self.sent.insert(3, b"")

    def _frames(self, payload):
        cuts = sorted(self.dice.randrange(len(payload) + 1) for _ in range(self.dice.randrange(4)))
        pieces = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)])]
        last = len(pieces) - 1
        for n, piece in enumerate(pieces):
            if self.dice.randrange(2):
                yield frame(PING, b"between")
            yield frame(CONTINUATION if n else BINARY, piece, fin=n == last)

    def script(self, connection):
        connection.upgrade()
        stream = b"".join(part for payload in self.sent for part in self._frames(payload))
        at = 0
        while at < len(stream):
            size = int((len(stream) / 10) ** self.dice.random()) + 1
            connection.send(stream[at:at + size])
            at += size
            if self.dice.randrange(4) == 0:
                time.sleep(0.001)
        connection.finish()


def test_large_messages_side_by_side(weir, serve):
    sources = [Dribble(number, 4 * MEBIBYTE) for number in range(6)]
    result, spool = captured(weir, [serve(source.script) for source in sources], "--status",
                             "json", "--segment-size", "1MiB")
    result.expect(0)
    assert by_source(spool) == {n: source.sent for n, source in enumerate(sources)}
    if not SANITIZED:
        assert result.report["peak_rss_bytes"] < 32 * MEBIBYTE


def test_a_message_that_is_torn_off_leaves_nothing(weir, serve):
    """Neither in the spool nor beside it; and the next one on that source is whole."""
    def torn(connection):
        connection.upgrade()
        confirm(connection, frame(BINARY, b"x" * (2 * MEBIBYTE), fin=False))

    servers = [serve(in_turn(torn, torn, giving("whole"))), serve(giving("a"))]
    result, spool = captured(weir, servers, *AT_ONCE, "--messages", "2", "--status", "json")
    result.expect(0)
    assert sorted(payloads_of(spool)) == [b"a", b"whole"]
    assert result.report["cut_bytes"] == 4 * MEBIBYTE
    assert disk_held(spool)[0] < 100_000


# Limits

@pytest.mark.parametrize("most", [1, 7, 64, 65, 1000])
def test_a_limit_of_messages(weir, serve, most):
    servers = [serve(pouring(texts([b"%d" % n for n in range(1000)])))
               for _ in range(3)]
    result, spool = captured(weir, servers, "--messages", most)
    result.expect(0)
    assert len(payloads_of(spool)) == most
    for payloads in by_source(spool).values():
        assert payloads == [b"%d" % n for n in range(len(payloads))]


def test_a_limit_of_bytes(weir, serve):
    servers = [serve(pouring(texts([b"x" * 100] * 100))) for _ in range(2)]
    result, spool = captured(weir, servers, "--bytes", 5001)
    result.expect(0)
    assert payloads_of(spool) == [b"x" * 100] * 51


def test_a_limit_inside_what_waits(weir, serve):
    """The message that reaches the limit came in pieces, and others behind it in the same packet."""
    data = frames.fragments(TEXT, [b"a", b"b"]) + frames.fragments(TEXT, [b"c", b"d"]) + text("e")
    servers = [serve(pouring(data)), serve(pouring(b""))]
    result, spool = captured(weir, servers, "--messages", "2")
    result.expect(0)
    assert by_source(spool) == {0: [b"ab", b"cd"]}


# --disk-max

BLOCK = [b"%06d " % n + b"x" * 493 for n in range(2000)]  # a megabyte


def capped(weir, place, servers, *command, cap=4 * MEBIBYTE):
    spool = place.root / "spool"
    process = weir.start_capture(*[server.url for server in servers], "--spool", spool,
                                 "--disk-max", cap, "--status", "json", *command)
    watch = Watch(process, spool)
    return process.wait(), watch.end()


def test_a_cap_for_all_of_them(weir, serve, place):
    total = place.root / "total"
    servers = [serve(sending(texts([b"%d " % source + m for m in BLOCK]) * 4))
               for source in range(3)]
    result, most = capped(weir, place, servers, "--", "sh", "-c", f"sleep 0.02; cat {{}} >>{total}")
    result.expect(0)
    assert most <= 4 * MEBIBYTE
    lines = total.read_bytes().split(b"\n")[:-1]
    for source in range(3):
        head = b"%d " % source
        assert [line for line in lines if line.startswith(head)] == [head + m for m in BLOCK] * 4


def test_large_messages_under_a_cap(weir, serve, place):
    """What waits to become whole needs room beside the spool, and then in it."""
    total = place.root / "total"
    sent = [[b"%d %d " % (source, n) + b"y" * 400_000 for n in range(8)] for source in range(2)]
    servers = [serve(sending(b"".join(frames.fragments(TEXT, [m[:200_000], m[200_000:]])
                                      for m in messages))) for messages in sent]
    result, most = capped(weir, place, servers, "--", "sh", "-c", f"sleep 0.02; cat {{}} >>{total}",
                          cap=8 * MEBIBYTE)
    result.expect(0)
    assert most <= 8 * MEBIBYTE
    assert sorted(total.read_bytes().split(b"\n")[:-1]) == sorted(sent[0] + sent[1])


def test_what_waits_never_fits_under_the_cap(weir, serve, place):
    """Nothing could ever make room: it is an end with a message, not a wait for ever."""
    def script(connection):
        connection.upgrade()
        connection.send_while_wanted(frame(BINARY, b"x" * (3 * MEBIBYTE), fin=False))
        try:
            connection.answer_close()
        except (EOFError, OSError):
            pass

    result, _ = capped(weir, place, [serve(script), serve(script)], "--", "true")
    result.expect(5, "--disk-max")


def test_one_floods_and_one_is_slow(weir, serve, place):
    total = place.root / "total"

    def slow(connection):
        connection.upgrade()
        for n in range(20):
            connection.send(text("slow %d" % n))
            time.sleep(0.01)
        connection.finish()

    servers = [serve(flooding(texts(BLOCK), 10)), serve(slow)]
    result, _ = capped(weir, place, servers, "--", "sh", "-c", f"cat {{}} >>{total}")
    result.expect(0)
    lines = total.read_bytes().split(b"\n")[:-1]
    assert [line for line in lines if line.startswith(b"slow")] == [b"slow %d" % n
                                                                    for n in range(20)]
    assert len(lines) == 10 * len(BLOCK) + 20
