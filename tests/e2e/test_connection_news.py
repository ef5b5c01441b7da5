"""What is said of connections while a capture goes on, and what counts as a failure."""

import pytest

from coming import coming
from frames import text
from harness import Hurried, at_some_pace, ms, wait_until
from servers.hostile import sending, sending_and_waiting
from turns import answering, forgiving


def refusing(connection):
    """Answers a login by a message that is no success."""
    connection.upgrade()
    connection.next_frame()
    connection.send(text("no"))
    connection.answer_close()


@coming("script")
def test_an_answer_to_a_refused_login_is_no_success(weir, serve, place):
    script = place.root / "script"

    def attempt(pace):
        script.write_text(f'send login\nexpect {ms(pace)} "yes"\n')
        server = serve(forgiving(refusing))
        result = weir.capture(server.url, "--script", script, "--reconnect", "--retry-attempts", "2",
                              "--retry-wait-max", "1ms", "--status", "json")
        result.expect(4, "step 2 (line 2)", "within ", " came)")
        assert len(server.connections) == 3
        assert result.err.count("the next attempt comes in") == 2
        if "(0 came)" in result.err:
            raise Hurried("the server did not answer in time")
        assert result.out == b"no\n" * 3
        assert "(1 came); it is not tried again" in result.err

    at_some_pace(attempt)


ADVICE = {"401 No": "--bearer-file", "403 No": "--origin", "404 No": "the path",
          "200 OK": "--header", "429 Slowly": "", "503 Later": ""}


@pytest.mark.parametrize("status", ADVICE)
def test_what_can_be_done_about_an_answer(weir, serve, status):
    """Nobody looks for a mistake in the path when the server is overloaded."""
    result = weir.capture(serve(answering(status)).url, "--status", "none")
    result.expect(3, f"{status} instead of 101 Switching Protocols", ADVICE[status])
    assert ("check" in result.err) == bool(ADVICE[status])


@pytest.mark.parametrize("status", ["401 No", "403 No", "404 No"])
def test_reconnect_says_that_it_gives_up(weir, serve, status):
    result = weir.capture(serve(answering(status)).url, "--reconnect", "--status", "json")
    result.expect(3, status, "; it is not tried again")
    assert result.complaint.count(status) == 1


@coming("reconnect")
def test_a_good_end_that_is_not_the_last_has_a_name(weir, serve):
    server = serve(sending(text("x")))
    result = weir.capture(server.url, "--reconnect", "--retry-wait-max", "1ms", "--messages", "3",
                          "--status", "summary").expect(0)
    news = [line for line in result.err.splitlines() if "the next attempt" in line]
    assert news and all(f"{server.url} closed the connection; " in line for line in news)


def test_one_of_two_sources_is_lost(weir, serve):
    good, bad = serve(sending_and_waiting(text("x"))), serve(sending(b"", 1008))
    process = weir.start_capture(good.url, bad.url, "--status", "summary")
    wait_until(lambda: "\n" in process.err_so_far() and process.out_so_far(), "a loss and a message")
    process.signal()
    result = process.wait().expect(4)
    first = result.err.splitlines()[0]
    assert bad.url in first and "1008" in first and first.endswith("; it is not tried again")
    assert result.out == b"x\n"


@pytest.mark.parametrize("others", [[], ["--status", "none"]])
def test_insecure_is_said_of_each_source(weir, serve, authority, others):
    plain = serve(sending(b""))
    server = serve(sending(b""), tls=authority.context("example.com"))
    result = weir.capture(plain.url, server.url, "--insecure", *others).expect(0)
    assert f"--insecure: whose certificate {server.url} has" in result.err
    assert f"certificate {plain.url}" not in result.err
