"""Each call that a capture makes on its spool fails, one after the other.

The scenario is always the same: a start on what a killed run has left (a sealed segment and an open
one), a capture of some segments more, a COMMAND for all of them. It is run once to see which calls it
makes; then once for each of them, which fails. Nothing crashes or hangs; what was captured is with
COMMAND or in the spool; nothing is called durable that is not; and the next start delivers the rest.
"""

import collections
import json
import os
import shutil
import subprocess

import pytest

from apart import Apart, results
from frames import texts
from harness import SANITIZED, wait_until, weir_path
from kills import Tools, wait_for
from servers.hostile import HostileServer
from spool_reader import payloads_of
from test_faults import DOCUMENTED, library  # noqa: F401 (a fixture)
from torture import Ledger, build_keeper, keeper_environment

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")

ERRORS = {
    "write": ["EIO", "ENOSPC", "EDQUOT", "EINTR", "SHORT"],
    "writev": ["ENOSPC", "EIO", "EDQUOT", "EINTR", "SHORT"],
    "pwrite": ["EDQUOT", "EIO", "ENOSPC", "EINTR", "SHORT"],
    "read": ["EIO", "EINTR", "SHORT"], "pread": ["EIO", "EINTR", "SHORT"],
    "openat": ["EMFILE", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "EINTR"],
    "open": ["EMFILE", "ENOSPC", "EDQUOT", "EACCES", "EROFS", "EIO", "EINTR"],
    "reopen": ["EMFILE", "EACCES", "ENOENT", "EIO", "EINTR"],
    "O_TMPFILE": ["EOPNOTSUPP", "ENOSPC", "EIO"], "flock": ["ENOLCK", "EWOULDBLOCK", "EINTR"],
    "linkat": ["EEXIST", "ENOSPC", "EDQUOT", "EIO", "EINTR"],
    "renameat": ["EIO", "ENOSPC", "EDQUOT", "EROFS"],
    "renameat2": ["EIO", "ENOSPC", "EDQUOT", "EROFS"],
    "unlinkat": ["EIO", "EACCES", "EROFS"], "rmdir": ["EIO"],
    "ftruncate": ["EIO", "EPERM", "EINTR"], "fchmod": ["EPERM", "EIO"],
    "fallocate": ["ENOSPC", "EDQUOT", "EIO", "EOPNOTSUPP", "EINTR"],
    "fsync": ["EIO", "ENOSPC", "EDQUOT", "EINTR"], "fdatasync": ["ENOSPC", "EIO", "EDQUOT", "EINTR"],
    "fstat": ["EIO", "EACCES", "ENOMEM"], "statvfs": ["EIO", "EINTR"], "mmap": ["ENOMEM"],
    "mkdir": ["EACCES", "ENOSPC", "EDQUOT"], "mkdirat": ["EACCES", "ENOSPC", "EDQUOT"],
    "opendir": ["EMFILE", "ENOMEM"], "readdir": ["EIO"], "lseek": ["EIO"], "dup": ["EMFILE"],
    "fgetxattr": ["EIO", "EOPNOTSUPP"], "fsetxattr": ["ENOSPC", "EOPNOTSUPP"],
    "fremovexattr": ["EIO"], "splice": ["EIO"], "sendfile": ["EIO"],
}


class Sent:
    """The messages of one run, as a ledger wants them."""

    def __init__(self, run, count):
        self.run = run
        self.payloads = [b"%d %d %s" % (run, n, b"x" * (n * 7 % 200 * 8)) for n in range(count)]

    def script(self, connection):
        try:
            connection.upgrade(more=texts(self.payloads))
            connection.finish()
        except (EOFError, OSError, AssertionError):
            pass


LEFT, NEW, LAST = Sent(1, 150), Sent(2, 250), Sent(3, 1)


class Scenario:
    def __init__(self, weir, library, keeper, root):
        self.tools, self.library, self.root = Tools(weir, weir_path(), keeper, None), library, root
        self.server = HostileServer(lambda connection: self.sent.script(connection))
        self.left, self.sent = root / "left", None
        self.options = ["--segment-messages", "100", "--connect-timeout", "5s"]

    def start(self, spool, sent, *rest, environment=None):
        self.sent = sent
        with open(self.root / "out", "wb") as out, open(self.root / "err", "wb") as err:
            return subprocess.Popen(
                [self.tools.program, "capture", self.server.url, "--spool", spool, "--status",
                 "json", *self.options, *rest], stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                env={**self.tools.environment, **(environment or {})})

    def said(self):
        return (self.root / "err").read_text()

    def is_left(self):
        try:
            return self.left.is_dir() and payloads_of(self.left) == LEFT.payloads
        except FileNotFoundError:
            return False  # an index was renamed just now

    def make_what_is_left(self):
        process = self.start(self.left, LEFT, "--keep", environment={"LD_PRELOAD": ""})
        wait_until(self.is_left, "all is captured")
        process.kill()
        process.wait()

    def run(self, place, environment):
        """The scenario in `place`. Returns the ledger, and what weir said."""
        handed, spool = place / "handed", place / "spool"
        handed.mkdir(parents=True)
        shutil.copytree(self.left, spool)
        ledger = Ledger(spool, handed)
        ledger.add(LEFT)
        ledger.add(NEW)
        ledger.check()
        process = self.start(spool, NEW, "--", self.tools.keeper, handed, "{}", environment={
            **keeper_environment(2), "LD_PRELOAD": str(self.library), "WEIR_FAULT_IDLE_SYNC": "1",
            "WEIR_FAULT_PROGRAM": "weir", "WEIR_FAULT_PATH": str(spool), **environment})
        return ledger, wait_for(process, self.said)

    def calls(self):
        """Every call of a run in which nothing fails, as (function, which one)."""
        place = self.root / "calls"
        ledger, code = self.run(place, {"WEIR_FAULT_CALLS": str(place / "log")})
        assert code == 0, self.said()
        ledger.is_whole(NEW)
        ledger.check_end()
        counts = collections.Counter((place / "log").read_text().split())
        return [(name, number) for name in sorted(counts) for number in range(1, counts[name] + 1)]

    def fail(self, fault):
        place = self.root / "case"
        ledger, code = self.run(place, {"WEIR_FAULT": fault, "WEIR_FAULT_LOG": str(place / "log")})
        said = self.said()
        assert code >= 0, f"weir died by signal {-code}"
        if code == 0:
            ledger.is_whole(NEW)
        else:
            assert code in DOCUMENTED and "weir: " in said, f"exit code {code}\n{said}"
            assert (place / "log").exists(), f"failed without a fault\n{said}"
        held = ledger.check()
        self.check_report(said, ledger, held)
        self.deliver_the_rest(place, ledger)
        happened = (place / "log").exists()
        shutil.rmtree(place)
        return happened

    def check_report(self, said, ledger, held):
        """Nothing is counted that is not there."""
        reports = [line for line in said.splitlines() if line.startswith("{")]
        if not reports:
            return
        report = json.loads(reports[-1])
        there = ledger.numbers(NEW.run, held)
        assert report["messages"] <= len(there), f"counted {report['messages']} of {len(there)}"
        assert report.get("durable_messages", 0) <= report["messages"]

    def deliver_the_rest(self, place, ledger):
        ledger.add(LAST)
        process = self.start(place / "spool", LAST, "--", self.tools.keeper, place / "handed", "{}",
                             environment=keeper_environment(3))
        code = wait_for(process, self.said)
        assert code == 0, f"the next run: exit code {code}\n{self.said()}"
        ledger.is_whole(LAST)
        ledger.check_end()


def fail_share(weir, library, keeper, root, options, worker, workers, all_errors):
    root.mkdir()
    scenario = Scenario(weir, library, keeper, root)
    scenario.options += options
    scenario.make_what_is_left()
    calls, count, failures = scenario.calls(), collections.Counter(), []
    unknown = {name for name, _ in calls} - ERRORS.keys()
    assert not unknown, f"no errors are known for {unknown}"
    for name, number in calls[worker::workers]:
        errors = ERRORS[name] if all_errors else [ERRORS[name][number % len(ERRORS[name])]]
        for error in errors:
            fault = f"{name}:{error}:{number}"
            try:
                happened = scenario.fail(fault)
                count[name if happened else "not reached"] += 1
            except AssertionError as failure:
                failures.append(f"{fault}: {failure}")
                shutil.rmtree(root / "case")
    scenario.server.finish()
    return count, failures


def fail_each(weir, place, library, keeper, options, all_errors):
    workers = min(2, os.cpu_count())
    tasks = [Apart(fail_share, weir, library, keeper, place.root / f"worker{n}", options, n, workers,
                   all_errors) for n in range(workers)]
    answers = results(tasks)
    count = sum((answer[0] for answer in answers), collections.Counter())
    failures = sum((answer[1] for answer in answers), [])
    assert not failures, f"{len(failures)} of {sum(count.values())}:\n" + "\n".join(failures)
    print(f"torture: {sum(count.values())} runs with a fault: {dict(count)}")
    assert count["not reached"] <= sum(count.values()) / 2


@pytest.fixture(scope="module")
def keeper(tmp_path_factory):
    return build_keeper(tmp_path_factory.mktemp("keeper"))


OPTIONS = {"plain": [], "every": ["--sync", "every"], "seal": ["--sync", "seal"],
           "capped": ["--disk-max", "4MiB"], "stopping": ["--on-full", "stop"],
           "compressed": ["--compress", "zstd", "--sync", "interval=1ms"]}


@pytest.mark.parametrize("how", ["plain", "every"])
def test_each_call_fails_once(library, weir, place, keeper, how):  # noqa: F811
    fail_each(weir, place, library, keeper, OPTIONS[how], False)


@pytest.mark.torture
@pytest.mark.parametrize("how", OPTIONS)
def test_each_call_fails_in_each_way(library, weir, place, keeper, how):  # noqa: F811
    fail_each(weir, place, library, keeper, OPTIONS[how], True)
