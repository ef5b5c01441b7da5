"""What the torture needs: options, a source whose every message is known, and a ledger of them."""

import os
import random
import time

import frames
from servers.hostile import Connection
from spool_reader import read_segment, read_spool

SEED = int(os.environ.get("WEIR_TORTURE_SEED") or time.time_ns() % 1_000_000)
KILLS = int(os.environ.get("WEIR_TORTURE_KILLS") or 240)
FAULTS = int(os.environ.get("WEIR_TORTURE_FAULTS") or 300)
REAPS = int(os.environ.get("WEIR_TORTURE_REAPS") or 20_000)
DISCONNECTS = int(os.environ.get("WEIR_TORTURE_DISCONNECTS") or 1000)
SECONDS = float(os.environ.get("WEIR_TORTURE_SECONDS") or 40)
FILLER = random.Random(0).randbytes(1 << 20).hex().encode()

# Keeps a copy of the segment, and signs for it in `order` when the copy is whole. One in $FAIL
# segments fails before that and one behind it; one in $SLOW takes its time.
KEEP = """
here=$1/$RUN.$WEIR_FIRST_SEQ.$$
fate=$((WEIR_FIRST_SEQ * 7919 + RUN * 31))
mkdir "$here" || exit 2
if [ "$SLOW" -gt 0 ] && [ $((fate % SLOW)) -eq 0 ]; then sleep 0.02; fi
if [ "$FAIL" -gt 0 ] && [ $((fate % FAIL)) -eq 1 ]; then exit 3; fi
cp "$2" "$WEIR_INDEX" "$here" || exit 4
echo "$here $RUN $WEIR_FIRST_SEQ" >>"$1/order"
if [ "$FAIL" -gt 0 ] && [ $((fate % FAIL)) -eq 2 ]; then exit 5; fi
"""


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

    def __init__(self, dice, run, most=1500, size=300):
        # Dice of its own, since a thread of its own throws them.
        self.run, self._dice = run, Dice(dice.getrandbits(64))
        self.payloads = [self._payload(n, size) for n in range(dice.log_uniform(1, most))]

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
        stream = b"".join(map(self._frames, self.payloads))
        pause = dice.choice([0, 0, 0.0005, 0.003])
        try:
            connection.upgrade()
            while stream:
                size = dice.log_uniform(1, 100_000)
                connection.send(stream[:size])
                stream = stream[size:]
                time.sleep(pause)
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass


class Ledger:
    """Who has which message: the spool, or those to whom it was handed on."""

    def __init__(self, spool, handed):
        self.spool, self._handed = spool, handed
        self._sources = {}
        self._whole = set()  # runs that came to their end
        self._seen = {}  # by record number: all that ever stood in the spool
        self._delivered = {}  # payload: how often
        self._read = set()  # of the directory with copies
        self._last = {}  # by run: the segment handed on last

    def add(self, source):
        self._sources[source.run] = source

    def is_whole(self, source):
        self._whole.add(source.run)

    def printed(self, output):
        """What a run wrote to standard output: a line for each message, the last one maybe cut."""
        lines = output.split(b"\n")[:-1]
        places = [tuple(map(int, line.split(b" ")[:2])) for line in lines]
        assert places == sorted(set(places)), "printed twice, or in the wrong order"
        self._deliver(lines)

    def _deliver(self, payloads):
        for payload in payloads:
            self._delivered[payload] = self._delivered.get(payload, 0) + 1

    def _read_copies(self):
        order = self._handed / "order"
        for line in order.read_text().splitlines() if order.exists() else []:
            if line in self._read:
                continue
            self._read.add(line)
            place, run, seq = line.split(" ")
            seq = int(seq)
            assert seq > self._last.get(run, -1), f"run {run}: segment {seq} is not in order"
            self._last[run] = seq
            segment = read_segment(self._handed / place / f"{seq:020}.index")
            self._note(segment)
            self._deliver(r.payload for r in segment.records if r.is_message)

    def _note(self, segment):
        for record in segment.records:
            if record.is_message:
                known = self._seen.setdefault(record.seq, record.payload)
                assert known == record.payload, f"record {record.seq} is now another one"

    def check(self):
        """Returns the messages that are in the spool."""
        self._read_copies()
        held = []
        for segment in read_spool(self.spool) if self.spool.is_dir() else []:
            self._note(segment)
            held += [r.payload for r in segment.records if r.is_message]
        there = set(held) | self._delivered.keys()
        lost = [seq for seq, payload in self._seen.items() if payload not in there]
        assert not lost, f"records were in the spool and are nowhere now: {lost[:20]}"
        for run, source in self._sources.items():
            self._check_run(source, [p for p in there if p.startswith(b"%d " % run)])
        return held

    def _check_run(self, source, payloads):
        payloads.sort(key=lambda payload: int(payload.split(b" ")[1]))
        assert payloads == source.payloads[:len(payloads)], \
            f"run {source.run}: not a beginning of what was sent"
        assert source.run not in self._whole or len(payloads) == len(source.payloads), \
            f"run {source.run}: ended well with {len(payloads)} of {len(source.payloads)}"

    def check_end(self):
        """Everything was handed on."""
        assert self.check() == []
        left = sorted(path.name for path in self.spool.iterdir())
        assert left == ["lock"], f"left in the spool: {left}"
        return sum(self._delivered.values()), len(self._delivered)


def keeper(handed):
    return ["sh", "-c", KEEP, "sh", handed, "{}"]


def keeper_environment(run, fail=0, slow=0):
    return {"RUN": str(run), "FAIL": str(fail), "SLOW": str(slow)}
