"""One run: a source, a receiver under `measure`, and the check that everything arrived."""

import os
import subprocess
from dataclasses import dataclass

import tools

TIMEOUT_S = 120
WARM_MIB = 192


class Failed(Exception):
    """A run that says nothing, because something did not work."""


@dataclass
class Size:
    title: str
    kind: str
    bytes: int
    tls: bool = False


@dataclass
class Run:
    """Of the receiving process, but for source_cpu_s."""

    messages: int
    bytes: int
    wall_s: float
    cpu_s: float
    rss_bytes: int
    source_cpu_s: float


class Source:
    """A running bench/source.c, ended with the block."""

    def __init__(self, size, volume):
        command = [tools.built("source"), size.kind, str(size.bytes), str(volume)]
        if size.tls:
            command.append(tools.CERTIFICATE)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        """It says itself what there will be to receive."""
        words = self.process.stdout.readline().split()
        if not words:
            raise Failed("the source did not start")
        self.url = words[0]
        self.messages, self.bytes, self.wire_bytes = (int(word) for word in words[1:])
        return self

    def __exit__(self, *_exception):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()

    def cpu_s(self):
        """Its user and system time, which /proc counts in ticks of 10 ms."""
        with open(f"/proc/{self.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / 100


def call(tool, source, directory):
    command = [tools.built("measure"), *tool.command(source.url, directory)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{tool.name} did not end within {TIMEOUT_S} s") from None
    stdout, _, usage = done.stdout.rstrip("\n").rpartition("\n")
    wall_ns, user_us, system_us, rss_kib, status = (int(n) for n in usage.split() or [0] * 5)
    if done.returncode or status:
        raise Failed(f"{tool.name} failed (wait status {status}): {done.stderr.strip()}")
    messages, size = tool.parse(stdout, done.stderr)
    cpu_s = (user_us + system_us) / 1e6
    return Run(messages, size, wall_ns / 1e9, cpu_s, rss_kib << 10, source.cpu_s())


def check(tool, run, source):
    """Whether all was stored; what only sees bytes is then credited with the messages in them."""
    sent = (source.messages, source.bytes)
    wanted = (0, source.wire_bytes) if tool.counts_wire_bytes else sent
    if (run.messages, run.bytes) != wanted:
        raise Failed(
            f"{tool.name} stored {run.messages} messages, {run.bytes} bytes; "
            f"sent were {wanted[0]}, {wanted[1]}"
        )
    run.messages, run.bytes = sent


def warm(directory):
    """A virtual machine may give memory that is free for some seconds back to its host, and whoever
    touches it first then pays for that. So it is touched before each run, for all alike."""
    block = bytes(1 << 20)
    file = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o600)
    try:
        for _ in range(WARM_MIB):
            os.write(file, block)
    finally:
        os.close(file)


def run_once(tool, size, volume, directory):
    warm(directory)
    with Source(size, volume) as source:
        run = call(tool, source, directory)
        check(tool, run, source)
    return run


def alternate(names, repeat, measure):
    """Calls `measure(name)` for all in turn, and `repeat` times so, each time beginning with
    another: what changes on the machine changes for all, and none always follows the same other.
    Returns what each call returned: {name: [of each turn]}."""
    results = {name: [] for name in names}
    for turn in range(repeat):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(measure(name))
    return results
