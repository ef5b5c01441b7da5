"""What permessage-deflate costs weir, beside zlib alone: bench/inflate.c, on the same stream."""

import subprocess

import report
import runner
import tools

MIB = 1 << 20
VOLUME = 768 * MIB
SIZES = [
    runner.Size("200 B of JSON, compressed", "packed", 200),
    runner.Size("4 KiB of JSON, compressed", "packed", 4096),
]
TITLES = {
    "stream": "zlib: the whole stream at once",
    "messages": "zlib: a call for each message",
    "file": "zlib: a call for each message, and write()",
    "weir": "**weir capture**",
}
MODES = {"stream": ["stream"], "messages": ["messages"], "file": ["messages"]}


def build():
    tools.compile_c(["inflate.c", "stream.c", "json.c"], "inflate", "-lz")


def inflate(name, size, volume, directory):
    """It takes its CPU time itself, since it has to make the stream first."""
    command = [tools.built("inflate"), str(size.bytes), str(volume), *MODES[name]]
    if name == "file":
        command.append(directory)
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise runner.Failed(f"zlib failed: {done.stderr.strip()}")
    messages, size_bytes, cpu_us = (int(word) for word in done.stdout.split())
    return runner.Run(messages, size_bytes, cpu_us / 1e6, cpu_us / 1e6, 0, 0)


def measure(directory, repeat, divisor, progress):
    """{title: {who: [of each run]}}"""
    build()
    volume = VOLUME // divisor
    results = {}
    for size in SIZES:

        def once(name, size=size):
            progress.show(f"{size.title}: {name}")
            if name == "weir":
                return runner.run_once(tools.TOOLS["weir"], size, volume, directory)
            return inflate(name, size, volume, directory)

        results[size.title] = runner.alternate(list(TITLES), repeat, once)
    return results


def line(name, runs, results):
    rate = report.Rate(runs)
    shares = (f"{rate.middle / report.Rate(results[base]).middle:.2f}" for base in MODES)
    cells = [TITLES[name], str(rate), report.count(rate.messages), *shares]
    return "| " + " | ".join(cells) + " |\n"


def table(title, results):
    header = (
        "| | MB per CPU-second (min–max) | messages per CPU-second "
        "| share of zlib, at once | of zlib, by message | of zlib, by message and write() |\n"
        "|:--|--:|--:|--:|--:|--:|\n"
    )
    lines = "".join(line(name, runs, results) for name, runs in results.items())
    return f"### {title}\n\n{header}{lines}"


def tables(results):
    return "\n".join(table(title, of_size) for title, of_size in results.items())
