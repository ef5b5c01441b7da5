"""What weir refuses, it leaves as it is: every name, every byte, every mode and time, whichever
command is told to look at it."""

import fcntl
import os
import shutil

import pytest

from crc32c import crc32c
from frames import texts
from servers.hostile import sending
from spool_writer import Made, header, write_spool
from test_spool_directory import unprivileged  # noqa: F401 (a fixture)

NEWER = 3
NAME = "weir-aaaaaaaaaaaa"  # as that of a temporary spool, which weir reap would delete
RECORDS = [Made(b"message %d" % n) for n in range(10)]


def tree(top):
    """All that can be told of a directory and what is in it, but for when it was read."""
    found = {}
    for path in (top, *sorted(top.rglob("*"))):
        status = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        what = os.readlink(path) if path.is_symlink() else path.read_bytes() if regular else None
        found[str(path.relative_to(top))] = (oct(status.st_mode), status.st_size, status.st_mtime_ns,
                                             status.st_ctime_ns, what)
    return found


def as_newer(raw):
    raw = raw[:8] + NEWER.to_bytes(2, "little") + raw[10:60]
    return raw + crc32c(raw).to_bytes(4, "little")


def make_newer(index):
    raw = index.read_bytes()
    index.write_bytes(as_newer(raw[:64]) + raw[64:])


def filled(spool, last_open=False):
    return write_spool(spool, [RECORDS, RECORDS], last_open=last_open)


def newer_sealed(spool, _place):
    make_newer(filled(spool) / f"{10:020}.index")


def newer_first(spool, _place):
    make_newer(filled(spool) / f"{0:020}.index")


def newer_open(spool, _place):
    make_newer(filled(spool, last_open=True) / f"{10:020}.index.open")


def newer_beside_sealed(spool, _place):
    filled(spool)
    (spool / f"{10:020}.index.open").write_bytes(header(10, version=NEWER))


def newer_alone(spool, _place):
    """Without its data, as half of an acknowledgement."""
    make_newer(filled(spool) / f"{10:020}.index")
    (spool / f"{10:020}.data").unlink()


def newer_behind_leftovers(spool, _place):
    make_newer(filled(spool) / f"{0:020}.index")
    make_newer(spool / f"{10:020}.index")
    for seq in (0, 30):
        shutil.copy(spool / f"{0:020}.data", spool / f"{seq:020}.data.cut")


def newer_being_mended(spool, _place):
    make_newer(filled(spool) / f"{10:020}.index")
    (spool / f"{10:020}.index").rename(spool / f"{10:020}.index.new")


def newer_without_lock(spool, _place):
    newer_sealed(spool, None)
    (spool / "lock").unlink()


def letters(spool, _place):
    (spool / "letter.txt").write_text("dear")


def letters_and_empty_lock(spool, _place):
    (spool / "letter.txt").write_text("dear")
    (spool / "lock").write_text("")


def foreign_lock(spool, _place):
    (spool / "lock").write_text("4711\n")


def in_place_of_lock(put):
    def make(spool, place):
        (filled(spool) / "lock").unlink()
        put(spool / "lock", place)
    return make


def put_link(path, place):
    (place.root / "target").write_text("mine")
    path.symlink_to(place.root / "target")


def put_dangling_link(path, place):
    path.symlink_to(place.root / "nothing")


def put_pipe(path, _place):
    os.mkfifo(path)


def put_directory(path, _place):
    path.mkdir()
    (path / "file").write_text("mine")


VERSION = {"capture": "another version", "check": "another version", "cat": "another version",
           "salvage": "another version"}
NO_SPOOL = {name: "not a spool" for name in ("capture", "check", "cat", "salvage")}
NO_LOCK = {"capture": "\"lock\" is no regular file", "check": "damaged"}

REFUSED = {
    newer_sealed: VERSION, newer_first: VERSION, newer_open: VERSION,
    newer_beside_sealed: {"capture": "another version", "check": "damaged"},
    newer_alone: {"capture": "another version"},
    newer_behind_leftovers: VERSION,
    newer_being_mended: {"capture": "another version"},
    newer_without_lock: VERSION,
    letters: NO_SPOOL, letters_and_empty_lock: NO_SPOOL, foreign_lock: NO_SPOOL,
    in_place_of_lock(put_link): NO_LOCK, in_place_of_lock(put_dangling_link): NO_LOCK,
    in_place_of_lock(put_pipe): NO_LOCK, in_place_of_lock(put_directory): NO_LOCK,
}


def commands(spool, place, url):
    return {
        "capture": ("capture", url, "--spool", spool, "--sync", "every", "--", "true"),
        "check": ("check", spool),
        "cat": ("cat", spool),
        "ls": ("ls", spool),
        "salvage": ("salvage", spool, place.root / "saved"),
        "reap": ("reap", spool),
        "reap all": ("reap", spool.parent, "--unprocessed", "--asides"),
    }


def see_all(weir, place, spool, url, complaints, **options):
    """Every command, and those of which a complaint is awaited fail."""
    before = tree(spool.parent)
    for name, arguments in commands(spool, place, url).items():
        result = weir.run(*arguments, **options)
        assert tree(spool.parent) == before, result
        if name in complaints:
            assert result.code == (1 if name == "salvage" and (place.root / "saved").exists() else 5), result
            said = result.err + result.out.decode()
            assert complaints[name] in said and spool.name in said, result


@pytest.mark.parametrize("make", REFUSED)
def test_nothing_changes(weir, serve, place, make):
    spool = place.directory("spools") / NAME
    spool.mkdir()
    make(spool, place)
    server = serve(sending(texts([b"new"])))
    see_all(weir, place, spool, server.url, REFUSED[make])
    assert not server.connections


def test_newer_and_compressed(weir, serve, place):
    """The header stands inside of the compressed file."""
    spool = place.directory("spools") / NAME
    many = [b"%d" % (n % 7) * 300 for n in range(200)]
    weir.captured(serve(sending(texts(many))).url, "--compress", "zstd", spool=spool)[0].expect(0)
    packed, = spool.glob("*.zst")
    raw = packed.read_bytes()
    at = raw.index(b"\x89WEIR")
    packed.write_bytes(raw[:at] + as_newer(raw[at:at + 64]) + raw[at + 64:])
    server = serve(sending(texts([b"new"])))
    see_all(weir, place, spool, server.url, VERSION)
    assert not server.connections


@pytest.mark.parametrize("kind, mode", [("spool", 0o555), ("spool", 0o000), ("lock", 0o444), ("lock", 0o000)])
def test_what_is_not_permitted(weir, serve, place, unprivileged, kind, mode):  # noqa: F811
    room, program = unprivileged
    spool = room / "spools" / NAME
    spool.mkdir(parents=True)
    filled(spool)
    for path in spool.iterdir():
        path.chmod(0o666)
    (spool if kind == "spool" else spool / "lock").chmod(mode)
    if kind == "lock":
        spool.chmod(0o777)
    server = serve(sending(texts([b"new"])))
    complaints = {"capture": "Permission denied"}
    if kind == "spool" and mode == 0:
        complaints |= {name: "Permission denied" for name in ("check", "cat", "salvage")}
    try:
        see_all(weir, place, spool, server.url, complaints, program=program)
    finally:
        spool.chmod(0o777)
    assert not server.connections


def test_one_that_is_in_use(weir, serve, place):
    spool = place.directory("spools") / NAME
    spool.mkdir()
    filled(spool, last_open=True)
    with open(spool / "lock", "rb+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        server = serve(sending(texts([b"new"])))
        see_all(weir, place, spool, server.url, {"capture": "in use"})
        assert not server.connections
