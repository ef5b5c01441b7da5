"""weir cat beside cat of the same data files, to a pipe that cat reads: wall time, since two work."""

import glob
import os
import shutil
import subprocess
import threading
import time
from statistics import median

import report
import runner
import spool
import tools

MIB = 1 << 20
VOLUME = 1024 * MIB
SIZES = {200: "200 B", 64 << 10: "64 KiB", 768 << 10: "768 KiB"}
TITLES = {"cat": "`cat` of the data files", "weir": "**weir cat**"}


def make(size, volume, directory):
    """A spool with so much in it, and its data files."""
    path = os.path.join(directory, f"cat-{size}")
    shutil.rmtree(path, ignore_errors=True)
    os.mkdir(path)
    spool.spool("make", size, volume, path)
    return path, sorted(glob.glob(f"{path}/*.data"))


def ended_well(process):
    """Waits for it. To ask with a time-out would look for the end now and then only."""
    alarm = threading.Timer(runner.TIMEOUT_S, process.kill)
    alarm.start()
    code = process.wait()
    alarm.cancel()
    return code == 0


def run_once(who, path, files, volume):
    command = [tools.WEIR, "cat", path] if who == "weir" else ["cat", *files]
    begin = time.monotonic()
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as writer,
        subprocess.Popen(["cat"], stdin=writer.stdout, stdout=subprocess.DEVNULL) as reader,
    ):
        writer.stdout.close()
        if not all([ended_well(writer), ended_well(reader)]):
            raise runner.Failed(f"{' '.join(command[:2])} to a pipe failed")
    return runner.Run(0, volume, time.monotonic() - begin, 0, 0, 0)


RUNS = len(SIZES) * len(TITLES)


def measure(directory, repeat, divisor, progress):
    """{size: {who: [of each run]}}"""
    spool.build()
    results = {}
    for size, title in SIZES.items():
        path, files = make(size, VOLUME // divisor, directory)
        volume = sum(os.path.getsize(file) for file in files)

        def once(who, title=title, path=path, files=files, volume=volume):
            progress.show(f"cat to a pipe, {title}: {who}")
            return run_once(who, path, files, volume)

        try:
            results[size] = runner.alternate(list(TITLES), repeat, once)
        finally:
            shutil.rmtree(path)
    return results


def table(results):
    text = "### Reading a spool\n\n| to a pipe | wall MB/s (min–max) | share of cat |\n|:--|--:|--:|\n"
    for size, of_size in results.items():
        rates = {who: [run.bytes / 1e6 / run.wall_s for run in runs] for who, runs in of_size.items()}
        base = median(rates["cat"])
        for who, values in rates.items():
            spread = f"{report.number(min(values))}–{report.number(max(values))}"
            middle = median(values)
            text += (f"| {TITLES[who]}, messages of {SIZES[size]} | {report.number(middle)} ({spread}) "
                     f"| {middle / base:.2f} |\n")
    return text
