"""Each call that weir temp makes on its files fails, one after the other: no crash, no hang, no false
success, and nothing is left behind without a word."""

import shutil
from collections import Counter

import pytest

from harness import SANITIZED
from test_every_call import ERRORS
from test_faults import library  # noqa: F401 (a fixture)

pytestmark = pytest.mark.skipif(SANITIZED, reason="a sanitizer does not mix with LD_PRELOAD")

FILL = "echo data >$1/one && mkdir $1/two && echo more >$1/two/three && echo done"
COMMANDS = {
    "file": ["file"], "directory": ["directory"],
    "run": ["run", "--", "sh", "-c", "echo data >$1 && echo done", "sh", "{}"],
    "run what fails": ["run", "--", "sh", "-c", "echo data >$1 && exit 3", "sh", "{}"],
    "run a directory": ["run", "--directory", "--", "sh", "-c", FILL, "sh", "{}"],
}


class Temp:
    def __init__(self, weir, library, root):
        self.weir, self.library, self.root = weir, library, root
        self.place, self.log = root / "faulty", root / "log"

    def run(self, arguments, environment):
        shutil.rmtree(self.place, ignore_errors=True)
        self.place.mkdir()
        self.log.unlink(missing_ok=True)
        return self.weir.run("temp", arguments[0], "--dir", self.place, *arguments[1:], env={
            "LD_PRELOAD": str(self.library), "WEIR_FAULT_PROGRAM": "weir",
            "WEIR_FAULT_PATH": str(self.place), **environment})

    def calls(self, arguments):
        result = self.run(arguments, {"WEIR_FAULT_CALLS": str(self.log)})
        self.check(arguments, result, None)
        counts = Counter(self.log.read_text().split())
        return [(name, n) for name in sorted(counts) for n in range(1, counts[name] + 1)]

    def fail(self, arguments, fault):
        result = self.run(arguments, {"WEIR_FAULT": fault, "WEIR_FAULT_LOG": str(self.log)})
        self.check(arguments, result, fault)

    def check(self, arguments, result, fault):
        left = [path.name for path in self.place.iterdir()]
        runs, wanted = arguments[0] == "run", 3 if "exit 3" in " ".join(arguments) else 0
        assert result.code in (wanted, 5), f"{fault}: {result}"
        assert result.code != 5 or (result.complaint and self.log.exists()), f"{fault}: {result}"
        if runs and left:
            assert str(self.place / left[0]) in result.complaint, f"{fault}: {left}, {result}"
        elif runs:
            assert result.code or result.out == b"done\n", f"{fault}: {result}"
        elif result.code == 0:
            assert result.out.decode() == f"{self.place}/{left[0]}\n" and len(left) == 1
        else:
            assert not left, f"{fault}: {left}"


@pytest.mark.parametrize("command", COMMANDS)
def test_each_call_fails(weir, library, place, command):  # noqa: F811
    temp, count = Temp(weir, library, place.root), 0
    calls = temp.calls(COMMANDS[command])
    for name, number in calls:
        for error in ERRORS[name]:
            temp.fail(COMMANDS[command], f"{name}:{error}:{number}")
            count += 1
    print(f"{command}: {count} faults at {len(calls)} calls")
