"""Chromium without a window, and its DevTools endpoints."""

import json
import urllib.request

from harness import LIMIT
from servers.program import Program

OPTIONS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
           "--disable-background-networking", "--disable-component-update", "--disable-sync",
           "--disable-dev-shm-usage", "--remote-debugging-port=0"]


class ChromiumServer(Program):
    name, package = "chromium", "chromium"

    def choose_ports(self):
        pass

    @property
    def _profile(self):
        return self.directory / "profile"

    def command(self):
        return [*OPTIONS, f"--user-data-dir={self._profile}", "about:blank"]

    def ready(self):
        """It writes its port and the path of the browser's endpoint into a file."""
        path = self._profile / "DevToolsActivePort"
        lines = path.read_text().split() if path.exists() else []
        if len(lines) < 2:
            return False
        self.port, self._browser_path = int(lines[0]), lines[1]
        return True

    @property
    def url(self):
        """Of the browser itself."""
        return f"ws://127.0.0.1:{self.port}{self._browser_path}"

    def open_tab(self):
        """The id and the URL of a new tab's own endpoint."""
        tab = json.loads(self._ask("PUT", "new?about:blank"))
        return tab["id"], tab["webSocketDebuggerUrl"]

    def close_tab(self, tab):
        self._ask("PUT", f"close/{tab}")

    def _ask(self, method, what):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/json/{what}", method=method)
        with urllib.request.urlopen(request, timeout=LIMIT) as answer:
            return answer.read()


def call(number, method, **parameters):
    """One command of the DevTools protocol."""
    return json.dumps({"id": number, "method": method, "params": parameters})
