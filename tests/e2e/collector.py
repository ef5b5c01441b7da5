"""A COMMAND that keeps a copy of every segment it is given, and what it was told about it."""

from harness import MARK
from spool_reader import read_segment

KEEP_PATH = """
set -e
name=$1/$(basename "$WEIR_SEGMENT" .data)
if [ "$2" ]; then cp "$2" "$name.data"; else cat >"$name.data"; fi
cp "$WEIR_INDEX" "$name.index"
env | grep '^WEIR_' >"$name.env"
readlink /proc/self/fd/0 >"$name.stdin"
echo "$name" >>"$1/order"
"""


class Collector:
    def __init__(self, directory):
        self.directory = directory

    @property
    def by_path(self):
        return ["sh", "-c", KEEP_PATH, "sh", self.directory, "{}"]

    @property
    def by_stdin(self):
        return ["sh", "-c", KEEP_PATH, "sh", self.directory, ""]

    def names(self):
        """Of the segments, in the order in which they came."""
        order = self.directory / "order"
        return order.read_text().splitlines() if order.exists() else []

    def segments(self):
        return [read_segment(name + ".index") for name in self.names()]

    def records(self):
        return [record for segment in self.segments() for record in segment.records]

    def payloads(self):
        return [record.payload for record in self.records() if record.is_message]

    def environment(self, name):
        """What weir told the command: its variables, without the mark of the harness."""
        with open(name + ".env") as lines:
            told = dict(line.rstrip("\n").split("=", 1) for line in lines)
        told.pop(MARK, None)
        return told

    def stdin(self, name):
        with open(name + ".stdin") as line:
            return line.read().strip()
