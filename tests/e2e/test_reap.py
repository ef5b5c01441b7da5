"""weir reap: what killed captures have left is deleted, and nothing else."""

import fcntl
import os
import shutil
import time

import pytest

from frames import texts
from harness import wait_until
from servers.hostile import sending_and_waiting
from spool_reader import payloads_of
from spool_writer import Made, write_segment, write_spool
from test_cat_follow import Pace

NAMES = ("weir-abcdefghij_0", "weir-000000000001")


def reap(weir, *arguments, code=0, words=()):
    return weir.run("reap", *arguments).expect(code, *words).out.decode().splitlines()


def made(count):
    return [Made(b"message %d" % n) for n in range(count)]


@pytest.fixture
def temporary(place):
    """temporary(segments): a spool as a capture makes it that is given none."""
    def make(*segments, name=NAMES[0], **more):
        return write_spool(place.may_stay(place.temp / name), segments, **more)

    for name in NAMES:
        (place.temp / name).mkdir()
    yield make
    for path in place.temp.iterdir():
        shutil.rmtree(path)


def test_an_empty_one(weir, place, temporary):
    spool = temporary()
    (place.temp / NAMES[1]).rmdir()
    assert reap(weir) == [f"removed {spool}"]
    assert not spool.exists()
    assert reap(weir) == []


def test_one_with_messages_stays(weir, temporary):
    spool = temporary(made(5), made(3), last_open=True)
    before = {path.name: path.read_bytes() for path in spool.iterdir()}
    assert reap(weir) == [f"kept {spool}: 80 B that was not processed"]
    assert {path.name: path.read_bytes() for path in spool.iterdir()} == before


def test_one_with_messages_goes_when_asked(weir, temporary):
    spool = temporary(made(5), made(3), last_open=True)
    assert reap(weir, "--unprocessed", "--dry-run") == [f"would have removed {spool}: 80 B that was not processed"]
    assert spool.exists()
    assert reap(weir, "--unprocessed") == [f"removed {spool}: 80 B that was not processed"]
    assert not spool.exists()


def test_what_an_interrupted_acknowledgement_leaves(weir, temporary):
    spool = temporary(made(5))
    (spool / f"{0:020}.data").unlink()
    write_segment(spool, 7, [], sealed=False)
    assert reap(weir) == [f"removed {spool}"]


def test_what_was_put_aside(weir, temporary):
    spool = temporary()
    for suffix in ("data.aside1", "index.aside12", "data.cut"):
        (spool / f"{0:020}.{suffix}").write_text("12345")
    assert reap(weir) == [f"kept {spool}: 15 B that was put aside"]
    assert reap(weir, "--asides") == [f"removed {spool}: 15 B that was put aside"]
    assert not spool.exists()


def test_what_was_put_aside_where_messages_are(weir, temporary):
    spool = temporary(made(5))
    (spool / f"{9:020}.data.aside1").write_text("12345")
    assert len(reap(weir, "--asides")) == 2
    assert sorted(path.name for path in spool.iterdir()) == [f"{0:020}.data", f"{0:020}.index", "lock"]


def test_a_segment_that_was_being_mended(weir, temporary):
    """Its data has the name of the clean copy then, and no other."""
    spool = temporary(made(5))
    for old, new in (("index", "index.new"), ("data", "data.new")):
        path = spool / f"{0:020}.{old}"
        shutil.copy(path, spool / f"{0:020}.{new}")
        path.rename(spool / f"{0:020}.{old}.aside1")
    reap(weir, "--asides")
    assert sorted(path.name for path in spool.iterdir()) == [f"{0:020}.data.new", f"{0:020}.index.new", "lock"]


@pytest.mark.parametrize("name", ["data.aside1.mine", "data.aside", "mine.aside1", "data.new.asides"])
def test_what_only_looks_like_put_aside(weir, temporary, name):
    spool = temporary()
    path = spool / f"{0:020}.{name}"
    path.write_text("dear")
    assert reap(weir, "--unprocessed", "--asides") == [f"kept {spool}: there are other files in it"]
    assert path.exists()


def test_a_named_spool_is_not_locked_without_need(weir, place):
    """Somebody might want to begin to capture."""
    spool = write_spool(place.directory("trades"), [made(2)])
    with open(spool / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert reap(weir, place.root, "--unprocessed") == []


def test_a_named_spool_is_none_of_its_business(weir, place):
    """Not even an empty one: its numbers go on."""
    spool = write_spool(place.directory("trades"), [])
    aside = spool / f"{0:020}.data.aside1"
    aside.write_text("12345")
    assert reap(weir, place.root) == [] and reap(weir, spool) == []
    assert reap(weir, spool, "--unprocessed") == [] and aside.exists()
    assert reap(weir, place.root, "--asides") == [] and aside.exists()
    assert reap(weir, spool, "--asides") == [f"removed what was put aside in {spool}: 5 B that was put aside"]
    assert [path.name for path in spool.iterdir()] == ["lock"]


@pytest.mark.parametrize("name", ["weir-", "weir-trades", "weir-ABCDEFGHIJKL", "weir-abcdefghij_00", "xweir-abcdefghij_0"])
def test_names_that_weir_does_not_make(weir, place, name):
    spool = write_spool(place.directory(name), [])
    assert reap(weir, place.root, "--unprocessed") == []
    assert spool.exists()


def test_names_of_choice(weir, place):
    spool = write_spool(place.directory("a-abcdefghij_0.b"), [])
    other = write_spool(place.directory("weir-abcdefghij_0"), [])
    assert reap(weir, place.root, "--prefix", "a-", "--suffix", ".b") == [f"removed {spool}"]
    assert other.exists()


@pytest.mark.parametrize("what", ["letter", "directory", "link", "fifo"])
def test_one_with_something_else_in_it(weir, temporary, what):
    spool = temporary()
    path = spool / "thing"
    {"letter": lambda: path.write_text("dear"), "directory": path.mkdir,
     "link": lambda: path.symlink_to("/etc"), "fifo": lambda: os.mkfifo(path)}[what]()
    assert reap(weir, "--unprocessed", "--asides") == [f"kept {spool}: there are other files in it"]
    assert os.path.lexists(path)


@pytest.mark.parametrize("lock", [None, "", "dear", "link"])
def test_what_is_no_spool(weir, place, temporary, lock):
    """Segments alone do not make it one of ours."""
    spool = temporary(made(2))
    (spool / "lock").unlink()
    if lock == "link":
        (place.root / "note").write_text("next 00000000000000000000\n")
        (spool / "lock").symlink_to(place.root / "note")
    elif lock is not None:
        (spool / "lock").write_text(lock)
    assert reap(weir, "--unprocessed") == []
    assert len(list(spool.iterdir())) == 2 + (lock is not None)


def test_links_are_not_followed(weir, place, temporary):
    spool = write_spool(place.directory(NAMES[0]), [])
    (place.temp / NAMES[1]).rmdir()
    (place.temp / NAMES[1]).symlink_to(spool)
    assert reap(weir, "--unprocessed") == []
    assert reap(weir, place.temp / NAMES[1], code=5, words=["symbolic link"]) == []
    assert spool.exists()
    (place.temp / NAMES[1]).unlink()


def test_one_that_is_in_use(weir, temporary):
    spool = temporary(made(2))
    with open(spool / "lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert reap(weir, "--unprocessed") == ["1 is in use"]
        assert len(list(spool.iterdir())) == 3
    assert reap(weir, "--unprocessed") != []


def test_age(weir, temporary):
    spool = temporary()
    assert reap(weir, "--older-than", "1h") == []
    past = time.time() - 7200
    for path in (*spool.iterdir(), spool):
        os.utime(path, (past, past))
    assert reap(weir, "--older-than", "3h") == []
    assert reap(weir, "--older-than", "1h") == [f"removed {spool}"]


def test_a_capture_that_runs_and_one_that_was_killed(weir, serve, place):
    """Its segments are processed again, and then it goes."""
    pace = Pace()
    messages = [b"message %d" % n for n in range(20)]
    capture = weir.start_capture(serve(pace).url, "--", "true")
    pace.send(messages)
    spool, = wait_until(lambda: [p for p in place.temp.iterdir() if list(p.glob("*.open"))], "a spool")
    wait_until(lambda: payloads_of(spool) == messages, "all is captured")
    assert reap(weir, "--unprocessed") == ["1 is in use"]
    capture.kill()
    pace.end()
    place.may_stay(spool)
    assert reap(weir)[0].startswith(f"kept {spool}: ")
    url = serve(sending_and_waiting(texts([b"the last one"]))).url
    weir.capture(url, "--spool", spool, "--messages", "1", "--", "true").expect(0)
    assert reap(weir) == [f"removed {spool}"]
    assert list(place.temp.iterdir()) == []


def test_captures_begin_while_it_reaps(weir, serve, place):
    """Nothing that is being made is taken away."""
    captures = [weir.start_capture(serve(sending_and_waiting(texts([b"x"] * 10))).url, "--keep", "--messages", "10")
                for _ in range(8)]
    while any(capture.running for capture in captures):
        reap(weir)
    for capture in captures:
        capture.wait().expect(0)
    spools = list(place.temp.iterdir())
    assert len(spools) == 8
    for spool in spools:
        assert payloads_of(spool) == [b"x"] * 10
        place.may_stay(spool)


def test_what_cannot_be_looked_at(weir, place):
    reap(weir, place.root / "missing", code=5, words=["missing"])
    (place.root / "file").write_text("x")
    reap(weir, place.root / "file", code=5, words=["file"])
    reap(weir, "--older-than", "soon", code=2)
