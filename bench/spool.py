"""What the spool itself does, without a network: bench/spool.c, and dd for what the disk can do."""

import dataclasses
import os
import subprocess
import tempfile
import time
from statistics import median

import report
import runner
import tools

MIB = 1 << 20
VOLUME = 1024 * MIB
SIZES = {200: "200 B", 1024: "1 KiB"}
CPU_TITLES = {
    "append": "append, to the page cache",
    "verify": "verify a sealed segment",
}
DISK_TITLES = {
    "dd": "`dd bs=1M conv=fdatasync`",
    "sync-end": "append, one sync at the end",
    "sync-bytes": "append, `--sync bytes=64MiB`",
}
DISK_SIZE = 1024
CAPTURE_TITLES = {way: f"`weir capture --keep --sync {way}`" for way in ("none", "interval", "every")}


def build():
    """Of the objects that weir is made of, so that what is measured is what runs. Put together anew,
    they would be warned of again."""
    archives = [os.path.join(tools.ROOT, "build", f"libweir-{name}.a") for name in ("core", "tempfile", "base")]
    includes = [f"-I{os.path.join(tools.ROOT, place)}" for place in ("src", "include")]
    if os.path.exists(tools.built("spool")):
        os.unlink(tools.built("spool"))
    tools.compile_c(["spool.c"], "spool", *includes, *archives, "-flto=auto", "-Wno-maybe-uninitialized",
                    "-lzstd", "-pthread")


def spool(mode, size, volume, directory):
    runner.warm(directory)
    command = [tools.built("spool"), mode, str(size), str(volume), directory]
    done = subprocess.run(command, capture_output=True, text=True, timeout=runner.TIMEOUT_S, check=False)
    if done.returncode:
        raise runner.Failed(f"bench/spool {mode}: {done.stderr.strip()}")
    messages, size_bytes, wall_ns, cpu_us = (int(word) for word in done.stdout.split())
    return runner.Run(messages, size_bytes, wall_ns / 1e9, cpu_us / 1e6, 0, 0)


def dd(volume, directory):
    runner.warm(directory)
    path = os.path.join(directory, "dd")
    command = ["dd", "if=/dev/zero", f"of={path}", "bs=1M", f"count={volume // MIB}", "conv=fdatasync"]
    begin = time.monotonic()
    try:
        subprocess.run(command, capture_output=True, timeout=runner.TIMEOUT_S, check=True)
        wall_s = time.monotonic() - begin
    finally:
        if os.path.exists(path):
            os.unlink(path)
    return runner.Run(0, volume, wall_s, 0, 0, 0)


RUNS = len(CPU_TITLES) * len(SIZES) + len(DISK_TITLES) + len(CAPTURE_TITLES)


def capture(way, volume, directory):
    """Over the network, as in the other parts: does it wait for the disk? What is captured stays, or
    it would be deleted before the system has written it anywhere."""
    weir = tools.TOOLS["weir"]

    def command(url, directory):
        program, name, *rest = weir.command(url, directory)
        return [program, name, "--sync", way, *rest[:rest.index("--")], "--keep"]

    size = runner.Size(CAPTURE_TITLES[way], "text", 200)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        return runner.run_once(dataclasses.replace(weir, command=command), size, volume, place)


def measure(directory, repeat, divisor, progress):
    """{"cpu": {(mode, size): [of each run]}, "disk": {who: [of each run]}, "capture": the same}"""
    build()
    volume = VOLUME // divisor

    def of_cpu(case):
        mode, size = case
        progress.show(f"spool: {CPU_TITLES[mode]}, {SIZES[size]}")
        return spool(mode, size, volume, directory)

    def of_disk(who):
        progress.show(f"spool: {DISK_TITLES[who]}")
        return dd(volume, directory) if who == "dd" else spool(who, DISK_SIZE, volume, directory)

    def of_capture(way):
        progress.show(f"spool: {CAPTURE_TITLES[way]}")
        return capture(way, volume, directory)

    cases = [(mode, size) for mode in CPU_TITLES for size in SIZES]
    return {"cpu": runner.alternate(cases, repeat, of_cpu),
            "disk": runner.alternate(list(DISK_TITLES), repeat, of_disk),
            "capture": runner.alternate(list(CAPTURE_TITLES), repeat, of_capture)}


def table(results):
    text = "### The spool\n\n| | messages per CPU-second | GB per CPU-second (min–max) |\n|:--|--:|--:|\n"
    for (mode, size), runs in results["cpu"].items():
        rate = report.Rate(runs)
        spread = f"{rate.middle / 1e3:.2f} ({rate.low / 1e3:.2f}–{rate.high / 1e3:.2f})"
        text += f"| {CPU_TITLES[mode]}, {SIZES[size]} | {report.count(rate.messages)} | {spread} |\n"
    return text + "\n" + wall_table("durable, messages of 1 KiB", "share of dd", DISK_TITLES, results["disk"]) + \
        "\n" + wall_table("captured, messages of 200 B", "share of none", CAPTURE_TITLES, results["capture"])


def wall_table(what, share, titles, results):
    """The first one is what the others are compared with."""
    rates = {who: [run.bytes / 1e6 / run.wall_s for run in runs] for who, runs in results.items()}
    base = median(rates[next(iter(titles))])
    text = f"| {what} | wall MB/s (min–max) | {share} |\n|:--|--:|--:|\n"
    for who, title in titles.items():
        middle = median(rates[who])
        spread = f"{report.number(min(rates[who]))}–{report.number(max(rates[who]))}"
        text += f"| {title} | {report.number(middle)} ({spread}) | {middle / base:.2f} |\n"
    return text
