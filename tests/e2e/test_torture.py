"""The long tests of `make torture`: faults, full disks, slow consumers, at random.

Every test gets its own dice from the seed, so that SEED=… replays the choices of all of them.
Which call is hit also depends on the machine.
"""

import os
import subprocess
import threading
import time

import pytest

import torture
from disconnects import disconnect
from frames import texts
from harness import SANITIZED, marked_processes, wait_until, weir_path
from servers.hostile import HostileServer, flooding
from test_disk_cap import Watch
from test_every_call import ERRORS
from test_faults import DOCUMENTED, library  # noqa: F401 (a fixture)
from torture import Dice, Ledger, Source, build_keeper, keeper_environment

pytestmark = pytest.mark.torture

MEBIBYTE = 1 << 20
SPARED = {"EINTR", "EAGAIN", "ENOSPC", "EDQUOT"}  # for ever, these would be a wait for ever

FAULTS = {
    **{function: errors for function, errors in ERRORS.items() if function != "read"},
    "getrandom": ["ENOSYS", "EINTR", "EAGAIN"], "recv": ["ECONNRESET", "EAGAIN", "EINTR", "SHORT"],
    "send": ["EPIPE", "ECONNRESET", "EAGAIN", "SHORT"], "epoll_wait": ["EINTR", "EIO", "ENOMEM"],
    "posix_spawn": ["EAGAIN", "ENOMEM", "ENOENT"], "malloc": ["ENOMEM"], "calloc": ["ENOMEM"],
    "realloc": ["ENOMEM"],
}


@pytest.fixture(scope="module")
def keeper(tmp_path_factory):
    return build_keeper(tmp_path_factory.mktemp("keeper"))


def random_segments(dice):
    options = ["--segment-size", dice.choice([1, 2000, 20_000, 200_000, "64MiB"]),
               "--segment-age", dice.choice(["0", "5ms", "50ms", "10s"])]
    return options + ["--segment-messages", dice.choice([0, 0, 1, 10, 100])]


class Story:
    """One spool, and the runs that it goes through."""

    def __init__(self, weir, keeper, place, serve, spool, dice):
        self.weir, self.place, self.serve, self.dice = weir, place, serve, dice
        self.keeper = keeper
        self.spool, self.runs = spool, 0
        self.handed = place.directory("handed")
        self.ledger = Ledger(spool, self.handed)

    def start(self, *options, how="command", fail=0, slow=0, env=None, **source_options):
        """The source and the running weir. `how` says where the messages go."""
        self.runs += 1
        source = Source(self.dice, self.runs, **source_options)
        self.ledger.add(source)
        server = self.serve(source.script)
        rest = {"command": ["--", self.keeper, self.handed, "{}"], "keep": ["--keep"], "stdout": []}[how]
        process = self.weir.start_capture(
            server.url, "--spool", self.spool, *options, *rest,
            env={**keeper_environment(self.runs, fail, slow), **(env or {})})
        return source, process

    def run_to_the_end(self, *codes, more=(), **options):
        """A run without a kill."""
        source, process = self.start("--segment-messages", "100", *more, **options)
        result = process.wait()
        assert result.code in codes, result
        if result.code < 2:
            self.ledger.is_whole(source)
        return result

    def end(self):
        """The last run, of which nothing may be left; and what is then true."""
        wait_until(lambda: not marked_processes(self.place.mark), "no COMMAND is left")
        self.run_to_the_end(0)
        repeated, messages = self.ledger.check_end()
        print(f"torture: {self.runs} runs, {messages} messages, {repeated} handed on")


def random_sync(dice):
    return ["--sync", dice.choice(["every", "seal", "interval=5ms", "bytes=20KiB"])]


def random_fault(dice):
    function = dice.choice(list(FAULTS))
    error = dice.choice(FAULTS[function])
    count = dice.choice([1, 1, 1, 2, 5] + ([] if error in SPARED else [0, 0]))
    return f"{function}:{error}:{dice.log_uniform(1, 150)}:{count}"


@pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")
@pytest.mark.parametrize("number", range(torture.FAULTS))
def test_fault(library, weir, keeper, serve, place, number):  # noqa: F811
    """No crash, no hang, no false success; and the next run delivers what this one left."""
    print(f"torture: seed {torture.SEED}")
    dice, log = Dice("fault", number), place.root / "faults"
    story = Story(weir, keeper, place, serve, place.root / "spool", dice)
    if dice.once_in(3):
        story.run_to_the_end(0, how="keep")
    fault = random_fault(dice)
    print(f"torture: {fault}")
    environment = {"LD_PRELOAD": str(library), "WEIR_FAULT": fault, "WEIR_FAULT_PROGRAM": "weir",
                   "WEIR_FAULT_LOG": str(log)}
    how = dice.choice(["command", "command", "stdout", "keep"])
    # With --keep nothing would ever make room.
    cap = ["--disk-max", "4MiB"] if how != "keep" and dice.once_in(4) else []
    sync = random_sync(dice) if "sync:" in fault or dice.once_in(4) else []
    sent, process = story.start("--connect-timeout", "500ms", *random_segments(dice), *cap, *sync,
                                how=how, env=environment)
    result = process.wait()
    check_result(result, log.exists())
    if how == "stdout":
        story.ledger.printed(result.out)
    if result.code == 0:
        story.ledger.is_whole(sent)
    story.ledger.check()
    story.end()


def check_result(result, happened):
    assert result.code >= 0, f"weir died by a signal\n{result}"
    if result.code == 0:
        return
    no_memory = result.code == 2 and "memory" in result.complaint
    assert result.code in DOCUMENTED or no_memory, result
    assert result.complaint, f"failed without a message\n{result}"
    assert happened, f"failed without a fault\n{result}"


class Filler:
    """Takes the space of a small disk and gives it back, again and again."""

    def __init__(self, disk, size, dice):
        self._path, self._size, self._dice = disk / "filler", size, Dice(dice.getrandbits(64))
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._over.wait(self._dice.random() * 0.05):
            try:
                self._path.write_bytes(bytes(self._dice.randrange(self._size)))
            except OSError:
                pass

    def end(self):
        self._over.set()
        self._thread.join()
        self._path.unlink(missing_ok=True)


def test_full_disk(weir, keeper, serve, place, small_disk):
    """The disk is full now and then. What a run cannot take, it must not have taken."""
    story = Story(weir, keeper, place, serve, small_disk / "spool", Dice("full disk"))
    end, full = time.monotonic() + torture.SECONDS / 2, 0
    while time.monotonic() < end:
        filler = Filler(small_disk, 2 * MEBIBYTE, story.dice)
        result = story.run_to_the_end(0, 5, most=6000, slow=story.dice.choice([0, 2]),
                                      more=story.dice.choice([[], ["--on-full", "stop"]]))
        filler.end()
        full += result.code == 5
        story.ledger.check()
    story.end()
    print(f"torture: the disk was full in {full} of {story.runs} runs")
    assert full or torture.SECONDS < 20, "the disk was never full"


def random_block(dice):
    size = dice.log_uniform(2, 20_000)
    return [b"%06d " % n + b"x" * dice.randrange(size) for n in range(MEBIBYTE // size)]


class SlowReader:
    """Reads standard output at a pace of its own."""

    def __init__(self, dice):
        self.end, self.out = os.pipe()
        self.got, self._dice = [], Dice(dice.getrandbits(64))
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while part := os.read(self.end, 65536):
            self.got.append(part)
            if self._dice.once_in(30):
                time.sleep(self._dice.random() * 0.05)

    def all(self):
        self._thread.join()
        os.close(self.end)
        return b"".join(self.got)


def test_disk_cap(weir, place):
    """A source that is faster than its consumer: the cap holds, and everything arrives."""
    dice, end, rounds, total = Dice("disk cap"), time.monotonic() + torture.SECONDS / 2, 0, 0
    while rounds == 0 or time.monotonic() < end:
        rounds += 1
        total += capped_round(weir, place, dice, rounds)
    print(f"torture: {rounds} captures, {total} bytes")


def capped_round(weir, place, dice, number):
    block, times = random_block(dice), dice.randrange(8, 20)
    cap = 4 * MEBIBYTE + dice.choice([0, dice.randrange(4 * MEBIBYTE)])
    server, spool = HostileServer(flooding(texts(block), times)), place.root / f"spool{number}"
    arguments = [server.url, "--spool", spool, "--disk-max", cap, "--status", "json",
                 "--segment-size", dice.log_uniform(50_000, 8 * MEBIBYTE)]
    copy, reader = place.root / "copy", None
    if dice.once_in(3):
        reader = SlowReader(dice)
        process = weir.start_capture(*arguments, stdout=reader.out)
        os.close(reader.out)
    else:
        pause = dice.choice(["", "sleep 0.02; "])
        process = weir.start_capture(*arguments, "--", "sh", "-c", f"{pause}cat {{}} >>{copy}")
    watch = Watch(process, spool)
    result, most = process.wait(60).expect(0), watch.end()
    server.finish()
    got = reader.all() if reader else copy.read_bytes()
    copy.unlink(missing_ok=True)
    assert got == b"".join(m + b"\n" for m in block) * times, "not what was sent"
    assert most <= cap and result.report["peak_disk_bytes"] <= cap
    assert [path.name for path in spool.iterdir()] == ["lock"]
    return len(got)


def test_disconnects(weir, place):
    """One capture that stays connected to a server which disconnects at random points."""
    print(f"torture: seed {torture.SEED}")
    begin = time.monotonic()
    disconnecter, account = disconnect(weir, place, torture.SEED, torture.DISCONNECTS,
                                       60 + torture.DISCONNECTS / 10)
    print(f"torture: {torture.DISCONNECTS} disconnects, of {account.opened - 1} open connections; "
          f"{account.messages} messages; {time.monotonic() - begin:.0f} s; held first and last: "
          f"{disconnecter.held}")


def test_reaping_after_kills():
    """Of libtempfile alone: its unit test, with many more rounds than usual."""
    program = weir_path().parent / "tests/unit/test_tempfile_reap"
    done = subprocess.run([program], env={**os.environ, "TEMPFILE_ROUNDS": str(torture.REAPS)},
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
