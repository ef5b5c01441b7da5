"""Every system call that a capture depends on fails once, or for ever.

Whatever fails: no crash, no hang, no false success. Either all was delivered exactly, or weir says
what failed and exits with a documented code, and what was handed on and what is left in the spool
are together a beginning of what was sent.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from frames import close_code, texts
from harness import SANITIZED
from servers.hostile import Connection
from spool_reader import read_spool
from turns import confirm

SOURCE = Path(__file__).resolve().parents[1] / "fault" / "fault.c"
MESSAGES = [b"%04d " % n + b"x" * 500 for n in range(600)]
LARGE = [b"%04d " % n + b"y" * 300_000 for n in range(6)]
DOCUMENTED = {1, 3, 4, 5, 126, 127}

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")

# What has to be survived without a trace.
HARMLESS = ["write:SHORT:1:0", "writev:SHORT:1:0", "pwrite:SHORT:1:0", "send:SHORT:1:0",
            "recv:SHORT:1:0", "write:EINTR:1", "write:EINTR:5:3", "writev:EINTR:1:3",
            "pwrite:EINTR:1:3", "recv:EINTR:1:3", "recv:EAGAIN:2:3", "send:EINTR:1:3",
            "epoll_wait:EINTR:1:5", "epoll_wait:EINTR:7:3", "fallocate:EOPNOTSUPP:1:0",
            "linkat:EINTR:1"]

# What may end the capture, but never quietly.
FATAL = [f"{function}:{error}:{which}" for function, error, numbers in [
    ("write", "ENOSPC", [1, 2, 3, 7, 20]), ("write", "EIO", [1, 4, 9]), ("write", "EIO", ["2:0"]),
    ("writev", "ENOSPC", [1, 2, 3, 7]), ("writev", "EIO", ["2:0"]),
    ("pwrite", "ENOSPC", [1, 2, 3, 7]), ("pwrite", "EIO", ["2:0"]),
    ("fsync", "EIO", [1, 2]), ("fdatasync", "EIO", [1, 2]),
    ("rename", "EIO", [1, 2]), ("renameat", "EIO", [1, 2, "1:0"]),
    ("renameat2", "EIO", [1, 2, "1:0"]), ("linkat", "EIO", [1, 2, 5, "1:0"]),
    ("linkat", "EEXIST", [1, "1:0"]), ("unlink", "EACCES", [1, "1:0"]),
    ("unlinkat", "EIO", [1, 2, 3, 6, "1:0"]), ("ftruncate", "EIO", [1, 2, 5, "1:0"]),
    ("fallocate", "ENOSPC", [1, 2, 4, "1:0"]), ("fallocate", "EIO", [1]),
    ("mkdir", "EACCES", [1]), ("mkdirat", "EACCES", [1]), ("mkdirat", "EEXIST", ["1:0"]),
    ("open", "EMFILE", [1, 2]), ("open", "EOPNOTSUPP", ["1:0"]),
    ("openat", "EMFILE", [1, 2, 3, 5, 9, "1:0"]), ("openat", "EOPNOTSUPP", [1, "1:0"]),
    ("flock", "EWOULDBLOCK", [1, 2, "1:0"]), ("flock", "ENOLCK", [1, 2, "1:0"]),
    ("getrandom", "ENOSYS", [1, 2, 3, 6, "1:0"]), ("recv", "ECONNRESET", [1, 2, 3]),
    ("send", "EPIPE", [1, 2]), ("send", "ECONNRESET", [1, 2]),
    ("epoll_wait", "EIO", [1, 4]), ("posix_spawn", "EAGAIN", [1, 3, "1:0"]),
    ("fork", "EAGAIN", [1, 3]),
    ("calloc", "ENOMEM", [1, 2, 3, 5, 8, 13, 21, 34, 55]),
    ("malloc", "ENOMEM", [1, 2, 3, 4, 5, 6, 8, 10, 13, 17, 21, 28, 34, 45, 55, 70, 89, 144, "1:0"]),
    ("realloc", "ENOMEM", [1, 2, 3, 5, 8, "1:0"]),
] for which in numbers]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    compiler = os.environ.get("CC") or shutil.which("cc")
    if not compiler:
        pytest.skip("no C compiler")
    path = tmp_path_factory.mktemp("fault") / "fault.so"
    subprocess.run([*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O1", "-fPIC", "-shared",
                    "-fvisibility=hidden", SOURCE, "-o", path, "-ldl"], check=True)
    return path


@pytest.fixture
def faulty(library, weir, place):
    """faulty(fault, …): captures with that fault; returns what weir said and if it happened."""
    log = place.root / "faults"

    def run(fault, *arguments, path=None):
        env = {"LD_PRELOAD": str(library), "WEIR_FAULT": fault, "WEIR_FAULT_PROGRAM": "weir",
               "WEIR_FAULT_LOG": str(log), **({"WEIR_FAULT_PATH": path} if path else {})}
        result = weir.run(*arguments, env=env)
        return result, log.exists()

    return run


def source(messages):
    """Sends all; that the client ends early is no failure here."""
    def script(connection: Connection):
        try:
            connection.upgrade(more=texts(messages[:3]))
            connection.send_while_wanted(texts(messages[3:]))
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass
    return script


def check_truth(result, happened, delivered, left, messages):
    """`delivered` and `left` are dictionaries from record number to payload."""
    assert result.code >= 0, f"weir died by a signal\n{result}"
    no_memory = result.code == 2 and "memory" in result.complaint
    both = {**delivered, **left}
    assert all(left[number] == delivered[number] for number in left.keys() & delivered.keys())
    payloads = [both[number] for number in sorted(both)]
    assert payloads == messages[:len(payloads)], "not a beginning of what was sent"
    if result.code == 0:
        assert payloads == messages, f"success, but not all is there\n{result}"
    else:
        assert result.code in DOCUMENTED or no_memory, result
        assert result.complaint, f"failed without a message\n{result}"
        assert happened, f"failed without a fault\n{result}"


def numbered(records):
    return {r.seq: r.payload for r in records if r.is_message}


def left_in(spool):
    if not spool.is_dir():
        return {}
    return numbered(r for segment in read_spool(spool) for r in segment.records)


def capture_with(faulty, serve, place, collector, fault, messages=MESSAGES, path=None):
    """A capture in many segments with COMMAND; checks the truth of whatever came of it."""
    server = serve(source(messages))
    spool = place.root / "spool"
    # A request that cannot be sent is not answered.
    patience = "500ms" if fault.startswith("send:E") else "10s"
    result, happened = faulty(fault, "capture", server.url, "--spool", spool, "--segment-messages",
                              "100", "--connect-timeout", patience, "--", *collector.by_path,
                              path=path)
    check_truth(result, happened, numbered(collector.records()), left_in(spool), messages)
    return result, happened


@pytest.mark.parametrize("fault", HARMLESS)
def test_harmless(faulty, serve, place, collector, fault):
    result, _ = capture_with(faulty, serve, place, collector, fault)
    result.expect(0)


@pytest.mark.parametrize("fault", FATAL)
def test_fatal(faulty, serve, place, collector, fault):
    capture_with(faulty, serve, place, collector, fault)


@pytest.mark.parametrize("fault", ["write:SHORT:1:0", "writev:SHORT:1:0", "pwrite:SHORT:1:0",
                                   "recv:SHORT:1:0"])
def test_harmless_with_large_messages(faulty, serve, place, collector, fault):
    result, _ = capture_with(faulty, serve, place, collector, fault, LARGE)
    result.expect(0)


@pytest.mark.parametrize("function", ["write", "writev", "pwrite"])
@pytest.mark.parametrize("path", [".data", ".index"])
@pytest.mark.parametrize("which", ["1", "2", "3", "2:0"])
@pytest.mark.parametrize("messages", [MESSAGES, LARGE], ids=["small", "large"])
def test_full_disk_under_one_of_the_two_files(faulty, serve, place, collector, function, path,
                                              which, messages):
    capture_with(faulty, serve, place, collector, f"{function}:ENOSPC:{which}", messages, path)


@pytest.mark.parametrize("fault", ["unlinkat:EIO:1:0", "linkat:EIO:1", "openat:EACCES:1:0",
                                   "openat:EMFILE:2", "mkdirat:EACCES:1", "mkdir:EACCES:1",
                                   "write:ENOSPC:3", "getrandom:ENOSYS:1:0"])
def test_a_spool_of_our_own(faulty, serve, place, collector, fault):
    server = serve(source(MESSAGES))
    result, happened = faulty(fault, "capture", server.url, "--segment-messages", "100", "--",
                              *collector.by_path)
    spools = [place.may_stay(spool) for spool in place.temp.iterdir()]
    left = left_in(spools[0]) if spools else {}
    check_truth(result, happened, numbered(collector.records()), left, MESSAGES)
    if spools:
        assert str(spools[0]) in result.complaint, f"what is left is not named\n{result}"


def test_an_acknowledgement_that_fails_ends_the_capture_in_good_order(faulty, serve, place,
                                                                       collector):
    """The server is told, what has come is sealed, and the other segments are processed."""
    gate = place.root / "gate"

    def script(connection):
        connection.upgrade()
        confirm(connection, texts(MESSAGES[:250]))
        gate.touch()
        connection.answer_close()

    server = serve(script)
    spool = place.root / "spool"
    shell, option, collect, *arguments = collector.by_path
    command = [shell, option, f"while ! test -e {gate}; do sleep 0.01; done; {collect}", *arguments]
    result, happened = faulty("unlinkat:EIO:1", "capture", server.url, "--spool", spool,
                              "--segment-messages", "100", "--", *command, path=".data")
    assert happened
    result.expect(5, "spool", str(spool))
    server.join()
    assert close_code(server.connection.close_payload) == 1011
    assert collector.payloads() == MESSAGES[:250]
    assert list(left_in(spool).values()) == MESSAGES[:100], "one stays"
    assert not list(spool.glob("*.open"))


@pytest.mark.parametrize("which", ["1", "1:0"])
def test_standard_output_goes_on_behind_a_segment_that_cannot_be_deleted(faulty, weir, serve, place,
                                                                        which):
    spool = place.root / "spool"
    weir.captured(serve(source(MESSAGES)).url, "--segment-messages", "50", spool=spool)[0].expect(0)
    server = serve(source([b"new"]))
    result, happened = faulty(f"unlinkat:EIO:{which}", "capture", server.url, "--spool", spool,
                              path=".data")
    assert happened
    result.expect(5, str(spool))
    assert result.out.startswith(b"".join(m + b"\n" for m in MESSAGES))


@pytest.mark.parametrize("fault", ["write:EPIPE:1", "write:EIO:2", "write:SHORT:1:0",
                                   "write:EINTR:1:3", "sendfile:EIO:1"])
def test_standard_output(faulty, serve, place, fault):
    """Its faults must not be mistaken for those of the spool, nor the other way round."""
    server = serve(source(MESSAGES))
    spool = place.root / "spool"
    result, happened = faulty(fault, "capture", server.url, "--spool", spool)
    left = [r.payload for s in read_spool(spool) for r in s.records if r.is_message]
    lines = b"".join(m + b"\n" for m in MESSAGES)
    assert lines.startswith(result.out)
    if result.code == 0:
        assert result.out == lines and left == []
    else:
        assert result.code in DOCUMENTED and result.complaint and happened
        printed = result.out.count(b"\n")
        assert left == MESSAGES[-len(left):] if printed + len(left) > len(MESSAGES) else True


@pytest.mark.parametrize("fault", ["write:EIO:1", "write:ENOSPC:2", "malloc:ENOMEM:3",
                                   "calloc:ENOMEM:2", "realloc:ENOMEM:1"])
def test_cat(faulty, weir, serve, place, fault):
    result, spool = weir.captured(serve(source(MESSAGES)).url)
    result.expect(0)
    result, happened = faulty(fault, "cat", spool)
    lines = b"".join(m + b"\n" for m in MESSAGES)
    if result.code == 0:
        assert result.out == lines
    else:
        assert result.code in DOCUMENTED and result.complaint and happened
        assert lines.startswith(result.out)


def test_a_number_that_cannot_be_read_is_not_given_again(faulty, place):
    """There is no segment to tell it: only the lock knows which number comes next."""
    spool = place.directory("spool")
    (spool / "lock").write_bytes(b"next 00000000000000000042\n")
    result, _ = faulty("pread:EIO:1:0", "capture", "ws://127.0.0.1:1/", "--spool", spool, "--keep", path="/lock")
    result.expect(5, str(spool))
    assert (spool / "lock").read_bytes() == b"next 00000000000000000042\n"


def test_the_library_itself(library, place):
    """Or nothing here would prove anything."""
    env = {**os.environ, "LD_PRELOAD": str(library), "WEIR_FAULT": "mkdir:EROFS:2",
           "WEIR_FAULT_PROGRAM": "mkdir", "WEIR_FAULT_LOG": str(place.root / "log"),
           "LC_ALL": "C"}
    names = [place.root / name for name in ("a", "b", "c")]
    done = subprocess.run(["mkdir", *names], env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "Read-only file system" in done.stderr
    assert [name.exists() for name in names] == [True, False, True]
    assert (place.root / "log").read_text() == "mkdir\n"


def test_a_capture_reaches_the_functions_that_fail_here(faulty, serve, place, collector):
    """The faults would be empty if weir went past the library, as a static program does."""
    server = serve(source([b"one"]))
    _, happened = faulty("recv:ECONNRESET:1", "capture", server.url, "--", *collector.by_path)
    assert happened, "weir is not dynamically linked, or does not use recv"
