"""Kills at speed: captures that die by SIGKILL, tens of them in a second, and a ledger that is
looked into after each.

One process goes through story after story, each with a spool of its own, beside a server of its own
that lives as long as it does. A capture runs for some milliseconds. It is killed at a random moment,
at an exact call on the files (tests/fault/kill.c), or at one of the first calls of several starts in
a row, which is in recovery as a rule. What it was told to do is drawn as well.
"""

import collections
import ctypes
import os
import select
import shutil
import signal
import subprocess
import time

import torture
from apart import libc
from harness import LIMIT, disk_held
from servers.hostile import HostileServer
from torture import Dice, Ledger, LossyLedger, Source, keeper_environment

CAP = 4 << 20
RUNS_PER_STORY = 100  # some end before they are killed
PR_SET_CHILD_SUBREAPER = 36


class Tools:
    """What every story needs: weir and what it can do, its environment, and our own programs."""

    def __init__(self, weir, program, keeper, kill_library):
        self.program, self.keeper, self.library = program, keeper, kill_library
        self.environment = weir.environment()
        self.help = subprocess.run([program, "capture", "--help"], capture_output=True, text=True,
                                   check=True).stdout

        self.follows = b"--follow" in subprocess.run([program, "cat", "--help"], check=True,
                                                     capture_output=True).stdout

    def knows(self, option):
        return f" {option} " in self.help


class Service:
    """A server that sends to each client what the source of its run has."""

    def __init__(self):
        self.source = None
        self._server = HostileServer(lambda connection: self.source.script(connection))
        self.url = self._server.url

    def finish(self):
        self._server.finish()


def wait_for(process, said):
    """The exit code, sooner than Popen.wait() with its growing naps would know it."""
    if process.returncode is not None:
        return process.returncode
    pidfd = os.pidfd_open(process.pid)
    try:
        ready = select.select([pidfd], [], [], LIMIT)[0]
    finally:
        os.close(pidfd)
    if not ready:
        process.kill()
    code = process.wait()
    assert ready, f"still running after {LIMIT} s\n{said()}"
    return code


def random_options(tools, dice):
    options = ["--segment-size", dice.choice(["1", "2000", "20000", "200000", "64MiB"]),
               "--segment-age", dice.choice(["0", "5ms", "50ms", "10s"]),
               "--segment-messages", dice.choice(["0", "0", "1", "10", "100"])]
    if tools.knows("--sync") and dice.once_in(2):
        options += ["--sync", dice.choice(["every", "seal", "interval=2ms", "bytes=10k"])]
    if tools.knows("--on-full") and dice.once_in(4):
        options += ["--on-full", dice.choice(["block", "stop"])]
    if dice.once_in(4):
        options += ["--disk-max", "4MiB"]
    if tools.knows("--compress") and dice.once_in(3):
        options += ["--compress", "zstd"]
    return options


class Story:
    """A spool, and the captures on it that are killed."""
    sizes = [300, 300, 3000]  # only segments of some size are compressed
    hows = ["command"] * 4 + ["keep", "stdout"]
    keeps = True  # with --keep
    waits = 1000, 30_000  # microseconds before a kill
    restarts = 10  # one time in so many, several starts are killed
    calls = 1, 600  # the one at which it is killed
    most = 1500  # messages of a run
    source = Source
    kills = 25

    def __init__(self, tools, service, place, dice):
        self.tools, self.service, self.place, self.dice = tools, service, place, dice
        self.spool, self.handed = place / "spool", place / "handed"
        self.handed.mkdir(parents=True)
        self.ledger, self.run, self.count = self.make_ledger(), 0, collections.Counter()

    def make_ledger(self):
        return Ledger(self.spool, self.handed)

    def options(self):
        return random_options(self.tools, self.dice)

    def where(self):
        return ["--spool", self.spool]

    def start_options(self):
        """Of starts that are killed."""
        return []

    def urls(self):
        return [self.service.url]

    def close(self):
        """Of what lies outside the place, nothing stays."""

    def start(self, how, options, environment, **source_options):
        self.run += 1
        source = self.source(self.dice, self.run, **source_options)
        self.ledger.add(source)
        self.service.source = source
        rest = {"command": ["--", self.tools.keeper, self.handed, "{}"], "keep": ["--keep"],
                "stdout": []}[how]
        with open(self.place / "out", "wb") as out, open(self.place / "err", "wb") as err:
            process = subprocess.Popen(
                [self.tools.program, "capture", *self.urls(), *self.where(), *options, *rest], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**self.tools.environment, **environment})
        return source, process

    def wait(self, process):
        return wait_for(process, self.said)

    def said(self):
        return (self.place / "err").read_text(errors="replace")

    def orphans(self):
        """The COMMANDs that are left. Only while no weir runs, which would be taken for one."""
        children = f"/proc/self/task/{os.getpid()}/children"
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return []
        with open(children) as text:
            return [int(pid) for pid in text.read().split()]

    def follow(self):
        """weir cat --follow beside the capture, or beside none: then it just prints what is there."""
        if not (self.spool / "lock").exists():
            return None
        with open(self.place / "followed", "wb") as out, \
                open(self.place / "follower", "wb") as err:
            return subprocess.Popen([self.tools.program, "cat", "--follow", self.spool],
                                    stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                    env=self.tools.environment)

    def end_follower(self, follower):
        """It ends by itself, when there is no capture any more."""
        said = (self.place / "follower").read_text
        code = wait_for(follower, said)
        assert code == 0, f"weir cat --follow: exit code {code}\n{said()}"

    def check_followed(self, how, held):
        """What was captured and no more was printed: all of it, if nothing was deleted meanwhile, and
        if the capture had the spool already when it began."""
        lines = (self.place / "followed").read_bytes().split(b"\n")[:-1]
        self.ledger.check_printed(lines)
        keeps = how == "keep" and self.keeps
        assert not keeps or lines == held[:len(lines)], "weir cat --follow passes something over"
        self.count["followed"] += 1
        self.count["followed to the end"] += lines == held

    def settle(self, process, source, how, follower=None):
        """The end of a run, however it came, and what has to be true then."""
        code = self.wait(process)
        if follower:
            self.end_follower(follower)
        orphans = self.orphans()
        self.count["outlived by COMMAND"] += len(orphans) > 0
        if self.dice.once_in(2):
            for pid in orphans:
                os.kill(pid, signal.SIGKILL)
        full = code == 5 and "--disk-max is reached" in self.said()  # by what is kept
        assert full or code in (0, 1, -signal.SIGKILL), f"exit code {code}\n{self.said()}"
        if code >= 0 and not full:
            self.ledger.is_whole(source)
        if how == "stdout":
            self.ledger.printed((self.place / "out").read_bytes())
        held = self.ledger.check()
        if follower:
            self.check_followed(how, held)
        self.count["kills"] += code < 0
        self.count["ends"] += code >= 0
        return held

    def kill_once(self):
        """One run that may die at any moment, or at an exact call."""
        dice, environment = self.dice, {}
        how = dice.choice(self.hows)
        environment.update(keeper_environment(self.run + 1, dice.choice([0, 3, 10]),
                                              dice.choice([0, 2, 5])))
        exact = self.tools.library and dice.once_in(2)
        if exact:
            environment.update(self.kill_at(dice.log_uniform(*self.calls)))
        source, process = self.start(how, self.options(), environment,
                                     most=self.most, size=dice.choice(self.sizes))
        wait = dice.log_uniform(*self.waits) / 1e6
        time.sleep(wait / 2)
        follower = self.follow() if self.tools.follows and dice.once_in(4) else None
        if not exact:
            time.sleep(wait / 2)
            process.kill()
        self.count[how] += 1
        return self.settle(process, source, how, follower)

    def kill_at(self, call):
        return {"LD_PRELOAD": str(self.tools.library), "WEIR_KILL_PROGRAM": "weir",
                "WEIR_KILL": f"{call}{self.dice.choice(['', ':half'])}"}

    def kill_starts(self):
        """Several in a row that die while they take over what the one before has left."""
        for _ in range(self.dice.randrange(2, 6)):
            environment = {**keeper_environment(self.run + 1),
                           **self.kill_at(self.dice.log_uniform(1, 60))}
            source, process = self.start("command", self.start_options(), environment, most=5)
            held = self.settle(process, source, "command")
            self.count["at a start"] += 1
        return held

    def look(self, held):
        """weir cat, which repairs nothing, sees what an independent reader sees."""
        done = subprocess.run([self.tools.program, "cat", self.spool], capture_output=True,
                              env=self.tools.environment, timeout=LIMIT, check=False)
        assert done.returncode == 0, done.stderr.decode()
        assert done.stdout == b"".join(payload + b"\n" for payload in held), "cat sees other things"
        self.count["cats"] += 1

    def wait_for_orphans(self):
        deadline = time.monotonic() + LIMIT
        while self.orphans():
            assert time.monotonic() < deadline, "a COMMAND does not end"
            time.sleep(0.001)

    def end(self):
        """The last run, of which nothing may be left."""
        self.wait_for_orphans()
        source, process = self.start("command", [], keeper_environment(self.run + 1))
        held = self.settle(process, source, "command")
        assert held == [] and source.run in self.ledger.whole, self.said()
        deliveries, messages = self.ledger.check_end()
        self.count["messages"] += messages
        self.count["repeated"] += deliveries - messages

    def play(self, kills):
        while self.count["kills"] < kills and self.run < RUNS_PER_STORY:
            starts = self.tools.library and self.dice.once_in(self.restarts)
            held = self.kill_starts() if starts else self.kill_once()
            if self.dice.once_in(4) and self.spool.is_dir():
                self.look(held)
        self.end()
        return self.count


class FullStory(Story):
    """The same at the cap, where the oldest or the newest is dropped; nothing is on its way out as a
    rule, so that it gets there."""
    sizes = [20_000]
    hows = ["command", *["keep"] * 7]
    keeps = False
    waits = 10_000, 120_000
    restarts = 40

    def make_ledger(self):
        self.policy = self.dice.choice(["drop-oldest", "drop-newest"])
        return LossyLedger(self.spool, self.handed, self.policy)

    def options(self):
        return ["--segment-size", self.dice.choice(["2000", "20000", "1MiB"]), "--disk-max",
                str(CAP), "--on-full", self.policy]

    def settle(self, *arguments):
        held = super().settle(*arguments)
        used = disk_held(self.spool)[1] if self.spool.is_dir() else 0
        assert used <= CAP, f"{used} bytes of disk, of {CAP} that were allowed"
        return held

    def end(self):
        super().end()
        self.count["at the cap"] += bool(self.ledger.gaps)
        self.count["dropped"] += sum(self.ledger.gaps.values())


class SmallDiskStory(FullStory):
    """The same on a disk of its own, where the bound is what has to stay free."""
    size, free = 8 << 20, 4 << 20
    slack = 1 << 20  # what is free is looked at now and then

    def __init__(self, tools, service, place, dice):
        super().__init__(tools, service, place, dice)
        self._disk = place / "disk"
        self._disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.size}", "weir-test", self._disk],
                       check=True)
        self.spool = self.ledger.spool = self._disk / "spool"

    def close(self):
        subprocess.run(["umount", "-l", self._disk], check=True)

    def options(self):
        return ["--segment-size", self.dice.choice(["2000", "20000", "1MiB"]), "--min-free",
                str(self.free), "--on-full", self.policy]

    def settle(self, *arguments):
        held = super().settle(*arguments)
        status = os.statvfs(self._disk)
        assert status.f_bavail * status.f_frsize >= self.free - self.slack, "too little is free"
        self.count["with a disk of its own"] += 1
        return held


class EphemeralStory(Story):
    """Files without names: of a capture that is killed, nothing is left but what was handed on, the
    first messages without a hole. Each run is on its own."""
    hows = ["command", "command", "stdout"]

    def __init__(self, tools, service, place, dice):
        super().__init__(tools, service, place, dice)
        self.spool.mkdir()

    def where(self):
        return ["--ephemeral", "--dir", self.spool]

    def options(self):
        options = ["--segment-size", self.dice.choice(["1", "2000", "200000", "64MiB"]),
                   "--segment-age", self.dice.choice(["0", "5ms", "50ms"])]
        if self.dice.once_in(4):
            options += ["--disk-max", "4MiB"]
        return options

    def kill_once(self):
        """Nothing fails here: what failed is gone at the end, and leaves a hole."""
        self.handed = self.place / f"handed{self.run}"
        self.handed.mkdir()
        self.ledger = self.make_ledger()
        how = self.dice.choice(self.hows)
        environment = keeper_environment(self.run + 1, slow=self.dice.choice([0, 2, 5]))
        exact = self.tools.library and self.dice.once_in(2)
        if exact:
            environment.update(self.kill_at(self.dice.log_uniform(*self.calls)))
        source, process = self.start(how, self.options(), environment)
        if not exact:
            time.sleep(self.dice.log_uniform(*self.waits) / 1e6)
            process.kill()
        self.count["ephemeral"] += 1
        return self.settle(process, source, how)

    def settle(self, process, source, how, follower=None):
        code = self.wait(process)
        self.wait_for_orphans()
        assert code in (0, -signal.SIGKILL), f"exit code {code}\n{self.said()}"
        assert list(self.spool.iterdir()) == [], "a file without a name has one"
        if code == 0:
            self.ledger.is_whole(source)
        if how == "stdout":
            self.ledger.printed((self.place / "out").read_bytes())
        held = self.ledger.check()  # what was handed on has no hole
        self.count["kills"] += code < 0
        self.count["ends"] += code == 0
        return held

    def play(self, kills):
        while self.count["kills"] < kills and self.run < RUNS_PER_STORY:
            self.kill_once()
        return self.count
