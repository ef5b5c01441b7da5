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
from apart import Unavailable, libc
from harness import LIMIT, MARK, marked_processes, wait_until
from kills import wait_for
from power_disk import (Images, RecordedDisk, choose_cuts, explore, mount_memory, own_mounts,
                        sync_other)
from servers.hostile import HostileServer
from spool_reader import Damage, read_segment
from torture import FILLER, Dice, keeper_environment

KILLED_RUN, LAST_RUN = 98, 99  # those on an image; some images have only the second


@dataclass
class Programs:
    recorder: object
    claimant: object
    keeper: object
    weir: object
    kill_library: object
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
        fs = self.file_system
        return f"{fs.name} ({fs.options}), {' '.join(map(str, self.sync))}, {how}"


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


def place_of(sent, payload):
    """The run and the number of a message, which must be one that was sent."""
    run, number = map(int, payload.split(b" ", 2)[:2])
    assert sent[run][number] == payload, f"never sent: {payload[:40]}"
    return run, number


@dataclass
class Facts:
    """What is known of a recording. Positions are those of the log."""
    sent: dict = field(default_factory=dict)  # by run
    claims: list = field(default_factory=list)  # (position, run, how many of it are durable)
    signed: list = field(default_factory=list)  # (position, places, the last record number)
    places: dict = field(default_factory=dict)  # by record number: (run, number) of a message
    numbers: dict = field(default_factory=dict)  # the other way round
    held: set = field(default_factory=set)  # places that were durable before it began
    last: int = -1  # a record number that was given before it began

    def after(self, position, is_synced):
        """What is still known when the power was lost there. Without sync, numbers may go back."""
        held, last = self.required(position)
        return Facts(sent=dict(self.sent), held=held, last=last if is_synced else -1,
                     numbers={place: self.numbers[place] for place in held},
                     places={self.numbers[place]: place for place in held})

    def place(self, payload):
        return place_of(self.sent, payload)

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
        durable = self.held | {(run, number) for at, run, count in self.claims if at <= position
                               for number in range(count)}
        last = max([self.last, *(self.numbers[place] for place in durable)])
        for at, places, seq in self.signed:
            if at <= position:
                durable -= set(places)
                last = max(last, seq)
        return durable, last


class Recording:
    """Runs captures on a recorded disk; `facts` says what is known then. With an image, the first
    of them begins as after a loss of power, and `facts` says what is known of that."""

    def __init__(self, root, plan, programs, dice, facts=None, image=None):
        self.plan, self.programs, self.dice = plan, programs, dice
        self.facts, self.root = facts or Facts(), root
        self.disk = RecordedDisk(root, plan.file_system, programs.recorder, image)
        self.handed = root / "handed"
        self.handed.mkdir()
        self.spool = self.disk.there / "spool"
        self._source = None
        self._copies = 0
        server = HostileServer(lambda connection: self._source.script(connection))
        first = max(self.facts.sent, default=0) + 1
        for run in range(first, first + plan.runs):
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
        mark = self.programs.environment[MARK]
        wait_until(lambda: not marked_processes(mark), "what COMMAND has begun, it ends")
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
        for index in self.spool.glob("*.index*") if self.spool.is_dir() else []:
            try:
                self.facts.note(read_segment(index))
            except (Damage, FileNotFoundError):
                pass  # of what a loss of power has left
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
        self.new = {run: [b"%d %d new" % (run, number) for number in range(3)]
                    for run in (KILLED_RUN, LAST_RUN)}
        self.sent = {**facts.sent, **self.new}
        self._servers = {}  # by run; of the process that examines

    def url(self, run):
        if run not in self._servers:
            stream = frames.texts(self.new[run])

            def script(connection):
                try:
                    connection.upgrade(more=stream)
                    connection.finish()
                except (EOFError, OSError):
                    assert run == KILLED_RUN
            self._servers[run] = HostileServer(script)
        return self._servers[run].url

    def examine(self, root, position, directory):
        required, last = self.facts.required(position)
        spool, count = root / "spool", collections.Counter(images=1, required=len(required))
        count["images with nothing to find"] += not required
        if spool.is_dir():
            self.look(spool, required, position, count)
        handed, dice = directory / "handed", Dice(position)
        handed.mkdir()
        if dice.once_in(3):
            done = self.start(spool, handed, KILLED_RUN, {
                "LD_PRELOAD": str(self.programs.kill_library), "WEIR_KILL_PROGRAM": "weir",
                "WEIR_KILL": str(dice.log_uniform(1, 100))})
            count["recoveries killed"] += done.returncode == -signal.SIGKILL
        done = self.start(spool, handed, LAST_RUN)
        said = done.stderr.decode()
        assert done.returncode == 0, f"exit code {done.returncode}\n{said}"
        self.check(self.copies(handed), required, last, said)
        left = {path.name.split(".", 1)[-1] for path in spool.iterdir()} - {"lock"}
        assert all(".aside" in name or name == "data.cut" for name in left), left
        count["images with files put aside"] += bool(left)
        return count

    def start(self, spool, handed, run, environment=None):
        """A capture on it. COMMAND gets what is there, and what is sent."""
        return self.run("capture", self.url(run), "--spool", spool, "--", self.programs.keeper,
                        handed, "{}", environment={**keeper_environment(run), **(environment or {})})

    def run(self, *arguments, environment=None):
        return subprocess.run(
            [self.programs.weir, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
            timeout=LIMIT, check=False, env={**self.programs.environment, **(environment or {})})

    def describe(self, spool, position):
        """For whoever has to find out what went wrong."""
        names = sorted((path.name, path.stat().st_size) for path in spool.iterdir())
        claims = [claim for claim in self.facts.claims if claim[0] <= position][-2:]
        signed = [(at, places[:1], places[-1:]) for at, places, _ in self.facts.signed]
        return f"position {position}; last claims {claims}; signed {signed[-6:]}; files {names}"

    def look(self, spool, required, position, count):
        """weir cat, before anything is repaired."""
        done = self.run("cat", spool)
        assert done.returncode in (0, 5), done.stderr.decode()
        places = [place_of(self.sent, line) for line in done.stdout.split(b"\n")[:-1]]
        assert places == sorted(set(places)), "weir cat: not in order"
        missing = required - set(places)
        assert not missing, f"weir cat: {len(missing)} of {len(required)} durable messages are not" \
                            f" there: {sorted(missing)[:5]}\n{done.stderr.decode()}" \
                            f"{self.describe(spool, position)}"
        count["cat found damage"] += done.returncode == 5

    def copies(self, handed):
        """By run, (number, payload) of all messages that were handed on, in that order."""
        records = {KILLED_RUN: [], LAST_RUN: []}
        order = handed / "order"
        for line in order.read_text().splitlines() if order.exists() else []:
            name, run, seq, _ = line.split(" ")
            segment = read_segment(handed / name / f"{int(seq):020}.index")
            records[int(run)] += [(r.seq, r.payload) for r in segment.records if r.is_message]
        subprocess.run(["rm", "-rf", handed], check=True)
        return records

    def check(self, copies, required, last, said):
        known = dict(self.facts.places)
        delivered = {}
        for records in copies.values():
            places = [(seq, place_of(self.sent, payload)) for seq, payload in records]
            assert places == sorted(set(places)), "numbers go back"
            assert sorted(place for _, place in places) == [place for _, place in places], \
                "not in order"
            for seq, place in places:
                if place[0] not in self.new:
                    assert known.get(seq, place) == place, f"record {seq} is another one"
                assert delivered.setdefault(seq, place) == place, f"record {seq} is two"
        missing = required - set(delivered.values())
        assert not missing, f"{len(missing)} of {len(required)} durable messages are nowhere: " \
                            f"{sorted(missing)[:5]}\n{said}"
        new = [seq for seq, place in delivered.items() if place[0] == LAST_RUN]
        assert len(new) == len(self.new[LAST_RUN]), f"the new messages did not come\n{said}"
        assert new[-1] == max(delivered), "the new messages are not the last"
        if self.plan.is_synced:
            assert new[0] > last, f"number {new[0]} is given again, {last} was already"


def explore_recording(recording, images):
    examiner = Examiner(recording.facts, recording.plan, recording.programs)
    cuts = choose_cuts(recording.disk.entries, images, recording.dice)
    counts, refused = explore(recording.disk, cuts, recording.dice, examiner.examine)
    total = sum(counts, collections.Counter())
    total["refused by the file system"] += refused
    total["claims"] += len(recording.facts.claims)
    total["entries of the log"] += len(recording.disk.entries)
    return total


def record_again(recording, root, plan):
    """What is done after a loss of power at some moment of a recording, and recorded as well."""
    disk, dice = recording.disk, recording.dice
    cut = dice.randrange(len(disk.entries)) + 1
    image = Images(disk, recording.root).make(cut, dice)
    facts = recording.facts.after(disk.entries_end(cut), recording.plan.is_synced)
    return Recording(root, plan, recording.programs, dice, facts, image)


def record_and_lose(root, plan, again, programs, images, dice):
    """To be done apart. Returns what was counted over all images, half of which have lost their
    power a second time while the plan `again` was carried out on them."""
    own_mounts()
    mount_memory(root)
    recording = Recording(root / "first", plan, programs, dice)
    if not again:
        return explore_recording(recording, images)
    total = explore_recording(recording, images - images // 2)
    try:
        recording = record_again(recording, root / "again", again)
    except Unavailable:
        total["refused by the file system"] += 1
        return total
    total["held"] += len(recording.facts.held)
    return total + explore_recording(recording, images // 2)
