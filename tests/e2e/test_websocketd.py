"""websocketd: lines of a program as messages, long ones in two frames, and no Close at the end."""

import pytest

from frames import BINARY, CONTINUATION, TEXT
from harness import wait_until
from servers.websocketd import WebsocketdServer
from spool_reader import DISCONNECTED, events_of, messages_of, payloads_of

SIZES = [1, 4000, 65535, 65536, 65537, 300_000, 1]
LINES = f"""
for size in {SIZES}:
    print(("x" * size)[:-1] + "ü")
print("the end")
"""
EXPECTED = [*(("x" * (size - 1) + "ü").encode() for size in SIZES), b"the end"]


def test_every_line_is_a_message(weir, run_server):
    """The program ends, and so does the stream: nothing that came before is lost by that."""
    server = run_server(WebsocketdServer, LINES)
    result, spool = weir.captured(server.url, "--status", "json")
    report = result.expect(4, "without a Close").report
    assert (report["messages"], report["cut_bytes"]) == (len(EXPECTED), 0)
    assert messages_of(spool) == [(TEXT, line) for line in EXPECTED]
    event = events_of(spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


def test_long_lines_end_with_an_empty_frame(weir, run_server, tap):
    """That it really sends such frames; and that weir makes one message of both."""
    tapped = tap(run_server(WebsocketdServer, LINES).url)
    _, spool = weir.captured(tapped.url)
    assert payloads_of(spool) == EXPECTED
    sent = tapped.server_frames()
    unfinished = [at for at, frame in enumerate(sent) if not frame.fin]
    assert len(unfinished) >= 4
    for at in unfinished:
        last = sent[at + 1]
        assert (last.opcode, last.fin, last.payload) == (CONTINUATION, True, b"")


def test_binary(weir, run_server):
    script = "import sys; sys.stdout.buffer.write(bytes(range(256)) * 4000)"
    server = run_server(WebsocketdServer, script, "--binary")
    result, spool = weir.captured(server.url)
    result.expect(4)
    assert {kind for kind, _ in messages_of(spool)} == {BINARY}
    assert b"".join(payloads_of(spool)) == bytes(range(256)) * 4000


def test_what_is_sent_reaches_the_program(weir, run_server):
    script = "import sys\nfor line in sys.stdin: print('got ' + line.strip(), flush=True)"
    server = run_server(WebsocketdServer, script)
    result, spool = weir.captured(server.url, "--send", "one", "--send", "zwei ü",
                                  "--messages", "2", "--status", "json")
    assert result.expect(0).report["end"] == "limit"
    assert payloads_of(spool) == [b"got one", "got zwei ü".encode()]


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_the_server_ends(weir, run_server, end, collector):
    script = "import sys; print('one'); sys.stdin.read()"
    server = run_server(WebsocketdServer, script)
    process = weir.start_capture(server.url, "--segment-messages", "1", "--", *collector.by_path)
    wait_until(collector.names, "the message is handed on")
    getattr(server, end)()
    process.wait().expect(4, "without a Close")
    assert collector.payloads() == [b"one"]
