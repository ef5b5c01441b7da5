"""A pseudo-terminal for standard error, and what was written to it."""

import os
import pty
import re
import threading
import tty

from harness import LIMIT


class Terminal:
    def __init__(self):
        self._master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.written = b""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        while True:
            try:
                part = os.read(self._master, 65536)
            except OSError:  # the last writer has closed it
                return
            if not part:
                return
            self.written += part

    def rows(self):
        """What stands on the screen, row by row, if it is high and wide enough."""
        rows, column = [""], 0
        for part in re.findall(r"\r|\n|\x1b\[K|[^\r\n\x1b]+", self.written.decode()):
            if part == "\r":
                column = 0
            elif part == "\n":
                rows.append("")
                column = 0
            elif part == "\x1b[K":
                rows[-1] = rows[-1][:column]
            else:
                rows[-1] = rows[-1][:column].ljust(column) + part + rows[-1][column + len(part):]
                column += len(part)
        return rows

    def end(self):
        """All that was written, when its last writer has ended."""
        os.close(self.slave)
        self._thread.join(LIMIT)
        os.close(self._master)
        return self.written.decode()
