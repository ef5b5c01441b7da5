"""Where the spool is, whose it is, and what becomes of it in the next run."""

import os
import shutil

import pytest

from frames import text, texts
from harness import wait_until, weir_path
from servers.hostile import sending
from spool_reader import payloads_of, read_spool, records_of
from turns import confirm

NOBODY = 65534


def test_it_is_made_and_found_again(weir, serve, place):
    spool = place.root / "new"
    for payload in (b"one", b"two"):
        weir.captured(serve(sending(text(payload))).url, spool=spool)[0].expect(0)
    assert payloads_of(spool) == [b"one", b"two"]
    assert [r.seq for r in records_of(spool)] == list(range(6)), "the numbers go on"
    assert spool.stat().st_mode & 0o7777 == 0o700


def test_what_an_earlier_run_left_is_processed_first(weir, serve, place, collector):
    spool = place.root / "spool"
    old = [b"old %d" % n for n in range(10)]
    weir.captured(serve(sending(texts(old))).url, "--segment-messages", "3")[0].expect(0)
    server = serve(sending(text("new")))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [*old, b"new"]
    assert read_spool(spool) == []
    assert spool.is_dir(), "a named spool stays"


def test_a_spool_that_somebody_deletes_meanwhile(weir, serve, place):
    """What was in it is gone, and must not be called safe."""
    spool = place.root / "spool"

    def script(connection):
        connection.upgrade()
        confirm(connection, text("one"))
        shutil.rmtree(spool)
        connection.send(text("two"))
        connection.answer_close()

    result = weir.capture(serve(script).url, "--spool", spool, "--keep", "--messages", "2")
    result.expect(5, f"the spool {spool} is gone")
    assert "safe" not in result.err


def test_failed_segments_get_another_chance_in_the_next_run(weir, serve, place, collector):
    spool = place.root / "spool"
    weir.capture(serve(sending(text("one"))).url, "--spool", spool, "--", "false").expect(1)
    server = serve(sending(text("two")))
    weir.capture(server.url, "--spool", spool, "--", *collector.by_path).expect(0)
    assert collector.payloads() == [b"one", b"two"]


def test_it_has_one_owner_at_a_time(weir, serve, place):
    spool = place.root / "spool"
    busy = serve(lambda connection: (connection.upgrade(more=text("one")),
                                     connection.answer_close()))
    owner = weir.start_capture(busy.url, "--keep", "--spool", spool, "--messages", "2")
    wait_until(lambda: spool.is_dir() and payloads_of(spool) == [b"one"], "it is busy")
    intruder = serve(sending(text("two")))
    weir.captured(intruder.url)[0].expect(5, str(spool), f"process {owner.pid} on ", "since 20")
    assert not intruder.connections, "it must not connect without a spool"
    owner.signal()
    owner.wait().expect(0)
    assert payloads_of(spool) == [b"one"]


def no_spool(weir, serve, spool, *words, option="--spool"):
    server = serve(sending(text("one")))
    weir.capture(server.url, "--keep", option, spool).expect(5, str(spool), *words)
    assert not server.connections, "weir connected without a spool"


def test_spool_is_a_file(weir, serve, place):
    path = place.root / "file"
    path.write_text("mine")
    no_spool(weir, serve, path)
    assert path.read_text() == "mine"


@pytest.mark.parametrize("option", ["--spool", "--dir"])
def test_parent_is_missing(weir, serve, place, option):
    no_spool(weir, serve, place.root / "missing" / "spool", option=option)
    assert not (place.root / "missing").exists()


def test_parent_is_a_file(weir, serve, place):
    (place.root / "file").write_text("")
    no_spool(weir, serve, place.root / "file" / "spool")


def test_dir_is_a_file(weir, serve, place):
    (place.root / "file").write_text("")
    no_spool(weir, serve, place.root / "file", option="--dir")


def test_spool_is_a_dangling_link(weir, serve, place):
    (place.root / "link").symlink_to(place.root / "nothing")
    no_spool(weir, serve, place.root / "link")


def test_a_directory_full_of_something_else_is_not_touched(weir, serve, place):
    other = place.directory("other")
    (other / "letter.txt").write_text("dear")
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--spool", other, "--", "true")
    assert (other / "letter.txt").read_text() == "dear", result


@pytest.fixture
def unprivileged(tmp_path):
    """A directory that others may enter, and what starts weir as somebody without privileges."""
    if os.getuid() != 0:
        yield tmp_path, [weir_path()]
        return
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    room = tmp_path / "room"
    room.mkdir()
    shutil.copy(weir_path(), room / "weir")
    opened = [p for p in (tmp_path, *tmp_path.parents) if not p.stat().st_mode & 1]
    for path in opened:
        path.chmod(path.stat().st_mode | 1)
    yield room, ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
                 room / "weir"]
    for path in opened:
        path.chmod(path.stat().st_mode & ~1)


@pytest.mark.parametrize("mode", [0o555, 0o000])
@pytest.mark.parametrize("option", ["--spool", "--dir"])
def test_not_writable(weir, serve, unprivileged, option, mode):
    room, program = unprivileged
    locked = room / "locked"
    locked.mkdir(mode=mode)
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", option, locked, program=program)
    result.expect(5, str(locked))
    assert list(locked.iterdir()) == [] and not server.connections


def test_parent_is_not_writable(weir, serve, unprivileged):
    room, program = unprivileged
    locked = room / "locked"
    locked.mkdir(mode=0o555)
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", "--spool", locked / "spool", program=program)
    result.expect(5, str(locked))
    assert not server.connections


def own_spool(weir, serve, place, *options):
    """Captures into a spool of weir's own that stays; returns its path."""
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", "--status", "json", *options).expect(0)
    spool = place.may_stay(result.report["spool"])
    assert spool.is_absolute()
    assert payloads_of(spool) == [b"one"] and spool.stat().st_mode & 0o7777 == 0o700
    return spool


def test_own_spool_is_made_in_the_temporary_directory(weir, serve, place):
    assert own_spool(weir, serve, place).parent == place.temp


@pytest.mark.parametrize("status", ["summary", "none"])
def test_own_spool_that_stays_is_named(weir, serve, place, status):
    """Or nobody would ever find it."""
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", "--status", status).expect(0)
    spool, = [place.may_stay(path) for path in place.temp.iterdir()]
    assert str(spool) in result.err, result


@pytest.mark.parametrize("relative", [True, False])
def test_own_spool_in_a_directory_of_choice(weir, serve, place, relative):
    chosen = place.directory("chosen")
    spool = own_spool(weir, serve, place, "--dir", "../chosen" if relative else chosen)
    assert os.path.realpath(spool.parent) == os.path.realpath(chosen)


@pytest.mark.parametrize("prefix, suffix", [("ticks-", ".spool"), ("你好呀", "我不好"),
                                            (" a b ", "'\""), ("-x", "{}"), ("", "")])
def test_own_spool_with_a_name_of_choice(weir, serve, place, prefix, suffix):
    name = own_spool(weir, serve, place, f"--prefix={prefix}", f"--suffix={suffix}").name
    assert name.startswith(prefix) and name.endswith(suffix)
    assert len(name) >= len(prefix) + len(suffix) + 6


def test_two_spools_of_our_own_have_two_names(weir, serve, place):
    assert own_spool(weir, serve, place) != own_spool(weir, serve, place)


def test_prefix_that_is_too_long(weir, serve, place):
    server = serve(sending(text("one")))
    result = weir.capture(server.url, "--keep", "--prefix", "x" * 300)
    assert result.code in (2, 5) and result.complaint, result


def test_command_sees_names_with_odd_characters(weir, serve, place, collector):
    server = serve(sending(text("one")))
    weir.capture(server.url, "--prefix", "a b\n'$x", "--", *collector.by_path).expect(0)
    assert collector.payloads() == [b"one"]


def test_relative_spool(weir, serve, place, collector):
    server = serve(sending(text("one")))
    weir.capture(server.url, "--spool", "here", "--", *collector.by_path).expect(0)
    told = collector.environment(collector.names()[0])
    assert told["WEIR_SPOOL"] == os.path.realpath(place.may_stay(place.cwd / "here"))
