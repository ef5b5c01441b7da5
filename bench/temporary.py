"""What a temporary file costs: bench/tempfile.c, and the same by Python's and Rust's tempfile."""

import os
import shutil
import subprocess
from statistics import median

import tools

COUNT = 20_000
REPEAT = 7
PEERS = os.path.join(tools.BENCH, "peers")
TITLES = {
    "bare": "the bare system calls",
    "ours": "**libtempfile**",
    "python": "tempfile (Python)",
    "rust": "tempfile (Rust)",
}
CARGO_CONFIG = """[source.crates-io]
replace-with = "debian"
[source.debian]
directory = "/usr/share/cargo/registry"
"""


def build():
    """With Debian's packages as the only source of crates: nothing is downloaded."""
    library = os.path.join(tools.ROOT, "build", "libtempfile.a")
    include = os.path.join(tools.ROOT, "include")
    tools.compile_c(["tempfile.c"], "tempfile", library, f"-I{include}", "-pthread")
    rust = tools.built("peer-rust")
    shutil.copytree(os.path.join(PEERS, "rust"), rust, dirs_exist_ok=True)
    os.makedirs(os.path.join(rust, ".cargo"), exist_ok=True)
    with open(os.path.join(rust, ".cargo", "config.toml"), "w", encoding="ascii") as file:
        file.write(CARGO_CONFIG)
    subprocess.run(["cargo", "build", "--release", "--offline", "--quiet"], check=True, cwd=rust)


def commands(case, directory):
    rest = [str(COUNT), directory]
    rust = os.path.join(tools.built("peer-rust"), "target", "release", "peer-rust")
    return {
        "bare": [tools.built("tempfile"), f"bare-{case}", *rest],
        "ours": [tools.built("tempfile"), case, *rest],
        "python": [tools.PYTHON, os.path.join(PEERS, "temporary.py"), case, *rest],
        "rust": [rust, case, *rest],
    }


def measure(directory):
    """Nanoseconds of CPU time for each file: {case: {who: [of each run]}}."""
    results = {}
    for case in ("anonymous", "named"):
        runs = {who: [] for who in TITLES}
        for turn in range(REPEAT):
            order = list(commands(case, directory).items())
            for who, command in order[turn % 4:] + order[:turn % 4]:
                runs[who].append(int(tools.output_of(*command)))
        results[case] = runs
    return results


def cell(runs, bare):
    middle = median(runs)
    spread = f"{min(runs) / 1000:.1f}–{max(runs) / 1000:.1f}"
    return f"{middle / 1000:.1f} ({spread}) | {middle / bare:.2f}"


def table(results):
    text = ("### Temporary files\n\nµs of CPU time to make one and close it (min–max), and that beside the bare "
            "system calls.\n\n"
            "| | anonymous | | named | |\n|:--|--:|--:|--:|--:|\n")
    for who, title in TITLES.items():
        cells = (cell(results[case][who], median(results[case]["bare"])) for case in results)
        text += f"| {title} | {' | '.join(cells)} |\n"
    return text
