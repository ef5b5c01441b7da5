"""weir temp: temporary files for shell scripts."""

import os
import shutil
import signal
import stat
import subprocess
from pathlib import Path

import pytest

from harness import wait_until


def made(weir, place, *arguments):
    """What it printed: one path, of something that may stay for the test."""
    out = weir.run("temp", *arguments).expect(0).out
    assert out.count(b"\n") == 1 and out.endswith(b"\n")
    return place.may_stay(os.fsdecode(out[:-1]))


def test_dir(weir, place):
    assert weir.run("temp", "dir").expect(0).out.decode() == f"{place.temp}\n"


def test_file(weir, place):
    path = made(weir, place, "file")
    status = path.lstat()
    assert path.parent == place.temp and path.name.startswith("tmp")
    assert stat.S_ISREG(status.st_mode) and status.st_mode & 0o7777 == 0o600
    assert status.st_size == 0


def test_directory(weir, place):
    path = made(weir, place, "directory")
    assert path.is_dir() and path.lstat().st_mode & 0o7777 == 0o700


@pytest.mark.parametrize("what", ["file", "directory"])
def test_names(weir, place, what):
    path = made(weir, place, what, "--dir", ".", "--prefix", "你好呀", "--suffix", "我不好")
    assert path.parent == place.cwd
    assert path.name.startswith("你好呀") and path.name.endswith("我不好")


@pytest.mark.parametrize("what", ["file", "directory"])
def test_what_cannot_be_told_is_not_made(weir, place, what):
    with open("/dev/full", "wb") as full:
        weir.run("temp", what, stdout=full).expect(5, "standard output")
    assert list(place.temp.iterdir()) == []


@pytest.mark.parametrize("option", ["--prefix", "--suffix"])
@pytest.mark.parametrize("what", ["file", "directory"])
def test_a_name_is_no_path(weir, place, what, option):
    weir.run("temp", what, option, "a/b").expect(2, option)


@pytest.mark.parametrize("what", ["file", "directory"])
def test_no_such_place(weir, place, what):
    weir.run("temp", what, "--dir", place.root / "no").expect(5, str(place.root / "no"))


def test_run_where_ends_of_children_are_ignored(weir, place):
    """As a parent may have it, and leave it to what it starts."""
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    assert weir.run("temp", "run", "--", "sh", "-c", "exit 7", preexec_fn=ignore).code == 7


@pytest.mark.parametrize("directory", [False, True])
def test_run(weir, place, directory):
    options = ["--directory"] if directory else []
    script = 'test -d "$1" && touch "$1/in"; echo "$1" "$WEIR_TEMP"'
    out = weir.run("temp", "run", *options, "--", "sh", "-c", script, "sh", "{}").expect(0).out
    first, second = out.decode().split()
    assert first == second and Path(first).parent == place.temp
    assert list(place.temp.iterdir()) == []


@pytest.mark.parametrize("code", [0, 1, 42])
def test_run_has_the_exit_code_of_the_command(weir, place, code):
    assert weir.run("temp", "run", "--", "sh", "-c", f"exit {code}").code == code
    assert list(place.temp.iterdir()) == []


def test_run_of_a_command_that_is_killed(weir, place):
    assert weir.run("temp", "run", "--", "sh", "-c", "kill -9 $$").code == 128 + signal.SIGKILL
    assert list(place.temp.iterdir()) == []


@pytest.mark.parametrize("command, code", [("no-such-command", 127), ("/etc", 126)])
def test_run_of_what_cannot_be_run(weir, place, command, code):
    weir.run("temp", "run", "--", command, "{}").expect(code, command)
    assert list(place.temp.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_run_passes_signals_on(weir, place, number):
    script = f'trap "echo told; exit 7" {number.value}; touch "$1"/ready; while :; do sleep 0.01; done'
    process = weir.start("temp", "run", "--directory", "--", "sh", "-c", script, "sh", "{}")
    wait_until(lambda: list(place.temp.glob("*/ready")), "the command runs")
    process.signal(number)
    result = process.wait()
    assert (result.code, result.out) == (7, b"told\n")
    assert list(place.temp.iterdir()) == []


def has_marks(path):
    try:
        os.setxattr(path, "user.weir-test", b"")
    except OSError:
        return False
    return True


def test_reap(weir, place):
    """Only what a killed process left; it is found by its lock and its mark."""
    if not has_marks(place.temp):
        pytest.skip("this file system has no extended attributes")
    kept = made(weir, place, "file")
    other = place.may_stay(place.temp / "tmpabcdefghijkl")
    other.write_text("somebody else's")
    process = weir.start("temp", "run", "--", "sleep", "60")
    wait_until(lambda: len(list(place.temp.iterdir())) == 3, "the file is there")
    alive = weir.run("temp", "reap").expect(0).out
    assert alive.startswith(b"0 files and 0 directories") and b"1 are in use" in alive
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    reaped = weir.run("temp", "reap", place.temp).expect(0).out
    assert reaped.startswith(b"1 files and 0 directories") and b"0 are in use" in reaped
    assert sorted(place.temp.iterdir()) == sorted([kept, other])


def test_reap_where_nothing_is(weir, place):
    weir.run("temp", "reap", place.root / "no").expect(5, str(place.root / "no"))


def test_usage(weir, place):
    words = weir.run("temp", "usage", place.temp).expect(0).out.decode().split()
    total, used, free = (int(words[words.index(word) + 1]) for word in ("total", "used", "free"))
    disk = shutil.disk_usage(place.temp)
    assert total == disk.total and abs(used - disk.used) < 1 << 30 and abs(free - disk.free) < 1 << 30


@pytest.mark.parametrize("arguments", [
    [], ["what"], ["file", "x"], ["directory", "x"], ["dir", "x"], ["reap", "x", "y"], ["run"],
    ["run", "--"], ["run", "x", "--", "true"], ["file", "--", "true"], ["--no-such-option"]])
def test_wrong_arguments(weir, place, arguments):
    weir.run("temp", *arguments).expect(2)
    assert list(place.temp.iterdir()) == []


def test_it_leaves_nothing_open_to_the_command(weir, place):
    out = weir.run("temp", "run", "--", "sh", "-c", "ls /proc/$$/fd").expect(0).out
    assert set(out.split()) <= {b"0", b"1", b"2"}


def test_ctrl_c_is_for_the_command(weir, place):
    """Both get it from the terminal; the command may finish, and the file goes after it."""
    script = 'trap "echo told; exit 0" INT; touch "$1"/ready; while :; do sleep 0.01; done'
    process = weir.start("temp", "run", "--directory", "--", "sh", "-c", script, "sh", "{}")
    wait_until(lambda: list(place.temp.glob("*/ready")), "the command runs")
    os.killpg(process.pid, signal.SIGINT)
    result = process.wait()
    assert (result.code, result.out) == (0, b"told\n")
    assert subprocess.run(["ls", place.temp], capture_output=True, check=True).stdout == b""
