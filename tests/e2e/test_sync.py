"""--sync: what is said to be durable, when a segment is handed on, and what a sync that fails does."""

import contextlib
import re
import signal
import subprocess
import time

import pytest

import frames
import packed
from frames import close_code, texts
from harness import LIMIT, SANITIZED, wait_until
from packed import Packer
from servers.hostile import sending, sending_and_waiting
from spool_reader import payloads_of
from terminal import Terminal
from test_faults import faulty, left_in, library, numbered, source  # noqa: F401 (fixtures)

MESSAGES = [b"%04d " % n + b"x" * 500 for n in range(600)]
WAYS = ["interval", "interval=1ms", "bytes=10KiB", "seal", "every"]
preloaded = pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")


@pytest.fixture(autouse=True)
def on_a_disk(place):
    """Nothing is durable in memory."""
    kind = subprocess.run(["stat", "-f", "-c", "%T", place.root], capture_output=True, text=True)
    if kind.stdout.strip() in ("tmpfs", "ramfs"):
        pytest.skip("the tests are run in memory, not on a disk")


def totals(messages):
    return len(messages), sum(map(len, messages))


def durable(report):
    return report["durable_messages"], report["durable_bytes"]


@pytest.mark.parametrize("way", WAYS)
def test_all_is_durable_at_the_end(weir, serve, place, way):
    spool = place.root / "spool"
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--keep", "--spool", spool, "--sync", way,
                          "--segment-messages", "100", "--status", "json").expect(0)
    assert durable(result.report) == totals(MESSAGES)
    assert payloads_of(spool) == MESSAGES
    assert not list(spool.glob("*.open"))


@pytest.mark.parametrize("way", WAYS)
def test_with_a_command(weir, serve, place, collector, way):
    spool = place.root / "spool"
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--spool", spool, "--sync", way,
                          "--segment-messages", "50", "--status", "json", "--",
                          *collector.by_path).expect(0)
    assert collector.payloads() == MESSAGES
    assert durable(result.report) == totals(MESSAGES) and result.report["acked"] >= 12
    assert [path.name for path in spool.iterdir()] == ["lock"]


@pytest.mark.parametrize("way", WAYS)
def test_to_standard_output(weir, serve, place, way):
    spool = place.root / "spool"
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--spool", spool, "--sync", way,
                          "--segment-messages", "50", "--status", "json").expect(0)
    assert result.out == b"".join(m + b"\n" for m in MESSAGES)
    assert durable(result.report) == totals(MESSAGES)
    assert [path.name for path in spool.iterdir()] == ["lock"]


def test_a_spool_of_our_own(weir, serve, place, collector):
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--sync", "every", "--status", "json", "--",
                          *collector.by_path).expect(0)
    assert durable(result.report) == totals(MESSAGES) and result.report["spool"] == ""


def test_without_sync_nothing_is_counted(weir, serve):
    report = weir.capture(serve(sending(texts(MESSAGES))).url, "--sync", "none", "--status", "json", "--",
                          "true").expect(0).report
    assert "durable_messages" not in report


def test_summary(weir, serve, place):
    result = weir.capture(serve(sending(texts(MESSAGES[:20]))).url, "--sync", "seal", "--status", "summary",
                          "--", "true").expect(0)
    assert re.search(r"^durable +20 messages, 9\.9 KiB$", result.err, re.M), result


def test_live(weir, serve, place):
    """What is on the status line while it runs is what is durable, and not what is captured."""
    terminal = Terminal()
    server = serve(sending_and_waiting(texts(MESSAGES[:30])))
    process = weir.start_capture(server.url, "--keep", "--spool", place.root / "spool", "--sync", "every",
                                 stderr=terminal.slave)
    wait_until(lambda: b"30 messages  30 durable" in terminal.written, "a status line that says so")
    process.signal()
    code = process.wait().code
    assert code == 0, terminal.end()


@pytest.mark.parametrize("way", ["", "now", "bytes", "bytes=", "bytes=0", "bytes=ten", "interval=", "interval=0",
                                 "interval=x", "seal=1", "every=", "none=", "inter", "bytes=1KiB,seal"])
def test_what_is_no_way_to_sync(weir, place, way):
    result = weir.capture("ws://127.0.0.1:1/", "--spool", place.root / "spool", "--sync", way)
    result.expect(2, "--sync takes", "bytes=SIZE")
    assert not (place.root / "spool").exists()


def test_ephemeral_is_refused(weir):
    weir.capture("ws://127.0.0.1:1/", "--ephemeral", "--sync", "seal", "--", "true").expect(2, "--ephemeral", "--sync")


def test_a_spool_in_memory_is_refused(weir, small_disk):
    spool = small_disk / "spool"
    weir.capture("ws://127.0.0.1:1/", "--spool", spool, "--sync", "seal", "--keep").expect(5, str(spool), "memory")


def test_a_temporary_spool_in_memory_leaves_nothing(weir, small_disk):
    weir.capture("ws://127.0.0.1:1/", "--dir", small_disk, "--sync", "every", "--", "true").expect(5, "memory")
    assert list(small_disk.iterdir()) == []


def test_what_earlier_runs_left_comes_first(weir, serve, place, collector):
    result, spool = weir.captured(serve(sending(texts(MESSAGES[:300]))).url, "--segment-messages", "100")
    result.expect(0)
    result = weir.capture(serve(sending(texts(MESSAGES[300:]))).url, "--spool", spool, "--sync", "every",
                          "--status", "json", "--", *collector.by_path).expect(0)
    assert collector.payloads() == MESSAGES
    assert durable(result.report) == totals(MESSAGES[300:]), "those of this run are counted"


@pytest.mark.parametrize("way", ["every", "interval=1ms", "seal"])
def test_kill(weir, serve, place, collector, way):
    """Indexes that are complete and have not got their name yet are nothing new to the next run."""
    spool = place.root / "spool"
    server = serve(sending_and_waiting(texts(MESSAGES)))
    process = weir.start_capture(server.url, "--keep", "--spool", spool, "--sync", way,
                                 "--segment-messages", "7")
    wait_until(lambda: spool.is_dir() and payloads_of(spool), "something was captured")
    process.signal(signal.SIGKILL)
    process.wait()
    server.expect_failure(EOFError, OSError)
    held = payloads_of(spool)
    assert held and held == MESSAGES[:len(held)]
    weir.capture(serve(sending(texts([b"last"]))).url, "--spool", spool, "--sync", way, "--",
                 *collector.by_path).expect(0)
    assert collector.payloads() == [*held, b"last"]
    assert [path.name for path in spool.iterdir()] == ["lock"]


# What a capture of 600 messages syncs at least: three directories, and the files of six segments.
FAULTS = [f"{function}:{error}:{number}:0" for function, error, numbers in [
    ("fsync", "EIO", [1, 3]), ("fsync", "EINTR", [3]), ("fsync", "ENOSPC", [2]),
    ("fdatasync", "EIO", [1, 3, 4, 9]), ("fdatasync", "ENOSPC", [2]),
    ("fdatasync", "EDQUOT", [5]), ("fdatasync", "EINTR", [2]),
] for number in numbers]


@preloaded
@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("how", ["command", "stdout"])
def test_a_sync_that_fails(faulty, serve, place, collector, fault, how):  # noqa: F811
    """It is told, it is not tried again, and nothing behind it is called durable."""
    spool = place.root / "spool"
    rest = ["--", *collector.by_path] if how == "command" else []
    result, happened = faulty(fault, "capture", serve(source(MESSAGES)).url, "--spool", spool, "--sync",
                              "seal", "--segment-messages", "100", "--status", "json", *rest)
    assert happened
    result.expect(5, "cannot make", "durable", str(spool))
    assert (place.root / "faults").read_text().count("\n") == 1, "tried again"
    report, delivered = result.report, numbered(collector.records())
    known = re.search(r"everything up to record (\d+) is durable", result.complaint)
    end = int(known[1]) + 1 if known else 0
    assert known or "no record in it is known to be durable" in result.complaint
    behind_connected = max(0, end - 1)  # record 0 is no message
    assert report["durable_messages"] == min(behind_connected, len(MESSAGES)), "the two say something else"
    assert report["end"] == "failed"
    if how == "command":
        both = {**delivered, **left_in(spool)}
        assert [both[seq] for seq in sorted(both)] == MESSAGES[:report["messages"]]
        assert all(seq < end for seq in delivered), "handed on, and not durable"
    else:
        assert result.out == b"".join(m + b"\n" for m in MESSAGES[:report["messages"]])


@preloaded
def test_what_is_dropped_is_read(faulty, serve, place):  # noqa: F811
    """The disk is full behind the first segment, while reading waits for that one to be durable."""
    def script(connection):
        connection.upgrade()
        connection.send(texts(MESSAGES * 20) + frames.frame(frames.PING))
        connection.next_of(frames.PONG)
        connection.finish()

    server = serve(script)
    result, happened = faulty("writev:ENOSPC:2:0", "capture", server.url, "--spool",
                              place.root / "spool", "--keep", "--sync", "every", "--on-full",
                              "drop-newest", "--segment-messages", "1", "--status", "json")
    assert happened
    report = result.expect(0).report
    assert report["messages"] == 1 and report["dropped_messages"] == 20 * len(MESSAGES) - 1
    server.join()


@preloaded
@pytest.mark.parametrize("error", ["ENOSPC", "EDQUOT"])
@pytest.mark.parametrize("how", ["command", "keep"])
def test_no_room_for_a_name(faulty, serve, place, collector, error, how):  # noqa: F811
    """An index that is whole gets the name of a sealed one: a full disk is waited for there, too."""
    spool = place.root / "spool"
    rest = ["--", *collector.by_path] if how == "command" else ["--keep"]
    result, happened = faulty(f"renameat:{error}:2:3", "capture", serve(sending(texts(MESSAGES))).url, "--spool",
                              spool, "--sync", "seal", "--segment-messages", "100", "--status", "json", *rest)
    assert happened
    assert durable(result.expect(0).report) == totals(MESSAGES)
    assert (collector.payloads() if how == "command" else payloads_of(spool)) == MESSAGES
    assert str(spool) in result.complaint and not list(spool.glob("*.open"))


@preloaded
@pytest.mark.parametrize("policy", ["block", "stop", "drop-newest"])
def test_never_any_room_for_a_name(library, weir, serve, place, policy):  # noqa: F811
    """Everybody who waits for it can be stopped; the index is found under its old name."""
    spool, log = place.root / "spool", place.root / "faults"
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": "renameat:ENOSPC:1:0", "WEIR_FAULT_PROGRAM": "weir",
           "WEIR_FAULT_LOG": str(log)}

    def script(connection):
        connection.upgrade(more=texts(MESSAGES))
        connection.answer_close()

    server = serve(script)
    process = weir.start_capture(server.url, "--spool", spool, "--keep", "--sync", "seal", "--on-full", policy,
                                 "--segment-messages", "100", "--status", "json", env=env)
    if policy != "stop":
        wait_until(lambda: str(spool) in process.err_so_far(), "it says so")
        process.signal()
    result = process.wait().expect(5, "space", str(spool))
    assert payloads_of(spool) == MESSAGES[:result.report["messages"]]
    weir.capture(serve(sending(texts([b"last"]))).url, "--spool", spool, "--keep").expect(0)
    assert payloads_of(spool) == [*MESSAGES[:result.report["messages"]], b"last"]


@preloaded
def test_no_room_for_a_name_behind_the_end(library, weir, serve, place):  # noqa: F811
    """The server has ended: one signal is enough to wait no more."""
    spool = place.root / "spool"
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": "renameat:ENOSPC:1:0", "WEIR_FAULT_PROGRAM": "weir"}
    server = serve(sending(texts(MESSAGES)))
    process = weir.start_capture(server.url, "--spool", spool, "--keep", "--sync", "seal", "--status", "json", env=env)
    wait_until(lambda: str(spool) in process.err_so_far(), "it says so")
    server.join()
    process.signal()
    process.wait().expect(5, "space", str(spool))
    assert payloads_of(spool) == MESSAGES


@preloaded
@pytest.mark.parametrize("policy", ["block", "drop-newest"])
def test_many_segments_without_room_for_their_names(library, weir, serve, place, policy):  # noqa: F811
    """However many wait for it, a signal is obeyed, and all that was captured is in the spool."""
    spool = place.root / "spool"
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": "renameat:ENOSPC:1:0", "WEIR_FAULT_PROGRAM": "weir"}
    server = serve(sending_and_waiting(texts(MESSAGES)))
    process = weir.start_capture(server.url, "--spool", spool, "--keep", "--sync", "seal", "--on-full", policy,
                                 "--segment-messages", "1", "--status", "json", env=env)
    wait_until(lambda: str(spool) in process.err_so_far(), "it says so")
    wait_until(lambda: len(list(spool.glob("*.open"))) > 16, "there are many")
    process.signal()
    result = process.wait().expect(5, "space", str(spool))
    weir.capture(serve(sending(b"")).url, "--spool", spool, "--keep").expect(0)
    assert payloads_of(spool) == MESSAGES[:result.report["messages"]]


@preloaded
def test_the_server_is_told_of_a_sync_that_fails(faulty, serve, place):  # noqa: F811
    def script(connection):
        connection.upgrade(more=texts(MESSAGES[:10]))
        connection.answer_close()

    server = serve(script)
    result, happened = faulty("fdatasync:EIO:2", "capture", server.url, "--spool", place.root / "spool",
                              "--sync", "every", "--keep")
    assert happened
    result.expect(5, "no record in it is known to be durable")
    server.join()
    assert close_code(server.connection.close_payload) == 1011


@preloaded
@pytest.mark.parametrize("how", ["keep", "command"])
def test_a_sync_that_fails_at_the_very_end(faulty, serve, place, collector, how):  # noqa: F811
    """The last one of all is waited for, too: its failure is no success."""
    spool = place.root / "spool"
    rest = {"keep": ["--keep"], "command": ["--", *collector.by_path]}[how]
    # The lock, the data, the index, and the lock again.
    result, happened = faulty("fdatasync:EIO:4", "capture", serve(source(MESSAGES)).url, "--spool", spool,
                              "--sync", "seal", *rest)
    assert happened
    result.expect(5, "durable")
    assert collector.payloads() == [] and payloads_of(spool) == MESSAGES


@preloaded
def test_every_waits_for_the_disk(library, weir, serve, place):  # noqa: F811
    """No more is read before what was read is durable: a sync for each burst, of both files."""
    calls = place.root / "calls"

    def script(connection):
        connection.upgrade()
        for message in MESSAGES[:20]:
            connection.send(texts([message]) + frames.frame(frames.PING))
            connection.next_of(frames.PONG)
        connection.finish()

    env = {"LD_PRELOAD": str(library), "WEIR_FAULT_CALLS": str(calls), "WEIR_FAULT_PROGRAM": "weir"}
    weir.capture(serve(script).url, "--spool", place.root / "spool", "--sync", "every", "--keep",
                 env=env).expect(0)
    assert calls.read_text().split().count("fdatasync") >= 2 * 20


@pytest.mark.parametrize("way", ["interval=1ms", "every"])
@pytest.mark.parametrize("policy", ["drop-oldest", "drop-newest", "block"])
def test_with_a_cap(weir, serve, place, collector, way, policy):
    """What is not durable is not dropped either, and nobody waits for ever."""
    messages = [b"%05d " % n + b"x" * 2000 for n in range(3000)]
    spool = place.root / "spool"
    rest = ["--", *collector.by_path] if policy == "block" else ["--keep"]
    report = weir.capture(serve(sending(texts(messages))).url, "--spool", spool, "--sync", way, "--disk-max",
                          "4MiB", "--on-full", policy, "--status", "json", *rest).expect(0).report
    assert report["durable_messages"] == report["messages"]
    if policy == "block":
        assert collector.payloads() == messages
    else:
        kept = payloads_of(spool)
        assert 0 < len(kept) < len(messages) and report["dropped_messages"] == len(messages) - len(kept)
        assert kept[-1] == messages[-1] if policy == "drop-oldest" else kept[0] == messages[0]


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_every_where_much_comes_of_little(weir, serve, place, authority, tls):
    """What is unpacked, or was decrypted already, goes on when it may, without anything new arriving."""
    packer = Packer()
    payloads = [b"%d " % n + b"y" * (n * 997 % 90_000) for n in range(120)] + [b"z" * 3_000_000]
    options = {"tls": authority.context()} if tls else {}
    spool = place.root / "spool"
    report = weir.capture(serve(packed.sending(b"".join(map(packer.text, payloads))), **options).url, "--spool", spool,
                          "--sync", "every", "--keep", "--status", "json",
                          *(["--cacert", authority.path] if tls else [])).expect(0).report
    assert payloads_of(spool) == payloads and durable(report) == totals(payloads)


@preloaded
@pytest.mark.parametrize("fault, options, written", [
    ("fdatasync:HANG:3:0", ["--sync", "every"], True),
    ("fdatasync:HANG:3:0", ["--sync", "seal", "--segment-messages", "1"], True),
    ("writev:HANG:1:0", [], False),
], ids=["sync", "queue", "write"])
def test_a_disk_that_never_answers(library, weir, serve, place, fault, options, written):  # noqa: F811
    """A second signal is obeyed all the same: whoever waits for the disk is not waited for."""
    spool, log = place.root / "spool", place.root / "faults"
    env = {"LD_PRELOAD": str(library), "WEIR_FAULT": fault, "WEIR_FAULT_PROGRAM": "weir",
           "WEIR_FAULT_LOG": str(log)}

    def script(connection):
        connection.upgrade(more=texts(MESSAGES))
        with contextlib.suppress(EOFError, OSError):
            connection.answer_close()

    process = weir.start_capture(serve(script).url, "--spool", spool, "--keep", *options, env=env)
    wait_until(log.exists, "it hangs")
    process.signal()
    time.sleep(0.2)
    assert process.running, "what is captured is not durable yet"
    end = time.monotonic() + LIMIT
    while process.running and time.monotonic() < end:  # as somebody who gets impatient
        process.signal()
        time.sleep(0.1)
    result = process.wait()
    assert time.monotonic() < end, "more signals do not put it off"
    assert result.code == 128 + signal.SIGINT, result
    assert str(spool) in result.complaint, result
    held = payloads_of(spool)
    assert held == MESSAGES[:len(held)] and bool(held) == written
