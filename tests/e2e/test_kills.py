"""Captures that are killed, again and again: nothing captured is lost, and nothing stays behind."""

import collections
import os

import pytest

import torture
from apart import Apart, results
from harness import SANITIZED, weir_path
from kill_stories import stories
from kills import Tools
from torture import KILL_SOURCE, LIBRARY, build, build_keeper


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    directory = tmp_path_factory.mktemp("programs")
    library = None if SANITIZED else build(KILL_SOURCE, directory, *LIBRARY)
    return build_keeper(directory), library


def kill(weir, place, programs, kills):
    tools, workers = Tools(weir, weir_path(), *programs), min(2, os.cpu_count())
    tasks = [Apart(stories, tools, place.root, worker, kills // workers)
             for worker in range(workers)]
    count = sum(results(tasks), collections.Counter())
    print(f"torture: seed {torture.SEED}: {dict(count)}")
    return count


def test_kill_a_little(weir, place, programs):
    assert kill(weir, place, programs, 50)["kills"] >= 50


@pytest.mark.torture
def test_kill(weir, place, programs):
    """After every kill, everything is with its receiver or in the spool; at the end, handed on."""
    assert kill(weir, place, programs, torture.KILLS)["kills"] >= torture.KILLS - 1
