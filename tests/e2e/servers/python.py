"""python3-websockets as a server that plays a plan."""

import asyncio
import threading

import websockets
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory

from frames import BINARY, CONTINUATION, TEXT
from harness import LIMIT


class PythonServer:
    def __init__(self, plan, _directory, deflate=None):
        """`deflate`: parameters of permessage-deflate, by the names that RFC 7692 gives them."""
        self._plan = plan
        self._extensions = None if deflate is None else [ServerPerMessageDeflateFactory(**deflate)]
        self.pongs, self.received, self.close_code = [], [], None
        self._failure = None
        self._ready, self._played = threading.Event(), threading.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        assert self._ready.wait(LIMIT), "the server did not start"

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self):
        self._stop = asyncio.Event()
        async with websockets.serve(self._client, "127.0.0.1", 0, ping_interval=None,
                                    extensions=self._extensions, max_size=None) as server:
            port = server.sockets[0].getsockname()[1]
            self.url = f"ws://127.0.0.1:{port}/"
            self._ready.set()
            await self._stop.wait()

    async def _client(self, client, _path=None):
        try:
            await self._play(client)
            await client.wait_closed()
            self.close_code = client.close_code
        except Exception as failure:
            self._failure = failure
        finally:
            self._played.set()

    async def _play(self, client):
        block, at = memoryview(self._plan.block), 0
        waiting = []
        for kind, *what in self._plan.steps:
            if kind in ("text", "binary"):
                at = await self._send(client, kind, block, at, what[0])
            elif kind == "pinged":
                at = await self._send(client, "text", block, at, *what, waiting=waiting)
            elif kind in ("ping", "pong"):
                payload, at = bytes(block[at:at + what[0]]), at + what[0]
                waiting += await self._control(client, kind, payload)
            elif kind == "echo":
                for _ in range(what[0]):
                    await client.send(await asyncio.wait_for(client.recv(), LIMIT))
            else:
                await asyncio.wait_for(asyncio.gather(*waiting), LIMIT)
                await client.close(what[0])

    async def _control(self, client, kind, payload):
        if kind == "pong":
            await client.pong(payload)
            return []
        # The library compares the payload itself: the pong is found by it.
        pong = await client.ping(payload)
        pong.add_done_callback(lambda _: self.pongs.append(payload))
        return [pong]

    async def _send(self, client, kind, block, at, sizes, ping_size=0, waiting=None):
        if len(sizes) == 1:
            payload = bytes(block[at:at + sizes[0]])
            await client.send(payload.decode() if kind == "text" else payload)
            return at + sizes[0]
        opcode = TEXT if kind == "text" else BINARY
        for number, size in enumerate(sizes):
            if number and waiting is not None:
                payload, at = bytes(block[at:at + ping_size]), at + ping_size
                waiting += await self._control(client, "ping", payload)
            # Below the level of send(), which does not cut inside a character.
            await client.write_frame(number == len(sizes) - 1, CONTINUATION if number else opcode,
                                     bytes(block[at:at + size]))
            at += size
        return at

    def finish(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(LIMIT)
        self._loop.close()
        if self._failure:
            raise self._failure

    def wait_played(self):
        assert self._played.wait(LIMIT), "the server did not play its plan"
        return self
