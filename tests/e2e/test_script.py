"""--script and --send: what is said first, on each connection, and what is waited for."""

import json

import pytest

import frames
from frames import BINARY, TEXT, text
from harness import LIMIT, Hurried, at_some_pace, ms, wait_until
from spool_reader import payloads_of
from turns import AT_ONCE, announced, confirm, forgiving, in_turn

SECRET = "s3cr3t-w0rd"


@pytest.fixture
def steps(place):
    """steps(text): a file with these steps."""
    def write(lines):
        path = place.root / "steps"
        path.write_text(lines)
        return path

    return write


def told(script):
    """The first messages that the only client sent, as a server that runs `script` saw them."""
    return [(frame.opcode, frame.payload) for frame in script.received
            if frame.opcode in (TEXT, BINARY)]


def hearing(count, answer=b""):
    """A script that takes so many messages, answers, and closes."""
    def script(connection):
        connection.upgrade()
        for _ in range(count):
            while connection.next_frame().opcode not in (TEXT, BINARY):
                pass
        connection.send(answer)
        connection.finish()
    return script


def logging_in(number, end):
    """Gives each connection a token of its own, and wants it back."""
    def script(connection):
        connection.upgrade(more=text('{"hello":"%d"}' % number))
        assert json.loads(connection.next_of(TEXT).payload) == {"login": SECRET, "to": str(number)}
        connection.send(text("something else") + text('{"token":"t%d\\"x"}' % number))
        subscription = json.loads(connection.next_of(TEXT).payload)
        assert subscription == {"token": f't{number}\\"x', "subscribe": ["a", "b"]}
        confirm(connection, text("trade %d" % number))
        end(connection)
    return script


LOGIN = r"""
# What a server with tokens wants.
expect 10s /"hello":"(?<number>\d+)"/
send {"login":"${env:PASSWORD|json}","to":"${number}"}
expect 10s /"token":"(?<token>.*)"/
send {"token":"${token|json}","subscribe":["a","b"]}
"""


def test_log_in_and_subscribe_on_each_connection(weir, serve, steps):
    server = serve(in_turn(logging_in(1, lambda connection: None),
                           logging_in(2, lambda connection: connection.finish(1012)),
                           logging_in(3, lambda connection: connection.answer_close())))
    result, spool = weir.captured(server.url, "--script", steps(LOGIN), *AT_ONCE, "--messages",
                                  "12", "--status", "json", env={"PASSWORD": SECRET})
    result.expect(0)
    server.join()
    trades = [payload for payload in payloads_of(spool) if payload.startswith(b"trade")]
    assert trades == [b"trade 1", b"trade 2", b"trade 3"]
    assert len(payloads_of(spool)) == 12, "what the server says to the script is captured too"
    assert SECRET not in result.err


@pytest.mark.parametrize("lines, words", [
    ('expect 200ms "hello"', ["step 1", "line 1", '"hello"', "0 came"]),
    ('send a\n\n# b\nexpect 10s "one"\nexpect 200ms /tw(o|O)z/', ["step 3", "line 5", "1 came"]),
    ('wait 10ms\nexpect 200ms "${env:SECRET}"', ["step 2", "line 2"]),
])
def test_what_is_expected_does_not_come(weir, serve, steps, lines, words):
    def script(connection):
        connection.upgrade()
        if lines.startswith("send"):
            connection.next_of(TEXT)
            connection.send(text("one") + text("two"))
        assert connection.answer_close() == 1000

    result, spool = weir.captured(serve(script).url, "--script", steps(lines),
                                  env={"SECRET": SECRET})
    result.expect(4, *words)
    assert SECRET not in result.err + repr(payloads_of(spool))


def test_it_begins_anew_when_what_is_expected_does_not_come(weir, serve, steps):
    def deaf(connection):
        connection.upgrade()
        connection.next_of(TEXT)
        connection.answer_close()

    def helpful(connection):
        connection.upgrade()
        assert connection.next_of(TEXT).payload == b"login"
        connection.send(text("ok"))
        assert connection.next_of(TEXT).payload == b"subscribe"
        connection.send(text("one"))
        connection.answer_close()

    def attempt(pace):
        script = steps(f'send login\nexpect {ms(pace)} "ok"\nsend subscribe')
        server = serve(in_turn(deaf, deaf, forgiving(helpful)))
        result = weir.capture(server.url, "--script", script, *AT_ONCE, "--messages", "2", "--status",
                              "json").expect(0)
        if len(announced(result)) > 2:
            raise Hurried("the server did not answer in time")
        assert result.out == b"ok\none\n"
        assert len(announced(result)) == 2 and all("step 2" in line for line in announced(result))

    at_some_pace(attempt)


def test_the_server_ends_it_meanwhile(weir, serve, steps):
    """Why is what counts, and not that something did not come."""
    def script(connection):
        connection.upgrade()
        connection.next_of(TEXT)
        connection.finish(1008)

    server = serve(script)
    result = weir.capture(server.url, "--script", steps('send login\nexpect 1h "ok"'), *AT_ONCE)
    result.expect(4, "1008")
    assert len(server.connections) == 1


def test_stopped_while_it_expects(weir, serve, steps):
    def script(connection):
        connection.upgrade()
        connection.next_of(TEXT)
        connection.answer_close()

    server = serve(script)
    process = weir.start_capture(server.url, "--script", steps('send a\nexpect 1h "ok"'))
    wait_until(lambda: server.connections and server.connections[0].received, "it has begun")
    process.signal()
    assert process.wait(LIMIT / 2).expect(0).out == b""


def test_the_limit_is_reached_before_its_end(weir, serve, steps):
    def script(connection):
        connection.upgrade(more=text("one") + text("two"))
        connection.answer_close()

    result = weir.capture(serve(script).url, "--script", steps('expect 10s "three"\nsend x'),
                          "--messages", "1")
    assert result.expect(0).out == b"one\n"


# Secrets

def test_secrets_are_sent_and_nowhere_else(weir, serve, steps, place):
    """Neither said, nor in the spool, nor where ps(1) shows it."""
    (place.root / "token").write_text("f1le-t0ken\n")
    looked = []

    def script(connection):
        connection.upgrade()
        assert connection.next_of(TEXT).payload == f"{SECRET} f1le-t0ken".encode()
        assert connection.next_of(BINARY).payload == b"\x00f1le-t0ken"
        looked.append(open(f"/proc/{process.pid}/cmdline", "rb").read())
        connection.send(text("no"))
        connection.answer_close()

    process, server = None, serve(lambda connection: (wait_until(lambda: process, "weir"),
                                                      script(connection)))
    lines = steps('send ${env:SECRET} ${file:token}\nsend-binary "\\x00${file:token}"\n'
                  'expect 300ms "yes"\n')
    spool = place.root / "spool"
    process = weir.start_capture(server.url, "--script", lines, "--keep", "--spool", spool,
                                 env={"SECRET": SECRET})
    result = process.wait().expect(4, "step 3")
    server.join()
    everything = result.err.encode() + looked[0] + b"".join(
        path.read_bytes() for path in spool.iterdir())
    assert SECRET.encode() not in everything and b"f1le-t0ken" not in everything


@pytest.mark.parametrize("line, words", [
    ("send ${env:MISSING}", ["line 1", "MISSING"]),
    ("send ${file:missing}", ["line 1", "missing"]),
    ("send ${unknown}", ["line 1", "unknown"]),
    ("send @missing", ["line 1", "missing"]),
    ("expect soon /a/", ["line 1"]),
    ("expect 1s /(/", ["line 1"]),
    ("jump", ["line 1", "jump"]),
])
def test_a_script_that_cannot_be_right(weir, serve, steps, line, words):
    """Is said before anything is connected."""
    server = serve(lambda connection: None)
    weir.capture(server.url, "--script", steps(line), env={"SECRET": SECRET}).expect(2, *words)
    assert not server.connections


# What is sent

def test_every_way_to_send(weir, serve, steps, place):
    (place.root / "text").write_text("from a file\n${env:X}\n")
    (place.root / "binary").write_bytes(bytes(range(256)) * 300)
    server = serve(hearing(6))
    weir.capture(server.url, "--script", steps(
        'send plain  text\nsend " quoted\\n\\"x\\" "\nsend @text\nsend-binary abc\n'
        'send-binary @binary\nsend-binary "\\xff\\x00"\n')).expect(0)
    assert told(server.connection) == [
        (TEXT, b"plain  text"), (TEXT, b' quoted\n"x" '), (TEXT, b"from a file\n${env:X}\n"),
        (BINARY, b"abc"), (BINARY, bytes(range(256)) * 300), (BINARY, b"\xff\x00")]


def test_sends_come_behind_the_script(weir, serve, steps, place):
    (place.cwd / "more").write_text("@two")
    place.may_stay(place.cwd / "more")
    server = serve(hearing(4))
    weir.capture(server.url, "--send", "one ${env:WORD}", "--send", "@more", "--script",
                 steps("send zero\nwait 50ms\n"), "--send", "three", env={"WORD": "x"}).expect(0)
    assert [payload for _, payload in told(server.connection)] == [
        b"zero", b"one x", b"@two", b"three"]


@pytest.mark.parametrize("mode", ["text", "fragments", "bytewise"])
def test_what_is_expected_may_come_in_pieces(weir, serve, steps, mode):
    def script(connection):
        connection.upgrade()
        payload = b"x" * 5000 + b"token=abc;" + b"y" * 5000
        data = {"text": text(payload), "bytewise": text(b"token=abc;"),
                "fragments": frames.fragments(TEXT, [payload[:5003], b"", payload[5003:]])}[mode]
        (connection.send_bytewise if mode == "bytewise" else connection.send)(data)
        assert connection.next_of(TEXT).payload == b"use abc"
        connection.finish()

    server = serve(script)
    weir.capture(server.url, "--script",
                 steps("expect 10s /token=(?<token>[a-z]+);/\nsend use ${token}\n")).expect(0)
    server.join()


def test_sources_have_their_own_way_through_it(weir, serve, steps):
    """Each source captures its own values."""
    def script(number):
        def play(connection):
            connection.upgrade(more=text("you are %d" % number))
            assert connection.next_of(TEXT).payload == b"I am %d" % number
            connection.finish()
        return play

    servers = [serve(script(number)) for number in range(10)]
    weir.capture(servers[0].url, *[server.url for server in servers[1:]], "--script",
                 steps(r"expect 10s /are (?<number>\d+)/" "\nsend I am ${number}\n")).expect(0)
    for server in servers:
        server.join()
