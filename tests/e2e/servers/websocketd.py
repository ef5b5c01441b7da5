"""websocketd: each line that a program prints is a text message.

A line longer than its buffer is a frame that is not final, and an empty one that is. When the
program ends, so does the stream: without a Close.
"""

import sys

from servers.program import Program


class WebsocketdServer(Program):
    name, package = "websocketd", "websocketd"

    def __init__(self, script, *options):
        """`script` is Python; what it prints is served."""
        self._script, self._options = script, options
        super().__init__()

    def command(self):
        path = self.directory / "script.py"
        path.write_text(self._script)
        return [f"--port={self.port}", "--address=127.0.0.1", *self._options, sys.executable, "-u",
                path]
