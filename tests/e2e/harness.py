"""Starts weir, waits for it with a time limit, and looks at what it holds while it runs."""

import json
import os
import random
import resource
import signal
import socket
import subprocess
import time
import uuid
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SANITIZED = os.environ.get("WEIR_SANITIZED", "") not in ("", "0")
# Seconds for anything. Less than the 30 after which weir pings, and would wake up what hangs.
LIMIT = int(os.environ.get("WEIR_TEST_LIMIT", 60 if SANITIZED else 28))
PACES_S = 0.1, 0.5, 2.5, 12.5
MARK = "WEIR_TEST_RUN"


def weir_path():
    return Path(os.environ.get("WEIR", ROOT / "build" / "weir")).resolve()


def wait_until(condition, what, limit=LIMIT):
    """Polls; returns the first true value."""
    end = time.monotonic() + limit
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"after {limit} s still not: {what}")
        time.sleep(0.005)
    return value


class Hurried(Exception):
    """The machine was too slow for a limit of time, so that what was to be tested did not happen."""


def ms(seconds):
    """A time, as options have it."""
    return f"{round(seconds * 1000)}ms"


def at_some_pace(attempt, paces=PACES_S):
    """attempt(seconds), with limits of time so long, and with longer ones as long as it is hurried."""
    for pace in paces[:-1]:
        try:
            return attempt(pace)
        except Hurried as hurried:
            print(f"hurried by {ms(pace)}: {hurried}")
    return attempt(paces[-1])


def free_port():
    """Free at this moment, and nothing that the system would give to another socket by itself."""
    while True:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", random.SystemRandom().randrange(10_000, 32_000)))
            except OSError:
                continue
            return probe.getsockname()[1]


@dataclass
class Result:
    args: list
    code: int
    out: bytes
    err: str
    seconds: float

    @property
    def report(self):
        """What --status json said."""
        lines = [line for line in self.err.splitlines() if line.startswith("{")]
        assert len(lines) == 1, f"not exactly one line of JSON:\n{self}"
        return json.loads(lines[0])

    @property
    def complaint(self):
        """The error messages."""
        return "\n".join(line for line in self.err.splitlines() if line.startswith("weir: "))

    def expect(self, code, *words):
        """Checks the exit code, and that a message has all `words` in it, whatever their case."""
        assert self.code == code, f"exit code {self.code} instead of {code}\n{self}"
        if code:
            assert self.complaint, f"failed without a message\n{self}"
        for word in words:
            assert word.lower() in self.complaint.lower(), f"no message says {word!r}\n{self}"
        return self

    def unless_hurried(self, *words):
        """Itself, if no message tells of a limit of time by one of these words."""
        if self.code in (3, 4) and any(word in self.complaint for word in words):
            raise Hurried(str(self))
        return self

    def __str__(self):
        return (f"weir {' '.join(map(str, self.args))}\nexit code {self.code}\n"
                f"standard error:\n{self.err[-4000:]}\n"
                f"standard output: {len(self.out)} bytes, {self.out[:400]!r}")


class Process:
    """A running weir. Output goes to files, unless `stdout` says otherwise."""

    def __init__(self, args, files, **popen):
        self.args = list(args)
        self._out = open(files / f"{uuid.uuid4().hex}.out", "w+b")
        self._err = open(files / f"{uuid.uuid4().hex}.err", "w+b")
        self._begin = time.monotonic()
        options = {"stdin": subprocess.DEVNULL, "stdout": self._out, "stderr": self._err, **popen}
        program = options.pop("program", [weir_path()])
        self.popen = subprocess.Popen([*program, *args], start_new_session=True, **options)
        self.pid = self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    def stopped(self):
        """By a signal that stops processes."""
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def err_so_far(self):
        return Path(self._err.name).read_text(errors="replace")

    def out_so_far(self):
        return Path(self._out.name).read_bytes()

    def signal(self, number=signal.SIGINT):
        self.popen.send_signal(number)

    def wait(self, limit=LIMIT):
        try:
            self.popen.wait(limit)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"still running after {limit} s\n{self._result()}") from None
        return self._result()

    def _result(self):
        return Result(self.args, self.popen.returncode, self.out_so_far(), self.err_so_far(),
                      time.monotonic() - self._begin)

    def kill(self):
        """Ends it and its children, whatever their state."""
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(LIMIT)

    def done(self):
        self.kill()
        for stream in (self._out, self._err, self.popen.stdout, self.popen.stderr):
            if stream:
                stream.close()

    def descriptors(self):
        found = []
        for path in Path(f"/proc/{self.pid}/fd").iterdir():
            try:
                found.append(os.readlink(path))
            except FileNotFoundError:
                continue  # closed since it was listed
        return sorted(found)

    def mappings(self):
        return len(Path(f"/proc/{self.pid}/maps").read_text().splitlines())

    def cpu_seconds(self):
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory(self):
        """Bytes, as the kernel counts them."""
        return self._status_bytes("VmHWM")

    def memory(self):
        return self._status_bytes("VmRSS")

    def _status_bytes(self, name):
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(f"no {name}")


class Weir:
    """The command, bound to one test's directory."""

    def __init__(self, place):
        self.place = place
        self.started = []

    def environment(self, extra=None):
        clean = {k: v for k, v in os.environ.items() if not k.startswith("WEIR_")}
        return {**clean, "TMPDIR": str(self.place.temp), "LC_ALL": "C.UTF-8",
                MARK: self.place.mark, **(extra or {})}

    def start(self, *args, env=None, **popen):
        options = {"cwd": self.place.cwd, **popen}
        arguments = [a if isinstance(a, bytes) else str(a) for a in args]
        process = Process(arguments, self.place.logs, env=self.environment(env), **options)
        self.started.append(process)
        return process

    def run(self, *args, limit=LIMIT, **options):
        return self.start(*args, **options).wait(limit)

    def capture(self, url, *args, **options):
        return self.run("capture", url, *args, **options)

    def captured(self, url, *args, spool=None, **options):
        """Captures into a spool that stays, and returns what weir said and the spool's path."""
        spool = spool or self.place.root / "spool"
        result = self.capture(url, "--keep", "--spool", spool, *args, **options)
        return result, spool

    def start_capture(self, url, *args, **options):
        return self.start("capture", url, *args, **options)

    def cat(self, spool, **options):
        return self.run("cat", spool, **options)


class Place:
    """Directories of one test. `temp` and `cwd` must be empty at its end, but for what may stay."""

    def __init__(self, root):
        self.root, self.mark = root, uuid.uuid4().hex
        self.temp, self.cwd, self.logs = root / "temp", root / "cwd", root / "logs"
        for directory in (self.temp, self.cwd, self.logs):
            directory.mkdir()
        self._may_stay = []

    def may_stay(self, path):
        self._may_stay.append(Path(path))
        return Path(path)

    def left(self):
        paths = [*self.temp.iterdir(), *self.cwd.iterdir()]
        return [str(p) for p in paths if not any(p.match(str(stay)) for stay in self._may_stay)]

    def directory(self, name):
        path = self.root / name
        path.mkdir()
        return path


def marked_processes(mark):
    """The living processes that inherited this test's mark, as 'pid command'."""
    wanted = f"{MARK}={mark}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes():
                found.append(f"{entry.name} {(entry / 'cmdline').read_bytes()!r}")
        except OSError:
            continue
    return found


def kill_marked(mark):
    for found in marked_processes(mark):
        os.kill(int(found.split()[0]), signal.SIGKILL)


def file_sizes(directory, pattern="*"):
    """Of each file: its bytes as it looks, and as the disk counts them."""
    sizes = {}
    for path in Path(directory).glob(pattern):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue
        sizes[path.name, status.st_ino] = (status.st_size, status.st_blocks * 512)
    return sizes


def disk_held(directory, pattern="*"):
    """Bytes that all files held at one moment, as they look and as the disk counts them.

    Looking takes time, in which one file goes and another one grows. So each file counts with what
    it had both before and after that moment.
    """
    before, after = file_sizes(directory, pattern), file_sizes(directory, pattern)
    both = [(before[name], after[name]) for name in before.keys() & after.keys()]
    return tuple(sum(min(one[k], two[k]) for one, two in both) for k in (0, 1))


def limit_core_dumps():
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
