"""What was typed wrong: exit code 2 at once, and a message that names it."""

import pytest

from frames import texts
from servers.hostile import sending_and_waiting

URL = "ws://127.0.0.1:9/"

BAD_URLS = ["http://x", "ws://", "ws://host:99999/", "ws:///x", "ws://host/#x", "ws://host/a b",
            "ws://ho st/", "", "x", "ws:/host", "ws://host:abc/", "ws://host:0/", "ws://[::1/",
            "ws://host/\n", "ws://user:secret@host/", "//host/"]


@pytest.mark.parametrize("url", BAD_URLS)
def test_malformed_url(weir, url):
    result = weir.capture(url, "--", "true").expect(2, "URL")
    assert "secret" not in result.err


BAD_CAPTURES = {
    "unknown option": (["--no-such-option"], "--no-such-option"),
    "unknown option with value": (["--no-such=1"], "--no-such"),
    "unknown short option": (["-z"], "-z"),
    "abbreviated option": (["--seg", "1"], "--seg"),
    "second spool": (["--spool", "a", "--spool", "b"], "--spool"),
    "spool and prefix": (["--spool", "a", "--prefix", "b"], "--prefix"),
    "spool and suffix": (["--spool", "a", "--suffix", "b"], "--suffix"),
    "slash in prefix": (["--prefix", "a/b"], "--prefix"),
    "slash in suffix": (["--suffix", "../b"], "--suffix"),
    "empty spool": (["--spool", ""], "--spool"),
    "no command": (["--"], "--"),
    "value for a flag": (["--keep=yes"], "--keep"),
    "unknown status": (["--status", "loud"], "--status"),
    "header without colon": (["--header", "nonsense"], "--header"),
    "header without name": (["--header", ": x"], "--header"),
    "header with CR": (["--header", "X: a\rB: c"], "--header"),
    "header with LF": (["--header", "X: a\nB: c"], "--header"),
    "header with blank in its name": (["--header", "X Y: a"], "--header"),
    "header of the handshake": (["--header", "Upgrade: h2c"],
                                "--header: the WebSocket handshake itself sets Upgrade"),
    "the wrong one of two headers": (["--header", "A: secret", "--header", "secret"],
                                     "number 2 of them"),
    "subprotocol as a header": (["--header", "sec-websocket-protocol: a"], "--subprotocol"),
    "user agent twice": (["--user-agent", "a", "--header", "user-agent: b"], "--user-agent"),
    "origin twice": (["--origin", "http://a", "--header", "Origin: http://b"], "--origin"),
    "authorization twice": (["--token-command", "echo t", "--header", "Authorization: secret"],
                            "--token-command"),
    "no such script": (["--script", "/nonexistent"], "--script: cannot read the file /nonexistent"),
    "no such file to send": (["--send", "@/nonexistent"],
                             "--send: cannot read the file /nonexistent"),
    "empty name of a variable": (["--basic-env", ""], "--basic-env: its value, NAME, is empty"),
    "user without password": (["--basic-env", "HOME"], "--basic-env"),
    "text to send that is not UTF-8": (["--send", b"\xff\xfe"], "--send"),
    "attempts without reconnect": (["--retry-attempts", "3"], "--reconnect, which is missing"),
    "wait without reconnect": (["--retry-wait-max", "1s"], "--reconnect, which is missing"),
    "time without reconnect": (["--retry-time", "1s"], "--reconnect, which is missing"),
    **{f"size {value!r}": (["--segment-size", value], "--segment-size")
       for value in ("", "x", "-1", "1x", "1 MiB ", "MiB", "99999999999999999999", "1e9TiB",
                     "0x10", "1..5k", "nan", "inf")},
    **{f"time {value!r}": (["--segment-age", value], "--segment-age")
       for value in ("", "x", "-1s", "1x", "s", "99999999999999999999d")},
    **{f"number {value!r}": (["--messages", value], "--messages")
       for value in ("", "x", "-1", "1.5", "99999999999999999999999")},
}

VALUED = ["--dir", "--spool", "--prefix", "--suffix", "--segment-size", "--segment-age",
          "--segment-messages", "--disk-max", "--send", "--header", "--messages", "--bytes",
          "--duration", "--connect-timeout", "--status"]


@pytest.mark.parametrize("name", BAD_CAPTURES)
def test_bad_option_of_capture(weir, name):
    arguments, word = BAD_CAPTURES[name]
    weir.capture(URL, *arguments).expect(2, word)


@pytest.mark.parametrize("option", VALUED)
def test_value_that_is_missing(weir, option):
    weir.capture(URL, option).expect(2, option)


def test_no_url(weir):
    weir.run("capture").expect(2, "URL")


@pytest.mark.parametrize("arguments, word", [
    ([], ""), (["no-such-command"], "no-such-command"), (["--no-such"], "--no-such"),
    (["cat"], "spool"), (["cat", "a", "b"], "b"), (["cat", "--no-such", "a"], "--no-such"),
    (["feed", "--no-such"], "--no-such"), (["feed", "surplus"], "surplus"),
    (["feed", "--listen", "nonsense"], "--listen"), (["feed", "--seed", "x"], "--seed"),
    (["feed", "--listen", "127.0.0.1:99999"], "--listen"), (["feed", "--rate", "-1"], "--rate"),
    (["feed", "--binary"], "--size")])
def test_other_bad_commands(weir, arguments, word):
    weir.run(*arguments).expect(2, word)


@pytest.mark.parametrize("arguments", [["--help"], ["capture", "--help"], ["cat", "--help"],
                                       ["feed", "--help"], ["-h"], ["help"], ["capture", "-h"]])
def test_help_goes_to_standard_output(weir, arguments):
    result = weir.run(*arguments).expect(0)
    assert "usage" in result.out.decode().lower() and not result.err


def test_help_with_a_command(weir):
    assert weir.run("help", "cat").expect(0).out == weir.run("cat", "--help").expect(0).out
    weir.run("help", "no-such-command").expect(2, "no-such-command")
    for words in (["help", "help"], ["help", "--help"], ["-h", "-h"], ["--help", "help"]):
        assert weir.run(*words).expect(0).out == weir.run("--help").out


@pytest.mark.parametrize("command", [["gzip"], ["wc", "-l"], ["./load", "{}", "--fast"]])
def test_a_command_without_its_dashes(weir, command):
    said = weir.capture(URL, *command).expect(2, "COMMAND stands behind --").err
    assert f'"{command[0]}" is no URL' in said


def test_what_is_no_url(weir):
    weir.capture(URL, "--messages", "3", "true").expect(2, '"true" is no URL', "behind --")
    weir.capture("feed.example/trades").expect(2, '"feed.example/trades" is no URL', "ws://")
    assert "secret" not in weir.capture("me:secret@feed.example").expect(2, "is no URL").err


def test_help_of_capture_names_every_option(weir):
    text = weir.run("capture", "--help").out.decode()
    assert [option for option in [*VALUED, "--keep"] if option not in text] == []


def test_version(weir):
    result = weir.run("--version").expect(0)
    assert result.out.startswith(b"weir ") and not result.err


def test_help_to_a_full_disk_is_no_success(weir):
    with open("/dev/full", "wb") as full:
        assert weir.run("--help", stdout=full).code != 0


@pytest.mark.parametrize("form", [["--messages", "3"], ["--messages=3"]])
def test_both_forms_of_a_value(weir, serve, form):
    server = serve(sending_and_waiting(texts([b"x"] * 5)))
    result, _ = weir.captured(server.url, *form, "--status", "json")
    assert result.expect(0).report["messages"] == 3
