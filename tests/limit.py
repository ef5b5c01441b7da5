"""A plugin for pytest: no test waits for ever. Loaded by tests/run."""

import os
import signal

import pytest

LIMIT_S = int(os.environ["TEST_LIMIT_S"])


def expired(_signal, _frame):
    pytest.fail(f"took more than {LIMIT_S} s")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
    signal.signal(signal.SIGALRM, expired)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
