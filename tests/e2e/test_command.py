"""COMMAND: how it is run, what it is told, and what becomes of its segment."""

import os
import signal
import time

import pytest

from frames import text, texts
from servers.hostile import sending
from spool_reader import TEXT, payloads_of, records_of

MESSAGES = [b"%d" % n for n in range(10)]
BY_THREE = ["--segment-messages", "3"]


@pytest.fixture
def server(serve):
    return serve(sending(texts(MESSAGES)))


def test_it_gets_the_path_and_its_environment(weir, server, collector, place):
    spool = place.root / "spool"
    weir.capture(server.url, "--spool", spool, *BY_THREE, "--", *collector.by_path).expect(0)
    assert collector.payloads() == MESSAGES
    for name, segment in zip(collector.names(), collector.segments()):
        told = collector.environment(name)
        messages = [r for r in segment.records if r.is_message]
        data = spool / f"{segment.first_seq:020}.data"
        assert collector.stdin(name) == "/dev/null"
        assert told == {
            "WEIR_SPOOL": str(spool), "WEIR_SEGMENT": str(data),
            "WEIR_INDEX": str(data.with_suffix(".index")),
            "WEIR_FIRST_SEQ": str(segment.first_seq),
            "WEIR_LAST_SEQ": str(segment.records[-1].seq),
            "WEIR_MESSAGES": str(len(messages)),
            "WEIR_BYTES": str(sum(len(r.payload) for r in messages)),
            "WEIR_FIRST_TIME": str(messages[0].time_ns),
            "WEIR_LAST_TIME": str(messages[-1].time_ns)}


def test_without_braces_it_gets_the_data_on_standard_input(weir, server, collector):
    weir.capture(server.url, *BY_THREE, "--", *collector.by_stdin).expect(0)
    assert collector.payloads() == MESSAGES
    for name in collector.names():
        assert collector.stdin(name) == collector.environment(name)["WEIR_SEGMENT"]


def test_braces_are_replaced_wherever_they_stand(weir, server, place):
    said = place.root / "said"
    script = 'printf "%s\\n" "$WEIR_SEGMENT" "$@" >' + str(said)
    weir.capture(server.url, "--", "sh", "-c", script, "sh", "{}", "a{}b{}", "{", "}", "{ }",
                 "{{}}", "").expect(0)
    path, *arguments = said.read_text().split("\n")[:-1]
    assert arguments == [path, f"a{path}b{path}", "{", "}", "{ }", "{" + path + "}", ""]


def test_it_is_not_a_shell(weir, server, place):
    said = place.root / "said"
    weir.capture(server.url, "--", "cp", "{}", f"{said} $HOME;*").expect(0)
    assert (place.root / "said $HOME;*").read_bytes() == b"".join(m + b"\n" for m in MESSAGES)


def test_runs_are_sequential_and_in_order(weir, server, place):
    log = place.root / "log"
    script = 'echo "begin $WEIR_FIRST_SEQ"; sleep 0.02; echo "end $WEIR_FIRST_SEQ"'
    weir.capture(server.url, "--segment-messages", "2", "--", "sh", "-c",
                 f"{{ {script}; }} >>{log}").expect(0)
    lines = [line.split() for line in log.read_text().splitlines()]
    assert [word for word, _ in lines] == ["begin", "end"] * (len(lines) // 2)
    numbers = [int(number) for _, number in lines]
    assert numbers[0::2] == numbers[1::2] == sorted(numbers[0::2])
    assert len(numbers) >= 2 * 5


def test_its_output_is_weirs_output(weir, server):
    result = weir.capture(server.url, "--", "sh", "-c", "cat {}; echo problem >&2").expect(0)
    assert result.out == b"".join(m + b"\n" for m in MESSAGES)
    assert "problem" in result.err


def test_a_spool_of_our_own_is_gone_at_the_end(weir, server, place):
    result = weir.capture(server.url, *BY_THREE, "--status", "json", "--", "true").expect(0)
    assert result.report["spool"] == ""
    assert (result.report["kept"], result.report["acked"]) == (0, result.report["segments"])
    assert list(place.temp.iterdir()) == []


def failing(weir, server, place, command, *words):
    """COMMAND fails for some segments; returns what weir said and the spool that stays."""
    spool = place.root / "spool"
    result = weir.capture(server.url, "--spool", spool, *BY_THREE, "--status", "json", "--",
                          "sh", "-c", command)
    result.expect(1, *words, str(spool))
    return result, spool


def test_a_failed_segment_is_kept_and_the_others_go_on(weir, server, place):
    log = place.root / "log"
    command = f'echo "$WEIR_MESSAGES" >>{log}; ! grep -qx 4 {{}}'.replace("{}", '"$WEIR_SEGMENT"')
    result, spool = failing(weir, server, place, command)
    assert sum(map(int, log.read_text().split())) == len(MESSAGES), "later segments must run"
    kept = payloads_of(spool)
    assert b"4" in kept and len(kept) <= 3
    assert (result.report["kept"], result.report["spool"]) == (1, str(spool))


def test_the_exit_code_of_the_command_is_told(weir, server, place):
    _, spool = failing(weir, server, place, "exit 42", "42", "sh")
    assert payloads_of(spool) == MESSAGES


def test_the_signal_that_killed_the_command_is_told(weir, server, place):
    _, spool = failing(weir, server, place, "kill -KILL $$", "signal")
    assert payloads_of(spool) == MESSAGES


def test_a_spool_of_our_own_that_holds_failures_is_kept_and_named(weir, server, place):
    result = weir.capture(server.url, "--status", "json", "--", "false").expect(1)
    spool = place.may_stay(result.report["spool"])
    assert spool.parent == place.temp and str(spool) in result.complaint
    assert payloads_of(spool) == MESSAGES
    assert weir.cat(spool).expect(0).out == b"".join(m + b"\n" for m in MESSAGES)


@pytest.fixture
def untouched(serve):
    """A server that fails the test when anybody comes."""
    server = serve(lambda connection: None)
    yield server
    assert not server.connections, "weir connected before it looked for COMMAND"


@pytest.mark.parametrize("command", ["no-such-command", "/no/such/command", "./nothing", ""])
def test_not_found(weir, untouched, place, command):
    weir.capture(untouched.url, "--", command).expect(127, command)


def test_not_executable(weir, untouched, place):
    path = place.root / "plain"
    path.write_text("#!/bin/sh\n")
    weir.capture(untouched.url, "--", path).expect(126, str(path))


def test_a_directory_is_no_command(weir, untouched, place):
    weir.capture(untouched.url, "--", place.root).expect(126, str(place.root))


def test_a_script_without_interpreter(weir, server, place):
    """It can be found and may be executed, but that fails: known only when it is tried."""
    path = place.root / "broken"
    path.write_text("#!/no/such/interpreter\n")
    path.chmod(0o755)
    spool = place.root / "spool"
    result = weir.capture(server.url, "--spool", spool, "--", path)
    assert result.code in (1, 126, 127) and str(path) in result.complaint, result
    assert payloads_of(spool) == MESSAGES


@pytest.mark.parametrize("by_name", [False, True], ids=["by path", "by name"])
def test_a_script_without_a_first_line(weir, serve, place, by_name):
    """It is for the shell, as wherever else commands are run."""
    path = place.root / "plain-script"
    path.write_text('cat "$1" >>"$2"\n')
    path.chmod(0o755)
    env = {"PATH": f"{place.root}:{os.environ['PATH']}"} if by_name else None
    copy = place.root / "copy"
    server = serve(sending(texts(MESSAGES)))
    command = ["plain-script" if by_name else path, "{}", copy]
    weir.capture(server.url, "--", *command, env=env).expect(0)
    assert copy.read_bytes() == b"".join(m + b"\n" for m in MESSAGES)


@pytest.mark.parametrize("content", [b"", bytes(4096), b"\x7fELF\0\0no program\n"])
def test_what_is_no_script(weir, serve, place, content):
    """What a copy onto a full disk has left would be a script that does nothing and succeeds."""
    path = place.root / "damaged"
    path.write_bytes(content)
    path.chmod(0o755)
    spool = place.root / "spool"
    result = weir.capture(serve(sending(texts(MESSAGES))).url, "--spool", spool, "--", path, "{}")
    result.expect(1, str(path), "cannot be run")
    assert payloads_of(spool) == MESSAGES


def test_ignored_child_signals(weir, serve, collector):
    """As some supervisors leave it: the system would not tell how COMMAND ended."""
    ignore = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    weir.capture(serve(sending(texts(MESSAGES))).url, "--", *collector.by_path,
                 preexec_fn=ignore).expect(0)
    assert collector.payloads() == MESSAGES


def test_a_command_that_reads_nothing(weir, serve):
    server = serve(sending(texts([b"x" * 1000] * 1000)))
    weir.capture(server.url, "--", "true").expect(0)


def test_events_alone_do_not_run_the_command(weir, serve, place):
    server = serve(sending(b""))
    result = weir.capture(server.url, "--", "touch", place.root / "ran").expect(0)
    assert not (place.root / "ran").exists(), result


def test_it_inherits_no_descriptor_and_no_blocked_signal(weir, server, place):
    said = place.root / "said"
    script = (f"ls -l /proc/self/fd | grep -o '[0-9]* ->.*' >{said}; "
              f"grep -E 'Sig(Blk|Ign)' /proc/self/status >>{said}")
    weir.capture(server.url, "--", "sh", "-c", script).expect(0)
    *descriptors, blocked, ignored = said.read_text().split("\n")[:-1]
    inherited = [line for line in descriptors if int(line.split()[0]) > 3]
    assert not inherited, "besides 0 to 2, ls itself has 3 open, and no other"
    assert int(blocked.split()[1], 16) == 0
    assert not int(ignored.split()[1], 16) >> (signal.SIGPIPE - 1) & 1


def test_no_command_gets_what_looks_names_up(weir, serve, place):
    """Commands start all the time while names are looked up that nobody has."""
    listing = place.root / "listing"

    def script(connection):
        connection.upgrade()
        for number in range(100):
            connection.send(text(f"{number}"))
            time.sleep(0.01)
        connection.answer_close()

    nowhere = [f"ws://no-such-name-{number}.invalid/" for number in range(3)]
    weir.capture(serve(script).url, *nowhere, "--reconnect", "--retry-wait-max", "1ms",
                 "--messages", 100, "--segment-messages", 1, "--status", "none", "--",
                 "sh", "-c", f"ls -l /proc/self/fd >>{listing}").expect(0)
    assert "socket:" not in listing.read_text()


def test_it_runs_where_weir_was_started(weir, server, place):
    said = place.root / "said"
    weir.capture(server.url, "--", "sh", "-c", f"pwd >{said}").expect(0)
    assert said.read_text().strip() == os.path.realpath(place.cwd)


def test_a_segment_that_the_command_deletes_itself(weir, server):
    weir.capture(server.url, *BY_THREE, "--", "rm", "{}").expect(0)


def test_kinds_and_times_are_in_the_index_for_the_command(weir, server, collector):
    weir.capture(server.url, "--", *collector.by_path).expect(0)
    messages = [r for r in collector.records() if r.is_message]
    assert {r.kind for r in messages} == {TEXT}
    assert all(r.time_ns > 1_600_000_000_000_000_000 for r in messages)


def test_keep_hands_nothing_on(weir, server, place):
    spool = place.root / "spool"
    weir.capture(server.url, "--keep", "--spool", spool).expect(0)
    assert [r.payload for r in records_of(spool) if r.is_message] == MESSAGES
