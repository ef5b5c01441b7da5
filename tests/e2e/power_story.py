"""A capture on a recorded disk, and what has to be true of each image of that disk.

While the capture runs, it says how much of it is durable, and with it how far the disk had come
(tests/power/claimant.c); COMMAND notes the same when it has a segment. So it is known of every image
what must be in it. Then weir is started on it as after a loss of power.
"""

import collections
import ctypes
import os
import signal
import subprocess
import time
from dataclasses import dataclass, field

import frames
from apart import libc
from harness import LIMIT
from kills import wait_for
from power_disk import RecordedDisk, choose_cuts, explore, mount_memory, own_mounts, sync_other
from servers.hostile import HostileServer
from spool_reader import read_segment, read_spool
from torture import FILLER, Dice, keeper_environment

LAST_RUN = 99  # its messages are sent to each image


@dataclass
class Programs:
    recorder: object
    claimant: object
    keeper: object
    weir: object
    environment: dict


@dataclass
class Plan:
    """What is recorded: `sync` is a mode of weir's and its value."""
    file_system: object
    sync: tuple
    keep: bool = False
    segment_bytes: int = 20_000
    runs: int = 2
    messages: int = 800
    lying: bool = False  # what is captured is taken for durable

    @property
    def is_synced(self):
        return self.sync[0] != "none"

    def __str__(self):
        how = "kept" if self.keep else "handed on"
        return f"{self.file_system.name}, {' '.join(map(str, self.sync))}, {how}"


class Paced:
    """The messages of a run, sent in small pieces for a second or so."""

    def __init__(self, dice, run, count):
        self.run, self._dice = run, Dice(dice.getrandbits(64))
        self.payloads = [self._payload(number) for number in range(count)]
        self._pause = dice.choice([0, 0.0005, 0.002])

    def _payload(self, number):
        size = 40_000 if self._dice.once_in(200) else self._dice.randrange(300)
        at = self._dice.randrange(len(FILLER) - size)
        return b"%d %d %s" % (self.run, number, FILLER[at:at + size])

    def script(self, connection):
        stream, at = frames.texts(self.payloads), 0
        try:
            connection.upgrade()
            while at < len(stream):
                size = self._dice.log_uniform(20, 20_000)
                connection.send(stream[at:at + size])
                at += size
                time.sleep(self._pause * self._dice.random())
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass


@dataclass
class Facts:
    """What is known of a recording. Positions are those of the log."""
    sent: dict = field(default_factory=dict)  # by run
    claims: list = field(default_factory=list)  # (position, run, how many of it are durable)
    signed: list = field(default_factory=list)  # (position, places, the last record number)
    places: dict = field(default_factory=dict)  # by record number: (run, number) of a message
    numbers: dict = field(default_factory=dict)  # the other way round

    def place(self, payload):
        run, number = map(int, payload.split(b" ", 2)[:2])
        assert self.sent[run][number] == payload, f"never sent: {payload[:40]}"
        return run, number

    def note(self, segment):
        places = []
        for record in segment.records:
            if record.is_message:
                place = self.place(record.payload)
                known = self.places.setdefault(record.seq, place)
                assert known == place, f"record {record.seq} is {known} and {place}"
                assert self.numbers.setdefault(place, record.seq) == record.seq
                places.append(place)
        return places

    def required(self, position):
        """The messages that an image has to hold, and a record number that is given already."""
        durable = {(run, number) for at, run, count in self.claims if at <= position
                   for number in range(count)}
        last = max((self.numbers[place] for place in durable if place in self.numbers), default=-1)
        for at, places, seq in self.signed:
            if at <= position:
                durable -= set(places)
                last = max(last, seq)
        return durable, last


class Recording:
    """Runs captures on a recorded disk; `facts` says what is known then."""

    def __init__(self, root, plan, programs, dice):
        self.plan, self.programs, self.dice = plan, programs, dice
        self.facts, self.root = Facts(), root
        self.disk = RecordedDisk(root, plan.file_system, programs.recorder)
        self.handed = root / "handed"
        self.handed.mkdir()
        self.spool = self.disk.there / "spool"
        self._source = None
        self._copies = 0
        server = HostileServer(lambda connection: self._source.script(connection))
        for run in range(1, plan.runs + 1):
            self._run(server.url, run, dice.once_in(2))
        server.finish()
        self.disk.finish()

    def _start(self, url, run):
        plan, programs = self.plan, self.programs
        keeper = [] if plan.keep else [programs.keeper, self.handed]
        with open(self.root / "out", "wb") as out, open(self.root / "err", "wb") as err:
            return subprocess.Popen(
                [programs.claimant, self.disk.log, url, self.spool, plan.sync[0],
                 str(plan.sync[1]), str(plan.segment_bytes), *keeper],
                stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**programs.environment, **keeper_environment(run, 0, self.dice.choice([0, 3])),
                     "POSITION_OF": str(self.disk.log)})

    def _run(self, url, run, killed):
        self._source = Paced(self.dice, run, self.plan.messages)
        self.facts.sent[run] = self._source.payloads
        process = self._start(url, run)
        end = time.monotonic() + (self.dice.random() * 0.3 if killed else LIMIT)
        while process.poll() is None and time.monotonic() < end:
            time.sleep(self.dice.random() * 0.02)
            self._sync_something()
        process.kill()
        code = wait_for(process, (self.root / "err").read_text)
        said = (self.root / "err").read_text()
        assert code == 0 or (killed and code == -signal.SIGKILL), f"exit code {code}: {said}"
        time.sleep(0.05)  # what COMMAND has begun, it ends
        self._note(run)

    def _sync_something(self):
        """What others do on the same disk takes parts of the spool along."""
        if self.dice.once_in(4):
            sync_other(self.disk.there)
        elif self.dice.once_in(4):
            fd = os.open(self.disk.there, os.O_RDONLY)
            libc.syncfs(ctypes.c_int(fd))
            os.close(fd)

    def _note(self, run):
        for line in (self.root / "out").read_text().splitlines():
            captured, durable, position = map(int, line.split(" "))
            self.facts.claims.append((position, run, captured if self.plan.lying else durable))
        for segment in read_spool(self.spool) if self.spool.is_dir() else []:
            self.facts.note(segment)
        order = self.handed / "order"
        lines = order.read_text().splitlines() if order.exists() else []
        for line in lines[self._copies:]:
            name, _, seq, position = line.split(" ")
            segment = read_segment(self.handed / name / f"{int(seq):020}.index")
            places = self.facts.note(segment)
            self.facts.signed.append((int(position), places,
                                      segment.first_seq + len(segment.records) - 1))
        self._copies = len(lines)


class Examiner:
    """What weir makes of an image."""

    def __init__(self, facts, plan, programs):
        self.facts, self.plan, self.programs = facts, plan, programs
        self.new = [b"%d %d new" % (LAST_RUN, number) for number in range(3)]
        self.facts.sent[LAST_RUN] = self.new
        self._server = None  # of the process that examines

    def url(self):
        if not self._server:
            stream = frames.texts(self.new)

            def script(connection):
                connection.upgrade(more=stream)
                connection.finish()
            self._server = HostileServer(script)
        return self._server.url

    def examine(self, root, position, directory):
        required, last = self.facts.required(position)
        spool, count = root / "spool", collections.Counter(images=1, required=len(required))
        count["images with nothing to find"] += not required
        if spool.is_dir():
            self.look(spool, required, count)
        self.start(spool, directory, required, last, count)
        return count

    def run(self, *arguments, environment=None):
        return subprocess.run(
            [self.programs.weir, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT, check=False, env={**self.programs.environment, **(environment or {})})

    def look(self, spool, required, count):
        """weir cat, before anything is repaired."""
        done = self.run("cat", spool)
        assert done.returncode in (0, 5), done.stderr.decode()
        places = list(map(self.facts.place, done.stdout.split(b"\n")[:-1]))
        assert places == sorted(set(places)), "weir cat: not in order"
        missing = required - set(places)
        assert not missing, f"weir cat: {len(missing)} of {len(required)} durable messages are not" \
                            f" there: {sorted(missing)[:5]}\n{done.stderr.decode()}"
        count["cat found damage"] += done.returncode == 5

    def start(self, spool, directory, required, last, count):
        """A capture on it, and what COMMAND gets of it."""
        handed = directory / "handed"
        handed.mkdir()
        done = self.run("capture", self.url(), "--spool", spool, "--", self.programs.keeper, handed,
                        "{}", environment=keeper_environment(LAST_RUN))
        said = done.stderr.decode()
        assert done.returncode == 0, f"exit code {done.returncode}\n{said}"
        records = self.copies(handed)
        self.check(records, required, last, said)
        count["delivered"] += len(records)
        left = {path.name.split(".", 1)[-1] for path in spool.iterdir()} - {"lock"}
        assert all(".aside" in name for name in left), left
        count["images with files put aside"] += bool(left)

    def copies(self, handed):
        """(number, payload) of all messages that were handed on, in that order."""
        records = []
        order = handed / "order"
        for line in order.read_text().splitlines() if order.exists() else []:
            name, _, seq, _ = line.split(" ")
            segment = read_segment(handed / name / f"{int(seq):020}.index")
            records += [(r.seq, r.payload) for r in segment.records if r.is_message]
        subprocess.run(["rm", "-rf", handed], check=True)
        return records

    def check(self, records, required, last, said):
        numbers = [seq for seq, _ in records]
        assert numbers == sorted(set(numbers)), "numbers go back"
        places = [self.facts.place(payload) for _, payload in records]
        assert places == sorted(set(places)), "not in order"
        new = [(seq, place) for seq, place in zip(numbers, places) if place[0] == LAST_RUN]
        assert len(new) == len(self.new), f"the new messages did not come\n{said}"
        for seq, place in zip(numbers, places):
            if place[0] != LAST_RUN:
                assert self.facts.places.get(seq, place) == place, f"record {seq} is another one"
        missing = required - set(places)
        assert not missing, f"{len(missing)} of {len(required)} durable messages are nowhere: " \
                            f"{sorted(missing)[:5]}\n{said}"
        if self.plan.is_synced:
            assert new[0][0] > last, f"number {new[0][0]} is given again, {last} was already"


def record_and_lose(root, plan, programs, images, dice):
    """To be done apart. Returns what was counted over all images."""
    own_mounts()
    mount_memory(root)
    recording = Recording(root, plan, programs, dice)
    examiner = Examiner(recording.facts, plan, programs)
    cuts = choose_cuts(recording.disk.entries, images, dice)
    counts, refused = explore(recording.disk, cuts, dice, examiner.examine)
    total = sum(counts, collections.Counter())
    total["refused by the file system"] += refused
    total["claims"] = len(recording.facts.claims)
    total["entries of the log"] = len(recording.disk.entries)
    return total
