"""What the torture needs: options, a source whose every message is known, and a ledger of them."""

import os
import random
import shutil
import subprocess
import time
from pathlib import Path

import frames
from servers.hostile import Connection
from spool_reader import DROPPED, GAP, end_of, read_segment, segment_paths

SEED = int(os.environ.get("WEIR_TORTURE_SEED") or time.time_ns() % 1_000_000)
KILLS = int(os.environ.get("WEIR_TORTURE_KILLS") or 2000)
IMAGES = int(os.environ.get("WEIR_TORTURE_IMAGES") or 400)
CYCLES = int(os.environ.get("WEIR_TORTURE_CYCLES") or 200)
FAULTS = int(os.environ.get("WEIR_TORTURE_FAULTS") or 300)
REAPS = int(os.environ.get("WEIR_TORTURE_REAPS") or 20_000)
FLIPS = int(os.environ.get("WEIR_TORTURE_FLIPS") or 20_000)
MODEL = int(os.environ.get("WEIR_TORTURE_MODEL") or 5000)
DISCONNECTS = int(os.environ.get("WEIR_TORTURE_DISCONNECTS") or 1000)
SECONDS = float(os.environ.get("WEIR_TORTURE_SECONDS") or 40)
KILL_SOURCE = Path(__file__).resolve().parents[1] / "fault" / "kill.c"
LIBRARY = ["-fPIC", "-shared", "-fvisibility=hidden", "-ldl"]
FILLER = random.Random(0).randbytes(1 << 20).hex().encode()


class Dice(random.Random):
    """Everything random comes from one of these, so that the printed seed replays it."""

    def __init__(self, *what):
        super().__init__(" ".join(map(str, (SEED, *what))))

    def once_in(self, n):
        return self.randrange(n) == 0

    def log_uniform(self, least, most):
        return int(least * (most / least) ** self.random())


class Source:
    """The messages that one run is sent: `most` of them at most, each with its number."""
    least, writes = 1, (1, 100_000)  # messages, bytes

    def __init__(self, dice, run, most=1500, size=300):
        # Dice of its own, since a thread of its own throws them.
        self.run, self._dice = run, Dice(dice.getrandbits(64))
        self.payloads = [self._payload(n, size) for n in range(dice.log_uniform(self.least, most))]

    def _payload(self, number, size):
        dice = self._dice
        size = dice.randrange(200_000, 600_000) if dice.once_in(3000) else dice.randrange(size)
        at = dice.randrange(len(FILLER) - size)
        return b"%d %d %s" % (self.run, number, FILLER[at:at + size])

    def _frames(self, payload):
        if len(payload) > 20 and self._dice.once_in(50):
            return frames.fragments(frames.TEXT, [payload[:7], b"", payload[7:]])
        return frames.text(payload)

    def script(self, connection: Connection):
        """Sends them in pieces that end anywhere. The client may go away at any time."""
        dice = self._dice
        stream = memoryview(b"".join(map(self._frames, self.payloads)))
        pause = dice.choice([0, 0, 0.0005, 0.003])
        try:
            connection.upgrade()
            while stream:
                size = dice.log_uniform(*self.writes)
                connection.send(stream[:size])
                stream = stream[size:]
                time.sleep(pause)
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass


class Ledger:
    """Who has which message: the spool, or those to whom it was handed on.

    Only what is new is read, so that a look after each of many kills costs little.
    """

    def __init__(self, spool, handed):
        self.spool, self._handed = spool, handed
        self._sources = {}
        self.whole = set()  # runs that came to their end
        self._seen = {}  # by record number: all that ever stood in the spool
        self._most = {}  # by run: how many of its messages were ever seen
        self._delivered = {}  # by run: the numbers of its messages that somebody has
        self._deliveries = 0
        self._order_read = 0  # bytes of the list of copies
        self._last = {}  # by run: the segment handed on last
        self._copied = {}  # by first record number: how many records
        self._gone = {}  # segments with somebody and not in the spool any more: since which run
        self._cache = {}  # sealed segments, which do not change

    def add(self, source):
        self._sources[source.run] = source

    def is_whole(self, source):
        self.whole.add(source.run)

    def printed(self, output):
        """What a run wrote to standard output: a line for each message, the last one maybe cut."""
        lines = output.split(b"\n")[:-1]
        places = [self._place(line) for line in lines]
        assert places == sorted(set(places)), "printed twice, or in the wrong order"
        self._deliver(places)

    def check_printed(self, lines):
        """Messages that somebody saw in the spool, who does not have them."""
        places = [self._place(line) for line in lines]
        assert places == sorted(set(places)), "printed twice, or in the wrong order"

    def _place(self, payload):
        """The run and the number of a message, which must be one that was sent."""
        run, number = map(int, payload.split(b" ", 2)[:2])
        sent = self._sources[run].payloads
        assert number < len(sent) and sent[number] == payload, f"never sent: {payload[:40]}"
        self._most[run] = max(self._most.get(run, 0), number + 1)
        return run, number

    def _deliver(self, places):
        self._deliveries += len(places)
        for run, number in places:
            self._delivered.setdefault(run, set()).add(number)

    def _read_copies(self):
        order = self._handed / "order"
        if not order.exists():
            return
        with open(order, "rb") as lines:
            lines.seek(self._order_read)
            text = lines.read()
        self._order_read += len(text)
        for line in text.decode().splitlines():
            name, run, seq, _ = line.split(" ")
            self._read_copy(self._handed / name, run, int(seq))

    def _read_copy(self, place, run, seq):
        assert seq > self._last.get(run, -1), f"run {run}: segment {seq} is not in order"
        # A COMMAND may outlive a weir of before.
        assert int(run) <= self._gone.get(seq, int(run)), f"segment {seq} came after it was done"
        self._last[run] = seq
        segment = read_segment(place / f"{seq:020}.index")
        known = self._copied.setdefault(seq, len(segment.records))
        assert known == len(segment.records), f"segment {seq} came again with another length"
        self._deliver(self._note(segment))
        shutil.rmtree(place)

    def _note(self, segment):
        """Checks the records of a segment; returns the places of its messages."""
        places = []
        for record in segment.records:
            if not record.is_message:
                continue
            known = self._seen.setdefault(record.seq, record.payload)
            assert known == record.payload, f"record {record.seq} is now another one"
            run, number = self._place(record.payload)
            last = places[-1] if places else (run, number - 1)
            assert (run, number) == (last[0], last[1] + 1), f"{run} {number} stands behind {last}"
            places.append((run, number))
        return places

    def _segments(self):
        """Those in the spool; read_spool() for who has seen the sealed ones before."""
        end, known, self._cache = 0, self._cache, {}
        for path in segment_paths(self.spool) if self.spool.is_dir() else []:
            status = path.stat()
            key = (path.name, status.st_ino, status.st_size, status.st_mtime_ns)
            segment = known.get(key) or read_segment(path)
            if segment.sealed:
                self._cache[key] = segment
            assert segment.first_seq >= end, f"{path}: its numbers were given before"
            end = end_of(segment)
            yield segment

    def check(self):
        """Returns the messages that are in the spool."""
        self._read_copies()
        held, there, present = [], {}, set()
        for segment in self._segments():
            present.add(segment.first_seq)
            for run, number in self._note(segment):
                there.setdefault(run, set()).add(number)
            held += [r.payload for r in segment.records if r.is_message]
        for seq in self._copied.keys() - present:
            self._gone.setdefault(seq, max(self._sources))
        for run in self._most:
            self._check_run(run, self._delivered.get(run, set()) | there.get(run, set()))
        for run in self.whole:
            self._check_whole(run, self._delivered.get(run, set()) | there.get(run, set()))
        return held

    def _check_run(self, run, numbers):
        """What was in the spool is there or with somebody, from the first message on."""
        missing = self._most[run] - len(numbers)
        assert missing == 0, f"run {run}: of {self._most[run]} messages, {missing} are nowhere"

    def _check_whole(self, run, numbers):
        sent = len(self._sources[run].payloads)
        assert len(numbers) == sent, f"run {run}: ended well with {len(numbers)} of {sent}"

    def numbers(self, run, held):
        """Of the messages of a run that are there, when check() has returned `held`."""
        return self._delivered.get(run, set()) | {
            number for one, number in map(self._place, held) if one == run}

    def check_end(self):
        """Everything was handed on."""
        assert self.check() == []
        left = sorted(path.name for path in self.spool.iterdir())
        assert left == ["lock"], f"left in the spool: {left}"
        return self._deliveries, sum(map(len, self._delivered.values()))


class LossyLedger(Ledger):
    """Of captures that may drop messages where there is no room: the oldest segments, or the newest
    messages. What is dropped stands in a gap."""

    def __init__(self, spool, handed, policy):
        super().__init__(spool, handed)
        self._drops_oldest = policy == "drop-oldest"
        self._captured = {}  # by run: the numbers of messages that stood in the spool
        self.gaps = {}  # by record number: how many messages were dropped

    def _note(self, segment):
        places, dropped = [], 0
        for record in segment.records:
            if record.kind == GAP and record.cause == DROPPED:
                dropped += record.value
                self.gaps[record.seq] = record.value
            if not record.is_message:
                continue
            known = self._seen.setdefault(record.seq, record.payload)
            assert known == record.payload, f"record {record.seq} is now another one"
            run, number = self._place(record.payload)
            if places:
                missing = number - places[-1][1] - 1
                wanted = 0 if self._drops_oldest else dropped
                assert missing == wanted, f"run {run}: {missing} are missing before {number}, " \
                                          f"{wanted} were dropped"
            dropped = 0
            places.append((run, number))
            self._captured.setdefault(run, set()).add(number)
        return places

    def _check_run(self, run, numbers):
        if not self._drops_oldest:
            missing = self._captured.get(run, set()) - numbers
            assert not missing, f"run {run}: captured, and nowhere: {sorted(missing)[:20]}"

    def _check_whole(self, run, numbers):
        pass


def build(source, directory, *options):
    """A program or a library of the tests, in C."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    path = directory / source.stem
    subprocess.run([*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-O1", source, "-o", path,
                    *options], check=True)
    return path


def build_keeper(directory):
    """Static, so that it starts at once."""
    return build(Path(__file__).with_name("keeper.c"), directory, "-static")


def keeper_environment(run, fail=0, slow=0):
    return {"RUN": str(run), "FAIL": str(fail), "SLOW": str(slow)}
