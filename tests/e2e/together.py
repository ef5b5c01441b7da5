"""Captures that run at the same time: for tests whose waits are the subject, and take seconds."""

from dataclasses import dataclass
from pathlib import Path

from harness import LIMIT, Process

CLOSE_LIMIT_S = 3  # how long weir waits for the other end of a closing connection
PATIENCE_S = CLOSE_LIMIT_S + LIMIT / 2


@dataclass
class Running:
    process: Process
    spool: Path


class Together:
    def __init__(self, weir):
        self._weir = weir
        self.running = {}

    def start(self, name, server, *options):
        spool = self._weir.place.root / f"spool-{len(self._weir.started)}"
        process = self._weir.start_capture(server.url, "--keep", "--spool", spool,
                                           "--status", "json", *options)
        self.running[name] = Running(process, spool)

    def ends(self, code, *words):
        """(name, what weir said, spool) of each, which all end in time and with this code."""
        for name, one in self.running.items():
            result = one.process.wait().expect(code, *words)
            assert result.seconds < PATIENCE_S, (name, result)
            yield name, result, one.spool
