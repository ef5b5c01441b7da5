"""The client of weir.h: the examples, and a program that does what it is told."""

import asyncio
import random
import threading
import time

import pytest
import websockets

import frames
import harness
from frames import CLOSE, PING, TEXT, binary, fragments, frame, text
from programs import compiled, environment_of, run
from servers.hostile import sending

EXAMPLES = harness.ROOT / "examples"
PROBE = harness.ROOT / "tests/e2e/client_probe.c"


@pytest.fixture(scope="session")
def built(installed, tmp_path_factory):
    """built(path): the program, compiled once."""
    programs = {}

    def build(path):
        if path not in programs:
            programs[path] = compiled(path, "weir", installed, tmp_path_factory.mktemp(path.stem))
        return programs[path]

    return build


class EchoedServer:
    """Sends messages, and checks that each comes back; python3-websockets."""

    def __init__(self, messages, **options):
        self.messages, self.options = messages, options
        self.back, self.failure, self.close_code = [], None, None
        self.ready = threading.Event()
        self.thread = threading.Thread(target=lambda: asyncio.run(self.serve()), daemon=True)
        self.thread.start()
        assert self.ready.wait(harness.LIMIT)

    async def serve(self):
        self.done = asyncio.Event()
        async with websockets.serve(self.client, "127.0.0.1", 0, max_size=None, ping_interval=None,
                                    **self.options) as server:
            self.url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            self.ready.set()
            await asyncio.wait_for(self.done.wait(), harness.LIMIT)

    async def client(self, client, _path=None):
        try:
            await asyncio.gather(self.send(client), self.receive(client))
            await client.close(1000, "thank you")
            self.close_code = client.close_code
        except Exception as failure:
            self.failure = failure
        self.done.set()

    async def send(self, client):
        for message in self.messages:
            await client.send(message)

    async def receive(self, client):
        for _ in self.messages:
            self.back.append(await client.recv())

    def finish(self):
        self.thread.join(harness.LIMIT)
        if self.failure:
            raise self.failure


def messages_of_all_kinds():
    random.seed(4)
    sizes = [0, 1, 63, 64, 125, 126, 127, 4096, 65535, 65536, 300_000, 3_000_000]
    mixed = []
    for size in sizes + sizes[::-1]:
        mixed += ["ä" * (size // 2), random.randbytes(size), bytes(size), "x" * size]
    return mixed


@pytest.mark.parametrize("compression", ["deflate", None])
def test_echo(built, installed, weir, compression):
    server = EchoedServer(messages_of_all_kinds(), compression=compression)
    out = run([built(EXAMPLES / "echo.c"), server.url], env=environment_of(weir, installed)).stdout
    server.finish()
    assert server.back == server.messages
    assert server.close_code == 1000
    assert out == f"{len(server.messages)} messages were sent back\n"


def test_echo_of_more_than_may_wait(built, installed, weir, serve):
    """The server sends all before it reads anything: the client must stop reading meanwhile."""
    count, size = 400, 250_000

    def script(connection):
        connection.upgrade()
        sender = threading.Thread(
            target=lambda: connection.send(binary(bytes(size)) * count), daemon=True)
        sender.start()
        sender.join(0.5)
        for _ in range(count):
            assert connection.next_of(frames.BINARY).payload == bytes(size)
        sender.join(harness.LIMIT)
        connection.finish()

    process = weir.start(serve(script).url, program=[built(EXAMPLES / "echo.c")],
                         env={"LD_LIBRARY_PATH": installed["LD_LIBRARY_PATH"]})
    result = process.wait()
    assert (result.code, result.out) == (0, b"%d messages were sent back\n" % count)


def test_all_that_waited_is_sent_at_once(built, installed, weir, serve):
    """Nothing is read while much waits to be sent; the last of it leaves from inside of a send."""

    def script(connection):
        connection.upgrade()
        time.sleep(0.2)
        connection.send(text("not read yet"))
        time.sleep(0.5)
        assert connection.next_of(TEXT).payload == b"the last"
        connection.send(text("more"))
        connection.finish()

    lines = probe(built, installed, weir, serve(script).url, "flood", "the last")
    assert "waiting: 1" in lines
    assert [line for line in lines if line.startswith("text: ")] == [
        "text: not read yet", "text: more"]


def test_receive(built, installed, weir, serve):
    payloads = ["one", "zwei ü", "", "x" * 100_000]
    url = serve(sending(frames.texts(payloads))).url
    done = run([built(EXAMPLES / "receive.c"), url], env=environment_of(weir, installed))
    assert done.stdout == "".join(f"{payload}\n" for payload in payloads)


def probe(built, installed, weir, url, *arguments):
    done = run([built(PROBE), url, *arguments], env=environment_of(weir, installed))
    return done.stdout.splitlines()


def test_what_may_not_be_sent(built, installed, weir, serve):
    def script(connection):
        connection.upgrade()
        assert connection.next_of(PING).payload == b"are you there"
        assert connection.next_of(TEXT).payload == b"hello"
        connection.send(text("so far"))
        connection.finish()

    lines = probe(built, installed, weir, serve(script).url, "send", "hello")
    assert lines == [
        "send too early: Transport endpoint is not connected",
        "connected",
        "open: no subprotocol, state 1",
        "text that is none: Invalid or incomplete multibyte or wide character",
        "no kind: Invalid argument",
        "a long ping: Invalid argument",
        "a ping: fine",
        "code 1005: Invalid argument",
        "code 1006: Invalid argument",
        "code 1015: Invalid argument",
        "a reason that is none: Invalid or incomplete multibyte or wide character",
        "send: fine",
        "waiting: 0",
        "text: so far",
        "not connected",
        "send too late: Transport endpoint is not connected",
        "outcome 0, state 3, 1 messages in 1 pieces, 6 bytes, 1 sent, 1 opened, code 1000",
        "message: ",
    ]


@pytest.mark.parametrize("code", [1000, 1001, 1003, 1007, 1014, 3000, 4999, 1005])
def test_close(built, installed, weir, serve, code):
    reason = "" if code == 1005 else "ü" * 80  # 160 bytes, of which 122 fit

    def script(connection):
        connection.upgrade()
        close = connection.next_of(CLOSE).payload
        expected = b"" if code == 1005 else code.to_bytes(2, "big") + ("ü" * 61).encode()
        assert close == expected
        connection.send(text("too late") + frames.close(code if code != 1005 else None))
        connection.wait_end()

    lines = probe(built, installed, weir, serve(script).url, "close", str(code), reason)
    assert "close: fine" in lines
    assert lines[-2].startswith(f"outcome 0, state 3, 0 messages") and lines[-2].endswith(f"code {code}")


def test_pieces(built, installed, weir, serve):
    size = 5_000_000
    stream = fragments(frames.BINARY, [bytes(1000)] * (size // 1000)) + text("end")
    lines = probe(built, installed, weir, serve(sending(stream)).url, "pieces")
    assert "text: end" in lines
    assert f"2 messages in " in lines[-2] and f" {size + 3} bytes" in lines[-2]
    assert int(lines[-2].split(" pieces")[0].split()[-1]) > 4


def test_whole_out_of_fragments(built, installed, weir, serve):
    stream = fragments(TEXT, [b"a", b"", b"b"]) + frame(TEXT, b"c", fin=False) + frame(PING) + frame(0, b"d")
    lines = probe(built, installed, weir, serve(sending(stream)).url)
    assert [line for line in lines if line.startswith("text: ")] == ["text: ab", "text: cd"]
    assert "2 messages in 2 pieces" in lines[-2]


def test_too_large_to_be_given_whole(built, installed, weir, serve):
    def script(connection):
        connection.upgrade(more=text("before"))
        connection.send(b"\x82\x7f" + ((64 << 20) + 1).to_bytes(8, "big"))
        assert connection.wait_close() == 1009
        connection.wait_end()

    lines = probe(built, installed, weir, serve(script).url)
    assert "text: before" in lines
    assert lines[-2].startswith("outcome 4") and "larger" in lines[-1]


def test_a_subprotocol(built, installed, weir, serve):
    def script(connection):
        assert connection.read_request().value("sec-websocket-protocol") == "chat"
        connection.answer(*connection.accept_lines(), "Sec-WebSocket-Protocol: chat")
        connection.finish()

    lines = probe(built, installed, weir, serve(script).url, "subprotocol", "chat")
    assert "open: chat, state 1" in lines


def test_reconnects(built, installed, weir, serve):
    numbers = iter(range(4))

    def script(connection):
        number = next(numbers)
        connection.upgrade(more=text(f"connection {number}"))
        if number < 3:
            return
        connection.send(frames.close(1008))
        connection.wait_end()

    lines = probe(built, installed, weir, serve(script).url, "reconnect")
    assert [line for line in lines if line.startswith("text: ")] == [
        f"text: connection {n}" for n in range(4)]
    assert lines.count("connected") == 4
    assert lines[-2].startswith("outcome 4") and "4 opened, code 1008" in lines[-2]


def test_greeted_and_closed(built, installed, weir, serve):
    """A server that says something before it closes is not connected to again and again at once: the
    waits are drawn from 1, 2, 4 … ms, and 1 s at last. All are short in one run of 50,000."""
    times = []

    def script(connection):
        times.append(time.monotonic())
        connection.upgrade(more=text("hello"))
        if len(times) > 11:
            connection.send(frames.close(1008))
            connection.wait_end()

    probe(built, installed, weir, serve(script).url, "reconnect", "patient")
    waits = [later - earlier for earlier, later in zip(times, times[1:])]
    assert len(waits) == 11 and max(waits) > 0.03, waits


def test_nobody_there(built, installed, weir):
    lines = probe(built, installed, weir, "ws://127.0.0.1:1/")
    assert lines[-2].startswith("outcome 3, state 3") and "nobody answers" in lines[-1]


def test_no_url_of_a_websocket(built, installed, weir):
    lines = probe(built, installed, weir, "http://127.0.0.1/")
    assert lines[-2].startswith("outcome 2, state 3") and "URL" in lines[-1]
