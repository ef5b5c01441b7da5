"""A server program that others wrote: found, started, waited for, and ended without a trace."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import uuid
from pathlib import Path

import pytest

from harness import LIMIT, MARK, free_port, kill_marked, marked_processes, wait_until

ATTEMPTS = 3


def find_program(name, package):
    """Its path. Without the package the test is skipped, but not where changes are checked."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if path:
        return path
    complaint = f"{name} is not installed (Debian: apt-get install {package})"
    if os.environ.get("CI"):
        pytest.fail(complaint)
    pytest.skip(complaint)


class Program:
    """What a program needs to run: its name and package, command(), and whether it is ready()."""

    name = package = None

    def __init__(self):
        self._path = find_program(self.name, self.package)
        self._mark = uuid.uuid4().hex
        # Not in pytest's directory of the test: the path of a socket may be 107 bytes long.
        self.directory = Path(tempfile.mkdtemp(prefix=f"{self.name}-"))
        self.log = self.directory / "log"
        try:
            self.start()
        except BaseException:
            shutil.rmtree(self.directory)
            raise

    def command(self):
        """The arguments; called before each start."""
        raise NotImplementedError

    def choose_ports(self):
        self.port = free_port()

    def ready(self):
        return listens(self.port)

    @property
    def url(self):
        return f"ws://127.0.0.1:{self.port}/"

    def start(self):
        for _ in range(ATTEMPTS):
            self.choose_ports()
            if self._start():
                return
        raise AssertionError(f"{self.name} does not start:\n{self.said()}")

    def start_again(self):
        """On the same ports, after it was ended."""
        assert self._start(), f"{self.name} does not start again:\n{self.said()}"

    def _start(self):
        """False when the program ended at once, as it does when its port is taken."""
        home = str(self.directory)
        environment = {**os.environ, MARK: self._mark, "HOME": home, "TMPDIR": home}
        command = [self._path, *map(str, self.command())]
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                command, cwd=self.directory, env=environment, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            wait_until(lambda: self.process.poll() is not None or self.ready(),
                       f"{self.name} is ready")
        except BaseException:
            self.kill()
            raise
        return self.process.poll() is None

    def said(self):
        return self.log.read_text(errors="replace")

    def terminate(self):
        """Ends it as its administrator would."""
        self.process.terminate()
        self.process.wait(LIMIT)

    def kill(self):
        """Ends it and all its children at once, without a chance to say a word."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(LIMIT)

    def finish(self):
        self.terminate()
        try:
            wait_until(lambda: not self._left(), f"all of {self.name} has ended")
        finally:
            self.kill()
            kill_marked(self._mark)
            shutil.rmtree(self.directory)

    def _left(self):
        """A program may have changed what its environment says: hence its process group too."""
        return group_members(self.process.pid) + marked_processes(self._mark)


def group_members(group):
    """The living processes of a process group."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            state, _, its_group = (entry / "stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue
        if int(its_group) == group and state != "Z":
            found.append(entry.name)
    return found


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), LIMIT).close()
    except OSError:
        return False
    return True
