"""Stores every message of a WebSocket and a newline in a temporary file: websockets and tempfile.

usage: receive.py URL DIR

Prints the number of messages and of payload bytes.
"""

import asyncio
import sys
import tempfile

import websockets

BUFFER = 1 << 20
FILE_MAX = 64 << 20


class Store:
    """A temporary file that gives its space back whenever it has grown to FILE_MAX."""

    def __init__(self, directory):
        self.file = tempfile.TemporaryFile(dir=directory, buffering=BUFFER)
        self.messages = 0
        self.bytes = 0
        self.start_over_at = FILE_MAX

    def add(self, payload):
        self.file.write(payload)
        self.file.write(b"\n")
        self.messages += 1
        self.bytes += len(payload)
        if self.bytes >= self.start_over_at:
            self.start_over_at = self.bytes + FILE_MAX
            self.file.seek(0)
            self.file.truncate()


async def receive(url, store):
    options = {"compression": None, "max_size": None, "read_limit": BUFFER}
    async with websockets.connect(url, **options) as socket:
        async for message in socket:
            store.add(message.encode() if isinstance(message, str) else message)


def main(url, directory):
    store = Store(directory)
    with store.file:
        asyncio.run(receive(url, store))
    print(store.messages, store.bytes)


main(*sys.argv[1:])
