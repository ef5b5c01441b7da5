"""Medians, ratios and tables."""

from statistics import median

BEGIN = "<!-- bench/run --write replaces from here -->\n"
END = "<!-- bench/run --write replaces up to here -->\n"
MIB = 1 << 20
HEADER = (
    "| tool | MB per CPU-second (min–max) | messages per CPU-second | wall MB/s | peak RSS "
    "| share of `limit` | weir is |\n|:--|--:|--:|--:|--:|--:|--:|\n"
)


class Rate:
    """MB (10^6 bytes of payload) per CPU-second of some runs, and messages too."""

    def __init__(self, runs):
        rates = [run.bytes / 1e6 / run.cpu_s for run in runs]
        self.low, self.middle, self.high = min(rates), median(rates), max(rates)
        self.messages = median(run.messages / run.cpu_s for run in runs)

    def __str__(self):
        return f"{number(self.middle)} ({number(self.low)}–{number(self.high)})"


def summarise(tool, runs):
    """The numbers of one tool at one size."""
    return {
        "tool": tool.name,
        "title": tool.title,
        "runs": [vars(run) for run in runs],
        "rate": Rate(runs),
        "wall": median(run.bytes / 1e6 / run.wall_s for run in runs),
        "rss": median(run.rss_bytes for run in runs),
        "source_load": max(run.source_cpu_s / run.cpu_s for run in runs),
    }


def number(value):
    """Three digits that count, and no more than the noise allows."""
    if value >= 999.5:
        return f"{value:.0f}"
    return f"{value:.{0 if value >= 99.5 else 1 if value >= 9.95 else 2}f}"


def count(value):
    return f"{number(value / 1e6)} M" if value >= 1e5 else f"{number(value / 1e3)} k"


def rate_of(rows, name):
    return next((row["rate"].middle for row in rows if row["tool"] == name), None)


def ratio(value, base, form):
    return form.format(value / base) if value and base else "–"


def line(row, limit, weir):
    cells = [
        row["title"],
        str(row["rate"]),
        count(row["rate"].messages),
        number(row["wall"]),
        f"{row['rss'] / MIB:.1f} MiB",
        ratio(row["rate"].middle, limit, "{:.2f}"),
        "" if row["tool"] == "weir" else ratio(weir, row["rate"].middle, "{:.2f} ×"),
    ]
    return "| " + " | ".join(cells) + " |\n"


def table(title, rows):
    limit, weir = rate_of(rows, "limit"), rate_of(rows, "weir")
    return f"### {title}\n\n" + HEADER + "".join(line(row, limit, weir) for row in rows)


def about_table(about):
    lines = [f"| {name} | {value} |\n" for name, value in about.items()]
    return "| | |\n|:--|:--|\n" + "".join(lines)


def rss_table(runs):
    lines = [
        f"| {title} | {run.rss_bytes / MIB:.1f} MiB | {run.wall_s:.1f} s | {run.cpu_s:.1f} s |\n"
        for title, run in runs.items()
    ]
    header = "| capture | peak RSS | wall | CPU |\n|:--|--:|--:|--:|\n"
    return "### Memory of weir\n\n" + header + "".join(lines)


def source_note(results):
    """The source must be cheaper than the receivers, or it is what the wall rates measure."""
    highest = max(row["source_load"] for rows in results.values() for row in rows)
    return f"The source took at most {highest:.2f} of the CPU time of the receiver, in any run.\n"


def comparison(results):
    """weir beside another build of it."""
    header = "| | weir before | weir | |\n|:--|--:|--:|--:|\n"
    text = "### Before and now, MB per CPU-second (min–max)\n\n" + header
    for title, rows in results.items():
        now, before = (next(r["rate"] for r in rows if r["tool"] == t) for t in ("weir", "other"))
        text += f"| {title} | {before} | {now} | {now.middle / before.middle:.3f} |\n"
    return text


def write(path, sections):
    with open(path, encoding="utf-8") as file:
        before, _, rest = file.read().partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise OSError(f"{path}: the two lines that enclose the tables are not there")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}{BEGIN}\n{chr(10).join(sections)}\n{END}{after}")
