"""What every test gets: weir itself, directories of its own, and a check that nothing leaks."""

import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest

import harness
import programs
from collector import Collector
from servers.authority import Authority
from servers.hostile import HostileServer
from servers.node import NodeServer
from servers.python import PythonServer
from servers.tap import Tap

sys.dont_write_bytecode = True


def pytest_sessionstart(session):
    harness.limit_core_dumps()


@pytest.fixture
def place(tmp_path):
    place = harness.Place(tmp_path)
    yield place
    left = place.left()
    assert not left, f"files were left behind: {left}"


@pytest.fixture
def weir(place):
    assert harness.weir_path().is_file(), f"{harness.weir_path()} is not built"
    weir = harness.Weir(place)
    yield weir
    alive = [p.args for p in weir.started if p.running]
    survivors = [] if alive else _survivors(place.mark)
    for process in weir.started:
        process.done()
    harness.kill_marked(place.mark)
    assert not alive, f"the test left weir running: {alive}"
    assert not survivors, f"weir left processes behind: {survivors}"


def _survivors(mark):
    """A process that is just ending gets a moment for it."""
    end = time.monotonic() + harness.LIMIT / 2
    while (found := harness.marked_processes(mark)) and time.monotonic() < end:
        time.sleep(0.01)
    return found


@pytest.fixture
def collector(place):
    return Collector(place.directory("collected"))


@pytest.fixture
def serve():
    """serve(script): a server that does to each client what the script says."""
    servers = []

    def start(script, **options):
        servers.append(HostileServer(script, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()


@pytest.fixture(params=["websockets", "ws"])
def honest_server(request, tmp_path):
    """A server that others wrote: honest_server(plan) plays the plan to each client."""
    kind = {"websockets": PythonServer, "ws": NodeServer}[request.param]
    servers = []

    def start(plan, **options):
        servers.append(kind(plan, tmp_path, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """Certificates of an authority that nobody knows."""
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def external(place):
    """external(kind, …): a server that others wrote, as a process of its own."""
    servers = []

    def start(kind, *args, **options):
        servers.append(kind(place.directory(f"{kind.__name__}-{len(servers)}"), *args, **options))
        return servers[-1]

    yield start
    for server in servers:
        server.finish()


@pytest.fixture
def run_server():
    """run_server(kind, …): a program that serves; ended after the test, and nothing of it stays."""
    with ExitStack() as ends:
        def start(kind, *arguments, **options):
            server = kind(*arguments, **options)
            ends.callback(server.finish)
            return server

        yield start


@pytest.fixture
def tap():
    """tap(url): keeps a copy of what goes over one connection; see servers/tap.py."""
    with ExitStack() as ends:
        def start(url):
            one = Tap(url)
            ends.callback(one.finish)
            return one

        yield start


@pytest.fixture
def small_disk(place):
    """A file system of one mebibyte."""
    if os.getuid() != 0:
        pytest.skip("only root may mount a tmpfs")
    path = place.directory("disk")
    mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "weir-test", path],
                           capture_output=True)
    if mount.returncode:
        pytest.skip(f"cannot mount a tmpfs here: {mount.stderr.decode().strip()}")
    yield path
    subprocess.run(["umount", "-l", path], check=True)


@pytest.fixture
def quota_disk(place):
    """A directory that may hold six mebibytes: a subvolume of Btrfs with a limit."""
    if os.getuid() != 0 or not shutil.which("mkfs.btrfs"):
        pytest.skip("only root may mount an image of Btrfs, and mkfs.btrfs must be there")
    image, mount = place.root / "image", place.directory("mount")
    with open(image, "wb") as file:
        file.truncate(400 << 20)
    quiet = {"capture_output": True, "check": True}
    subprocess.run(["mkfs.btrfs", "-q", "-m", "single", image], **quiet)
    mounted = subprocess.run(["mount", "-o", "loop,commit=1", image, mount], capture_output=True)
    if mounted.returncode:
        pytest.skip(f"cannot mount Btrfs here: {mounted.stderr.decode().strip()}")
    try:
        for command in (["subvolume", "create", "disk"], ["quota", "enable", "."],
                        ["quota", "rescan", "-w", "."], ["qgroup", "limit", "6M", "disk"]):
            subprocess.run(["btrfs", *command], cwd=mount, **quiet)
        yield mount / "disk"
    finally:
        subprocess.run(["umount", "-l", mount], check=True)


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """An environment in which pkg-config and the loader find a fresh installation."""
    return programs.install(tmp_path_factory.mktemp("installed"))
