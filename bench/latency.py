"""How long it takes from send() until a message is in the file: bench/latency.c."""

import glob
import os
import subprocess
import tempfile
import time
from statistics import median

import runner
import tools

RATE = 10_000
WIRE_SIZE = 204
ENTRY_SIZE = 32
PATIENCE_S = 5
QUANTILES = ["mean", "p50", "p99", "p99.9", "max"]
TITLES = {"limit": "`limit`: recv() and write() only", "weir": "**weir capture**"}


def build():
    tools.compile_c(["latency.c", *tools.SERVER], "latency", "-lnettle", "-lssl", "-lcrypto", "-lz")


def commands(name, url, directory):
    """How to receive, the file to watch (a pattern), and what a message adds to it: for weir its
    entry in the index, which is written behind its data."""
    if name == "limit":
        path = os.path.join(directory, "data")
        with open(path, "wb"):
            pass
        return [tools.built("limit"), url, path], path, WIRE_SIZE
    spool = os.path.join(directory, "spool")
    # One segment for all of it: it is one file that is watched.
    return ([tools.WEIR, "capture", url, "--spool", spool, "--segment-age", "0"],
            f"{spool}/*.index.open", ENTRY_SIZE)


def wait_for(pattern):
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        found = glob.glob(pattern)
        if found:
            time.sleep(0.2)  # what is said of the connection gets into it too
            return found[0]
        time.sleep(0.01)
    raise runner.Failed(f"no file {pattern} to watch")


def run_once(name, seconds, directory):
    command = [tools.built("latency"), str(RATE), str(seconds)]
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    with (
        tempfile.TemporaryDirectory(dir=directory) as place,
        subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as server,
    ):
        receive, pattern, step = commands(name, server.stdout.readline().strip(), place)
        with subprocess.Popen(receive, stdout=nowhere, stderr=nowhere) as receiver:
            try:
                told = f"{step} {wait_for(pattern)}\n"
                words = server.communicate(told, timeout=seconds + 4 * PATIENCE_S)[0].split()
                receiver.wait(PATIENCE_S)
            except subprocess.TimeoutExpired:
                raise runner.Failed(f"latency of {name}: it did not end") from None
            finally:
                server.kill()
                receiver.kill()
    if not words:
        raise runner.Failed(f"latency of {name}: not every message was seen in the file")
    return dict(zip(QUANTILES, (int(word) for word in words[1:])))


def measure(directory, repeat, seconds, progress):
    """{who: [of each run, {quantile: ns}]}"""
    build()

    def once(name):
        progress.show(f"latency: {name}")
        return run_once(name, seconds, directory)

    return runner.alternate(list(TITLES), repeat, once)


def cell(values):
    of_all = (median(values), min(values), max(values))
    return "{:.1f} ({:.1f}–{:.1f})".format(*(value / 1000 for value in of_all))


def table(results):
    text = (
        "### Latency\n\nµs from send() until the message is in the file, at "
        f"{RATE} messages of 200 B in a second: the median of the runs (min–max).\n\n"
        f"| | {' | '.join(QUANTILES)} |\n|:--|{'--:|' * len(QUANTILES)}\n"
    )
    for name, runs in results.items():
        cells = (cell([run[quantile] for run in runs]) for quantile in QUANTILES)
        text += f"| {TITLES[name]} | {' | '.join(cells)} |\n"
    return text
