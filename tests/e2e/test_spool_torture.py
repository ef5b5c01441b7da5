"""The long versions of two unit tests: damage at random, and a spool against a model of it."""

import os
import subprocess

import pytest

import torture
from harness import weir_path

LIMIT_S = 3000


def run(name, **counts):
    """A program of the unit tests, with other counts."""
    program = weir_path().parent / "tests/unit" / f"test_{name}"
    if not program.exists():
        pytest.skip(f"{program} is not built")
    environment = {f"WEIR_TORTURE_{name}": str(count) for name, count in counts.items()}
    ended = subprocess.run([program], env={**os.environ, "WEIR_TORTURE_SEED": str(torture.SEED),
                                           **environment},
                           stdin=subprocess.DEVNULL, capture_output=True, text=True,
                           timeout=LIMIT_S, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    print("torture:", *[line for line in ended.stdout.splitlines() if line[:1].isdigit()], sep="\n")


@pytest.mark.torture
def test_flips():
    run("flips", FLIPS=torture.FLIPS)


@pytest.mark.torture
def test_model():
    run("model", MODEL=torture.MODEL, STEPS=1)
