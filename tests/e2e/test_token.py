"""--token-command: run before each attempt to connect, and what it prints is the token."""

import os
import re
import signal
import time
from pathlib import Path

import pytest

from frames import text
from harness import SANITIZED, wait_until
from servers.hostile import sending
from spool_reader import payloads_of

SECRET = f"hush-hush-4417-{os.getpid()}"  # tests that run beside this one have others
COUNTING = 'echo x >>{0}; echo "{1}-$(wc -l <{0})"'
QUICKLY = ["--reconnect", "--retry-wait-max", "20ms"]


def tokens_of(server):
    server.join()
    return [connection.request.values("authorization") for connection in server.connections]


def counting(place, token="token"):
    """A command that prints another token each time."""
    return COUNTING.format(place.root / "times", token)


def times_run(place):
    path = place.root / "times"
    return len(path.read_text().splitlines()) if path.exists() else 0


def test_the_token(weir, serve):
    server = serve(sending(text("x")))
    result, spool = weir.captured(server.url, "--token-command", f"echo {SECRET}", "--header",
                                  "X-Other: 1", "--status", "json")
    result.expect(0)
    assert tokens_of(server) == [[f"Bearer {SECRET}"]]
    assert server.connection.request.value("x-other") == "1"
    assert payloads_of(spool) == [b"x"]
    assert SECRET not in result.err
    assert not any(SECRET.encode() in path.read_bytes() for path in spool.iterdir())


def test_the_command_is_the_shell_s(weir, serve):
    """As it was written, with our environment, and nothing to read."""
    server = serve(sending(text("x")))
    command = "read nothing; printf '%s' \"$KEY\" | tr a-z A-Z && echo '-{}-'"
    weir.captured(server.url, "--token-command", command, env={"KEY": "abc"})[0].expect(0)
    assert tokens_of(server) == [["Bearer ABC-{}-"]]


def test_another_one_for_each_connection(weir, serve, place):
    server = serve(sending(text("x")))
    result, spool = weir.captured(server.url, "--token-command", counting(place), *QUICKLY,
                                  "--messages", 3)
    result.expect(0)
    assert payloads_of(spool) == [b"x"] * 3
    assert tokens_of(server) == [[f"Bearer token-{n}"] for n in (1, 2, 3)]


def test_another_one_for_each_attempt(weir, serve, place):
    """Also for those that fail."""
    def script(connection):
        if len(server.connections) < 3:
            connection.read_request()
            connection.answer(status="HTTP/1.1 503 Later")
            return connection.wait_end()
        return sending(text("x"))(connection)

    server = serve(script)
    weir.captured(server.url, "--token-command", counting(place), *QUICKLY, "--messages",
                  1)[0].expect(0)
    assert tokens_of(server) == [[f"Bearer token-{n}"] for n in (1, 2, 3)]


def test_another_one_for_the_connection_that_replaces_one(weir, serve, place):
    """While the old one goes on."""
    def script(connection):
        connection.upgrade()
        connection.send(text("x"))
        connection.answer_close()

    server = serve(script)
    weir.captured(server.url, "--token-command", counting(place), "--max-connection-age", "100ms",
                  "--messages", 3)[0].expect(0)
    assert tokens_of(server) == [[f"Bearer token-{n}"] for n in (1, 2, 3)]


def test_each_source_has_its_own(weir, serve, place):
    servers = [serve(sending(text("x"))) for _ in range(3)]
    weir.captured(servers[0].url, servers[1].url, servers[2].url, "--token-command",
                  "echo $$")[0].expect(0)
    assert len({tokens_of(server)[0][0] for server in servers}) == 3


FAILING = {  # the command: words of the message
    "exit 3": ["exit code 3"],
    f"echo {SECRET}; exit 1": ["exit code 1"],
    "kill -9 $$": ["signal 9"],
    "no-such-program-4417": ["exit code 127"],
    "true": ["printed nothing"],
    "echo": ["printed nothing"],
    f"echo {SECRET}; echo {SECRET}": ["more than one line"],
    f"printf '{SECRET}\\rX-Evil: 1\\r\\n'": ["more than one line"],
    f"printf '{SECRET}\\0x'": ["a NUL"],
    f"echo '{SECRET} two words'": ["no token"],
    f"printf '{SECRET}\\303\\244'": ["no token"],
    "head -c 100000 /dev/urandom": ["64 KiB"],
    "yes": ["64 KiB"],
}


@pytest.mark.parametrize("command", FAILING)
def test_commands_that_fail(weir, serve, command):
    """Nothing is sent, and nothing of what was printed is said."""
    server = serve(sending(b""))
    result = weir.capture(server.url, "--token-command", command, "--status", "json")
    result.expect(3, server.url, "--token-command", *FAILING[command])
    assert not server.connections
    assert SECRET not in result.err
    assert result.report["messages"] == 0


def test_the_longest_token(weir, serve):
    server = serve(sending(text("x")))
    command = "head -c 32768 /dev/zero | tr '\\0' x"
    weir.captured(server.url, "--token-command", command)[0].expect(0)
    assert tokens_of(server) == [["Bearer " + "x" * 32768]]


def test_a_failure_is_retried(weir, serve, place):
    server = serve(sending(text("x")))
    command = f"{counting(place)}; test $(wc -l <{place.root / 'times'}) = 3"
    result, spool = weir.captured(server.url, "--token-command", command, *QUICKLY,
                                  "--messages", 1, "--status", "summary")
    result.expect(0)
    assert payloads_of(spool) == [b"x"]
    assert tokens_of(server) == [["Bearer token-3"]]
    assert len(re.findall("--token-command ended with exit code 1; the next attempt",
                          result.err)) == 2


def test_failures_count(weir, place):
    command = f"echo x >>{place.root / 'times'}; exit 7"
    weir.capture("ws://127.0.0.1:9/", "--token-command", command, *QUICKLY, "--retry-attempts",
                 3).expect(3, "exit code 7")
    assert times_run(place) == 4


def test_a_failure_while_another_connection_is_open(weir, serve, place):
    """The old one stays until there is a new one."""
    times = place.root / "times"

    def script(connection):
        connection.upgrade()
        if connection is server.connections[0]:
            wait_until(lambda: times_run(place) >= 3, "attempts that fail")
            connection.send(text("old"))
        else:
            connection.send(text("new"))
        connection.answer_close()

    server = serve(script)
    command = (f"echo x >>{times}; n=$(wc -l <{times}); echo token-$n; "
               "test $n != 2 && test $n != 3")
    result, spool = weir.captured(server.url, "--token-command", command, *QUICKLY,
                                  "--max-connection-age", "50ms", "--messages", 2)
    result.expect(0)
    assert payloads_of(spool) == [b"old", b"new"]


@pytest.mark.parametrize("command", ["exec sleep 100", "sleep 100", "sleep 100 | sleep 100",
                                     "trap '' TERM; sleep 100; sleep 100"])
def test_commands_that_hang(weir, serve, command):
    """They are ended, with all that they have started; the fixture looks for what is left."""
    server = serve(sending(b""))
    result = weir.capture(server.url, "--token-command", command, "--connect-timeout", "200ms")
    result.expect(3, "--token-command took too long", "--connect-timeout")
    assert not server.connections


def test_what_a_command_leaves_running_is_not_waited_for(weir, serve, place):
    """A program in the background may hold the pipe for as long as it likes."""
    server = serve(sending(text("x")))
    pid_file = place.root / "pid"
    command = f"sleep 100 & echo $! >{pid_file}; echo token"
    weir.captured(server.url, "--token-command", command)[0].expect(0)
    os.kill(int(pid_file.read_text()), signal.SIGKILL)
    assert tokens_of(server) == [["Bearer token"]]


@pytest.mark.parametrize("command", ["sleep 100", "trap '' TERM; sleep 100; sleep 100"])
@pytest.mark.parametrize("stops", [1, 2])
def test_stopped_while_it_runs(weir, serve, place, command, stops):
    server = serve(sending(b""))
    process = weir.start_capture(server.url, "--token-command",
                                 f"echo x >>{place.root / 'times'}; {command}", "--reconnect")
    wait_until(lambda: times_run(place), "the command runs")
    process.signal()
    if stops == 2:
        time.sleep(0.1)  # as a person would
        process.signal(signal.SIGTERM)
        assert process.wait().code in (0, 128 + signal.SIGTERM)
    else:
        process.wait().expect(0)
    assert not server.connections and times_run(place) == 1


def test_a_limit_of_time_while_it_runs(weir, serve):
    server = serve(sending(b""))
    weir.capture(server.url, "--token-command", "sleep 100", "--duration", "100ms").expect(0)
    assert not server.connections


def test_the_token_is_in_no_argument_and_no_environment(weir, serve, place):
    """Of no process, while the connection is open."""
    secret_file = place.root / "secret"
    secret_file.write_text(SECRET)
    found = []

    def script(connection):
        connection.upgrade()
        for process in Path("/proc").iterdir():
            if not process.name.isdigit() or int(process.name) == os.getpid():
                continue
            for name in ("cmdline", "environ"):
                try:
                    if SECRET.encode() in (process / name).read_bytes():
                        found.append(process.name)
                except OSError:
                    continue
        connection.finish()

    server = serve(script)
    weir.captured(server.url, "--token-command", f"cat {secret_file}")[0].expect(0)
    assert tokens_of(server) == [[f"Bearer {SECRET}"]] and not found


def writable_memory(pid):
    """All that a process may have written, as far as it can be read."""
    with open(f"/proc/{pid}/maps") as maps, open(f"/proc/{pid}/mem", "rb") as memory:
        for line in maps:
            begin, end = (int(part, 16) for part in line.split()[0].split("-"))
            if line.split()[1].startswith("rw") and "[v" not in line:
                memory.seek(begin)
                try:
                    yield memory.read(end - begin)
                except OSError:
                    continue


def test_the_token_is_wiped_when_the_connection_is_open(weir, serve, place):
    if os.getuid() != 0 or SANITIZED:  # whose memory has no end
        pytest.skip("only root may read the memory of another process")
    secret_file = place.root / "secret"
    secret_file.write_text(SECRET)
    found = []

    def script(connection):
        connection.upgrade()
        connection.send(text("x"))
        wait_until(lambda: process.out_so_far(), "a message")
        found.extend(SECRET.encode() in part for part in writable_memory(process.pid))
        connection.finish()

    server = serve(script)
    process = weir.start_capture(server.url, "--token-command", f"cat {secret_file}")
    process.wait().expect(0)
    assert tokens_of(server) == [[f"Bearer {SECRET}"]]
    assert found and not any(found)


def test_it_is_one_way_to_log_in(weir, place):
    path = place.root / "secret"
    path.write_text("a:b")
    for option in ("--basic-file", "--bearer-file"):
        weir.capture("ws://127.0.0.1:9/", "--token-command", "echo x", option,
                     path).expect(2, "--token-command")
    weir.capture("ws://127.0.0.1:9/", "--token-command", "").expect(2, "--token-command")


def test_it_does_not_get_our_descriptors(weir, serve):
    server = serve(sending(text("x")))
    weir.captured(server.url, "--token-command", "echo $(ls /proc/self/fd | wc -l)")[0].expect(0)
    assert tokens_of(server) == [["Bearer 4"]]  # the usual three, and what ls looks at
