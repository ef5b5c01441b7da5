"""A pseudo-terminal for standard error, and what was written to it."""

import os
import pty
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

    def end(self):
        """All that was written, when its last writer has ended."""
        os.close(self.slave)
        self._thread.join(LIMIT)
        os.close(self._master)
        return self.written.decode()
