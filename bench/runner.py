"""One run: a source, a receiver under `measure`, and the check that everything arrived."""

import os
import subprocess
from dataclasses import dataclass

import tools

TIMEOUT_S = 120
CLOSE_FRAME = 4
WARM_MIB = 192


class Failed(Exception):
    """A run that says nothing, because something did not work."""


@dataclass
class Size:
    title: str
    kind: str
    bytes: int


@dataclass
class Run:
    """Of the receiving process, but for source_cpu_s."""

    messages: int
    bytes: int
    wall_s: float
    cpu_s: float
    rss_bytes: int
    source_cpu_s: float


def expected(size, volume):
    messages = -(-volume // size.bytes)
    return messages, messages * size.bytes


def wire_bytes(size, messages):
    header = 2 if size.bytes <= 125 else 4 if size.bytes <= 65535 else 10
    return messages * (header + size.bytes) + CLOSE_FRAME


class Source:
    """A running bench/source.c, ended with the block."""

    def __init__(self, size, volume):
        command = [tools.built("source"), size.kind, str(size.bytes), str(volume)]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise Failed("the source did not start")
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


def check(tool, run, size, volume):
    """Whether all was stored; what only sees bytes is then credited with the messages in them."""
    messages, payload = expected(size, volume)
    wanted = (0, wire_bytes(size, messages)) if tool.counts_wire_bytes else (messages, payload)
    if (run.messages, run.bytes) != wanted:
        raise Failed(
            f"{tool.name} stored {run.messages} messages, {run.bytes} bytes; "
            f"sent were {wanted[0]}, {wanted[1]}"
        )
    run.messages, run.bytes = messages, payload


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
    check(tool, run, size, volume)
    return run
