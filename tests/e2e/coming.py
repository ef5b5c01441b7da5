"""Tests that are written before the option that they need.

coming("idle-timeout") skips a test until `weir capture --help` lists the option, and
coming("send", "@FILE") until what is said about an option has that word in it.
"""

import functools
import re
import subprocess

import pytest

from harness import weir_path


@functools.cache
def _help():
    if not weir_path().is_file():
        return ""
    return subprocess.run([weir_path(), "capture", "--help"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False).stdout


def offers(option, word=""):
    line = rf"^ +--{re.escape(option)}(\s.*{re.escape(word)}|$)"
    return re.search(line, _help(), re.M) is not None


def coming(option, word=""):
    return pytest.mark.skipif(not offers(option, word),
                              reason=f"weir capture has no --{option} {word}".rstrip() + " yet")
