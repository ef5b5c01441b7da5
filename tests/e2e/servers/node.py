"""Node's ws as a server that plays a plan; see node.js beside this file."""

import json
import os
import re
import shutil
import subprocess
import threading
import uuid
from pathlib import Path

import pytest

from harness import LIMIT

HERE = Path(__file__).resolve().parent
MODULES = [*filter(None, os.environ.get("NODE_PATH", "").split(":")), "/usr/share/nodejs"]


class NodeServer:
    def __init__(self, plan, directory, deflate=None):
        """`deflate`: parameters of permessage-deflate, by the names that RFC 7692 gives them."""
        self.pongs, self.close_code = [], None
        self._played = threading.Event()
        name = directory / f"plan-{uuid.uuid4().hex}"
        name.with_suffix(".json").write_text(json.dumps(plan.steps))
        name.with_suffix(".bytes").write_bytes(plan.block)
        self._process = subprocess.Popen(
            [_node(), HERE / "node.js", name, json.dumps(_options(deflate))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            text=True, env={**os.environ, "NODE_PATH": ":".join(MODULES)})
        self.url = json.loads(self._process.stdout.readline())["url"]
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        for line in self._process.stdout:
            said = json.loads(line)
            if "pong" in said:
                self.pongs.append(bytes.fromhex(said["pong"]))
            else:
                self.close_code = said["closed"]
                self._played.set()

    def wait_played(self):
        assert self._played.wait(LIMIT), "the server did not play its plan"
        return self

    def finish(self):
        self._process.stdin.close()  # it ends with its standard input
        code = self._process.wait(LIMIT)
        self._thread.join(LIMIT)
        self._process.stdout.close()
        assert code == 0, f"the Node server failed with {code}"


def _options(deflate):
    """What ws calls the same; without any, it does not compress."""
    if deflate is None:
        return False
    return {re.sub(r"_(\w)", lambda m: m[1].upper(), name): value
            for name, value in deflate.items()}


def _node():
    node = shutil.which("node")
    if not node or not any(Path(modules, "ws").is_dir() for modules in MODULES):
        pytest.skip("Node's ws is not installed (Debian: apt-get install node-ws)")
    return node
