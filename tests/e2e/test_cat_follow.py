"""weir cat --follow: a spool that is written, sealed, processed and given up meanwhile."""

import fcntl
import signal

import pytest

from frames import texts
from harness import LIMIT, wait_until
from spool_writer import Made, write_segment, write_spool

MESSAGES = [b"message %d" % n for n in range(400)]


def lines(messages):
    return b"".join(message + b"\n" for message in messages)


def following(weir, spool, *options):
    return weir.start("cat", spool, "--follow", *options)


def expect_out(process, messages):
    wait_until(lambda: process.out_so_far() == lines(messages), f"{len(messages)} messages are printed")


class Pace:
    """A script that sends what the test says, when it says so."""

    def __init__(self):
        self.connection = None
        self.ended = False

    def __call__(self, connection):
        connection.upgrade()
        self.connection = connection
        wait_until(lambda: self.ended, "the test ends the stream", limit=2 * LIMIT)
        try:
            connection.finish()
        except (EOFError, OSError):
            pass

    def send(self, messages):
        wait_until(lambda: self.connection, "a client")
        self.connection.send(texts(messages))

    def end(self):
        self.ended = True


@pytest.fixture
def pace():
    pace = Pace()
    yield pace
    pace.end()


def test_it_prints_what_comes_and_ends_with_the_capture(weir, serve, place, pace):
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep", "--segment-messages", "7")
    pace.send(MESSAGES[:10])
    wait_until(lambda: list(spool.glob("*.index")), "a segment is sealed")
    process = following(weir, spool)
    expect_out(process, MESSAGES[:10])
    for n in range(10, 60, 5):
        pace.send(MESSAGES[n:n + 5])
        expect_out(process, MESSAGES[:n + 5])
    assert process.running
    pace.end()
    capture.wait().expect(0)
    assert process.wait().expect(0).out == lines(MESSAGES[:60])


def test_segments_that_are_processed_meanwhile(weir, serve, place, pace):
    """What was not read in time is passed over, and told; nothing comes twice or out of order."""
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--segment-messages", "5", "--segment-age", "0",
                                 "--", "true")
    pace.send(MESSAGES[:3])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = following(weir, spool)
    expect_out(process, MESSAGES[:3])
    process.signal(signal.SIGSTOP)
    pace.send(MESSAGES[3:303])
    wait_until(lambda: min((path.name for path in spool.glob("*.index*")), default="") > f"{300:020}",
               "all but the last segment is processed")
    process.signal(signal.SIGCONT)
    pace.send(MESSAGES[303:])
    pace.end()
    capture.wait().expect(0)
    result = process.wait().expect(0)
    found = result.out.splitlines()
    numbers = [MESSAGES.index(line) for line in found]
    assert numbers == sorted(set(numbers)) and numbers[:3] == [0, 1, 2]
    if len(found) < len(MESSAGES):
        assert "before they could be read" in result.err


def test_segments_that_are_compressed_meanwhile(weir, serve, place, pace):
    """What was read of a segment before is not read again out of the compressed one."""
    if "without libzstd" in weir.capture("ws://127.0.0.1:1/", "--compress", "zstd", "--", "true").err:
        pytest.skip("built without libzstd")
    spool = place.root / "spool"
    messages = [b"%06d " % n + b"x" * 3000 for n in range(400)]
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep", "--compress", "zstd",
                                 "--segment-messages", "50")
    pace.send(messages[:30])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = following(weir, spool)
    expect_out(process, messages[:30])
    process.signal(signal.SIGSTOP)
    pace.send(messages[30:])
    wait_until(lambda: len(list(spool.glob("*.zst"))) >= 7, "seven segments are compressed")
    process.signal(signal.SIGCONT)
    expect_out(process, messages)
    pace.end()
    capture.wait().expect(0)
    assert process.wait().expect(0).err == ""
    assert weir.cat(spool).expect(0).out == lines(messages)
    assert weir.run("cat", spool, "--from-seq", "201", "--count", "2").expect(0).out == lines(messages[200:202])
    states = weir.run("ls", spool).expect(0).out.decode()
    assert states.count("compressed") >= 7 and "damaged" not in states


def test_a_spool_that_is_removed(weir, serve, place, pace):
    """A temporary one, when all of it was processed: that is an end like any other."""
    capture = weir.start_capture(serve(pace).url, "--", "true")
    pace.send(MESSAGES[:5])
    spool, = wait_until(lambda: [path for path in place.temp.iterdir() if list(path.glob("*.open"))], "a spool")
    process = following(weir, spool)
    expect_out(process, MESSAGES[:5])
    process.signal(signal.SIGSTOP)
    pace.end()
    capture.wait().expect(0)
    assert not spool.exists()
    process.signal(signal.SIGCONT)
    result = process.wait().expect(0)
    assert result.out == lines(MESSAGES[:5]) and result.err == ""


def test_a_capture_that_is_killed(weir, serve, place, pace):
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep")
    pace.send(MESSAGES[:20])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = following(weir, spool)
    expect_out(process, MESSAGES[:20])
    capture.kill()
    pace.end()
    assert process.wait().expect(0).out == lines(MESSAGES[:20])


def test_a_spool_without_an_owner_ends_at_once(weir, place):
    spool = write_spool(place.directory("spool"), [[Made(m) for m in MESSAGES[:5]], [Made(MESSAGES[5])]], last_open=True)
    assert weir.run("cat", spool, "--follow").expect(0).out == lines(MESSAGES[:6])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it(weir, serve, place, pace, number):
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep")
    pace.send(MESSAGES[:20])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = following(weir, spool)
    expect_out(process, MESSAGES[:20])
    process.signal(number)
    assert process.wait().expect(0).out == lines(MESSAGES[:20])
    pace.end()
    capture.wait().expect(0)


def test_limits_end_it(weir, serve, place, pace):
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep")
    pace.send(MESSAGES[:20])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = following(weir, spool, "--count", "25")
    by_number = following(weir, spool, "--to-seq", "25")  # record 0 is the connection
    expect_out(process, MESSAGES[:20])
    pace.send(MESSAGES[20:40])
    assert process.wait().expect(0).out == lines(MESSAGES[:25])
    assert by_number.wait().expect(0).out == lines(MESSAGES[:25])
    pace.end()
    capture.wait().expect(0)


def left_by_its_reader(weir, serve, place, pace, more):
    """`weir cat --follow | head`: the reader takes a line and goes."""
    spool = place.root / "spool"
    capture = weir.start_capture(serve(pace).url, "--spool", spool, "--keep")
    pace.send(MESSAGES[:5])
    wait_until(lambda: list(spool.glob("*.open")), "a segment")
    process = weir.start("cat", spool, "--follow", stdout=-1)
    assert process.popen.stdout.readline() == MESSAGES[0] + b"\n"
    process.popen.stdout.close()
    pace.send(more)
    process.popen.wait(LIMIT)
    assert not process.err_so_far()
    pace.end()
    capture.wait().expect(0)


def test_a_reader_that_goes_away(weir, serve, place, pace):
    left_by_its_reader(weir, serve, place, pace, MESSAGES[5:50])


def test_a_reader_that_goes_away_while_nothing_comes(weir, serve, place, pace):
    left_by_its_reader(weir, serve, place, pace, [])



def test_many_readers_disturb_nobody(weir, serve, place):
    """What is captured, and what becomes of it, is the same."""
    spool = place.root / "spool"
    sent = [b"%d " % n + b"x" * 200 for n in range(50_000)]

    def script(connection):
        connection.upgrade()
        wait_until(lambda: list(spool.glob("*.open")), "the capture begins")
        readers.extend(following(weir, spool) for _ in range(3))
        connection.send(texts(sent))
        connection.finish()

    readers = []
    result = weir.capture(serve(script).url, "--spool", spool, "--keep", "--segment-size", "1MiB",
                          "--status", "json")
    assert result.expect(0).report["messages"] == len(sent)
    for reader in readers:
        assert reader.wait().expect(0).out == lines(sent)


def test_a_segment_that_is_mended(weir, place):
    """A start may put another file in the place of an open index: reading goes on in it."""
    spool = place.directory("spool")
    (spool / "lock").write_text("")
    made = [Made(m) for m in MESSAGES[:20]]
    write_segment(spool, 0, made[:10], sealed=False)
    with open(spool / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = following(weir, spool)
        expect_out(process, MESSAGES[:10])
        (spool / f"{0:020}.data").rename(spool / f"{0:020}.data.aside1")
        (spool / f"{0:020}.index.open").rename(spool / f"{0:020}.index.aside1")
        write_segment(spool, 10, made[10:])
        expect_out(process, MESSAGES[:20])
    process.wait().expect(0)
