"""Which stories kills.py has, and the one of large messages, which have to give up the segment that
they began in."""

import collections
import ctypes
import os
import shutil

import frames
import torture
from apart import libc
from harness import disk_held
from kills import PR_SET_CHILD_SUBREAPER, EphemeralStory, FullStory, Service, \
    SmallDiskStory, Story
from servers.hostile import HostileServer
from torture import FILLER, Dice, Ledger, LossyLedger, Source

CAP = 8 << 20
LARGE = 4 << 20  # what is less can be taken into memory


class LargeSource(Source):
    """Between small messages stand some that take nearly all that the cap leaves: so that there is room
    for all of one only when those before it are gone."""
    least, writes = 6, (1000, 1_000_000)

    def _payload(self, number, size):
        dice = self._dice
        if number == 0 or number % 7 != self.run % 7:
            return super()._payload(number, size)
        size = CAP - dice.log_uniform(150_000, 2_000_000)
        return b"%d %d %s" % (self.run, number, (FILLER * (CAP // len(FILLER)))[:size])

    def _frames(self, payload):
        if len(payload) < LARGE or self._dice.once_in(2):
            return super()._frames(payload)
        ends = sorted(self._dice.randrange(len(payload)) for _ in range(self._dice.randrange(1, 9)))
        return frames.fragments(frames.TEXT, [payload[start:end] for start, end
                                              in zip([0, *ends], [*ends, len(payload)])])


class Splits:
    """Knows of the segments that begin with a large message. The one before had room for it, since what
    comes between two of them fills none: so it was moved."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.splits = set()

    def _note(self, segment):
        first = segment.records[0] if segment.records else None
        if first and len(first.payload) > LARGE:
            self.splits.add(segment.first_seq)
        return super()._note(segment)


class SplitLedger(Splits, Ledger):
    pass


class LossySplitLedger(Splits, LossyLedger):
    pass


class LargeStory(Story):
    sizes = [30_000, 200_000]
    most = 30
    waits = 20_000, 150_000
    calls = 20, 300
    restarts = 40
    source = LargeSource
    kills = 5  # each takes as long as a dozen of others

    def __init__(self, tools, service, place, dice):
        super().__init__(tools, service, place, dice)
        self._second = HostileServer(self._say_nothing)

    def make_ledger(self):
        if self.dice.once_in(3):
            self.policy, self.keeps, self.hows = "drop-oldest", False, ["command", "keep"]
            return LossySplitLedger(self.spool, self.handed, self.policy)
        self.policy, self.hows = "block", ["command", "command", "stdout"]
        return SplitLedger(self.spool, self.handed)

    @staticmethod
    def _say_nothing(connection):
        try:
            connection.upgrade()
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass

    def urls(self):
        """With a second source, what is sent goes through a file before it is a message."""
        return [self.service.url, *([self._second.url] if self.dice.once_in(4) else [])]

    def close(self):
        self._second.finish()

    def start_options(self):
        return ["--disk-max", str(CAP), "--on-full", self.policy]

    def options(self):
        options = self.start_options() + ["--segment-age", self.dice.choice(["0", "10s"])]
        if self.dice.once_in(2):
            options += ["--sync", self.dice.choice(["every", "seal", "interval=2ms", "bytes=1M"])]
        if self.tools.knows("--compress") and self.dice.once_in(4):
            options += ["--compress", "zstd"]
        return options

    def settle(self, *arguments):
        held = super().settle(*arguments)
        used = disk_held(self.spool)[1] if self.spool.is_dir() else 0
        assert used <= CAP, f"{used} bytes of disk, of {CAP} that were allowed"
        self.count["killed while one moved"] += len(list(self.spool.glob("*.index.open"))) > 1
        return held

    def end(self):
        super().end()
        self.count["large messages moved"] += len(self.ledger.splits)


def kind_of_story(tools, dice):
    if dice.once_in(10):
        return LargeStory
    if tools.knows("--on-full") and dice.once_in(6):
        return SmallDiskStory if tools.knows("--min-free") and dice.once_in(3) and \
            os.getuid() == 0 else FullStory
    return EphemeralStory if tools.knows("--ephemeral") and dice.once_in(8) else Story


def stories(tools, root, worker, kills):
    """Story after story, until there were so many kills. Returns what happened how often."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, ctypes.c_ulong(1))
    service, total, number = Service(), collections.Counter(), 0
    while total["kills"] < kills:
        place = root / f"story{worker}.{number}"
        dice = Dice("kills", worker, number)
        story = kind_of_story(tools, dice)(tools, service, place, dice)
        try:
            total += story.play(min(story.kills, kills - total["kills"]))
        except AssertionError as failure:
            raise AssertionError(f"seed {torture.SEED}, story {worker}.{number} in {place}, run "
                                 f"{story.run}: {failure}") from failure
        finally:
            story.close()
        shutil.rmtree(place)
        number += 1
    service.finish()
    return total
