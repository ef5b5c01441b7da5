"""A plugin for pytest: processes that have the same tests share them. Loaded by tests/run.

Each takes another test whenever it needs one: it appends a byte to a file that all of them have, and
where that byte came to stand is the number of the test. It needs one before it has done the last,
since pytest wants to know what comes next: fixtures that both use stay.
"""

import os


def numbers(count):
    """Those that nobody else gets."""
    fd = os.open(os.environ["TESTS_TAKEN"], os.O_WRONLY | os.O_APPEND)
    while os.write(fd, b".") and (number := os.lseek(fd, 0, os.SEEK_CUR) - 1) < count:
        yield number
    os.close(fd)


def pytest_runtestloop(session):
    if session.testsfailed:
        raise session.Interrupted(f"{session.testsfailed} errors while tests were collected")
    items = (session.items[number] for number in numbers(len(session.items)))
    item = next(items, None)
    while item:
        following = next(items, None)
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        item = following
    return True
