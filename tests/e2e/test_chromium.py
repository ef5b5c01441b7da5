"""Chromium's DevTools: an odd handshake, huge text frames, bursts, and tabs that close."""

import json

import pytest

from coming import coming
from frames import TEXT
from harness import SANITIZED, wait_until
from servers.chromium import ChromiumServer, call
from spool_reader import DISCONNECTED, events_of, messages_of, payloads_of

pytestmark = pytest.mark.chromium

MEBIBYTE = 1 << 20
TRACE = {"transferMode": "ReportEvents",
         "traceConfig": {"recordMode": "recordUntilFull", "includedCategories": ["*"]}}
BUSY_PAGE = ("data:text/html,<script>const end = performance.now() + 100; let n = 0;"
             "while (performance.now() < end) document.title = ++n</script>")


@pytest.fixture
def chromium(run_server):
    return run_server(ChromiumServer)


def sending(*calls):
    return [part for one in calls for part in ("--send", one)]


def evaluate(number, expression):
    return call(number, "Runtime.evaluate", expression=expression)


def wait_for(spool, words):
    wait_until(lambda: any(words in path.read_bytes() for path in spool.glob("*.data")),
               f"{words!r} is in the spool")


def small(report):
    assert SANITIZED or report["peak_rss_bytes"] <= 16 * MEBIBYTE


def test_the_handshake(weir, chromium, tap):
    tapped = tap(chromium.url)
    result, spool = weir.captured(tapped.url, "--messages", "1",
                                  *sending(call(1, "Browser.getVersion")))
    result.expect(0)
    assert json.loads(payloads_of(spool)[0])["result"]["product"].startswith("Chrome/")
    assert tapped.head.startswith("HTTP/1.1 101 WebSocket Protocol Handshake\r\n")
    assert "Upgrade: WebSocket" in tapped.head


@pytest.mark.parametrize("options", [[], pytest.param(
    ["--no-compression"], marks=coming("no-compression"))], ids=["default", "no compression"])
def test_95_megabytes_in_one_message(weir, chromium, options):
    _, url = chromium.open_tab()
    size = 95_000_000
    result, spool = weir.captured(url, "--status", "json", "--messages", "1", *options,
                                  *sending(evaluate(1, f'"x".repeat({size})')))
    small(result.expect(0).report)
    [(kind, payload)] = messages_of(spool)
    assert kind == TEXT
    assert json.loads(payload)["result"]["result"]["value"] == "x" * size


def test_a_burst_of_large_messages(weir, chromium):
    _, url = chromium.open_tab()
    count, size = 300, 100_000
    script = f'for (let n = 0; n < {count}; n++) console.log(n + "ü".repeat({size}))'
    result, spool = weir.captured(url, "--status", "json", "--messages", str(count + 3),
                                  *sending(call(1, "Runtime.enable"), evaluate(2, script)))
    small(result.expect(0).report)
    said = [json.loads(payload) for payload in payloads_of(spool)]
    logged = [one["params"]["args"][0]["value"] for one in said
              if one.get("method") == "Runtime.consoleAPICalled"]
    assert logged == [f"{n}" + "ü" * size for n in range(count)]


def test_a_trace(weir, chromium, tap):
    """Thousands of events at once, in messages of up to 64 KiB, when tracing ends."""
    spool = weir.place.root / "spool"
    tapped = tap(chromium.url)
    process = weir.start_capture(tapped.url, "--keep", "--spool", spool, "--status", "json",
                                 *sending(call(1, "Tracing.start", **TRACE)))
    wait_for(spool, b'{"id":1,"result"')
    for number in range(2, 7):
        tapped.say(call(number, "Target.createTarget", url=BUSY_PAGE))
        wait_for(spool, b'{"id":%d,"result"' % number)
    tapped.say(call(7, "Tracing.end"))
    wait_for(spool, b"Tracing.tracingComplete")
    process.signal()
    report = process.wait().expect(0).report
    small(report)
    said = [json.loads(payload) for payload in payloads_of(spool)]
    assert len(said) == report["messages"]
    events = [event for one in said if one.get("method") == "Tracing.dataCollected"
              for event in one["params"]["value"]]
    assert len(events) > 1000


def test_a_tab_that_closes(weir, chromium, tap):
    """A bare end of the stream: what the tab said before it stays."""
    tab, url = chromium.open_tab()
    spool = weir.place.root / "spool"
    process = weir.start_capture(tap(url).url, "--keep", "--spool", spool, "--status", "json",
                                 *sending(evaluate(1, '"hello"')))
    wait_until(lambda: spool.is_dir() and payloads_of(spool), "the answer is captured")
    chromium.close_tab(tab)
    report = process.wait().expect(4, "without a Close").report
    payloads = payloads_of(spool)
    assert json.loads(payloads[0])["result"]["result"]["value"] == "hello"
    assert len(payloads) == report["messages"]
    event = events_of(spool)[-1]
    assert (event.kind, event.close_code, event.cut) == (DISCONNECTED, 1006, False)


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_the_browser_ends(weir, chromium, end):
    spool = weir.place.root / "spool"
    process = weir.start_capture(chromium.url, "--keep", "--spool", spool,
                                 *sending(call(1, "Browser.getVersion")))
    wait_until(lambda: spool.is_dir() and payloads_of(spool), "the answer is captured")
    getattr(chromium, end)()
    process.wait().expect(4)
    assert payloads_of(spool)
    assert events_of(spool)[-1].close_code == 1006


def test_no_such_tab(weir, chromium):
    url = f"ws://127.0.0.1:{chromium.port}/devtools/page/none"
    weir.capture(url, "--", "false").expect(3, "500")


@coming("no-compression")
def test_a_thousand_times_smaller(weir, chromium, tap):
    """64 MB that came as 65 KB: a legitimate message, and the default has no limit on ratio."""
    _, url = chromium.open_tab()
    size = 64_000_000
    tapped = tap(url)
    result, spool = weir.captured(tapped.url, "--status", "json", "--messages", "1",
                                  *sending(evaluate(1, f'"x".repeat({size})')))
    small(result.expect(0).report)
    assert "permessage-deflate" in tapped.head
    assert sum(len(f.payload) for f in tapped.server_frames()) < 200_000
    assert len(payloads_of(spool)[0]) > size
