"""A disk whose every write is recorded, with a file system on it; and images of what a power loss
may have left of it.

Below the file system is a loop device on the file of tests/power/recorder.c. What the recorder has
in its log before a flush is on the disk for certain. Of what came behind the last flush, a disk that
loses its power keeps what it likes: each write or not, each sector of it or not.
"""

import ctypes
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from apart import Apart, Unavailable, libc, results

WRITE, FLUSH, ZEROS = 1, 2, 3
ENTRY = struct.Struct("=QQQ")
SECTOR = 512
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
LIMIT_S = 120


@dataclass(frozen=True)
class FileSystem:
    """How one is made and mounted. Copies have the same name, which some of them do not like."""
    name: str
    mebibytes: int
    make: tuple = ()
    look: tuple = ()  # changes nothing, and fails for one that is damaged
    options: str = "loop"
    varieties: tuple = ("discard",)  # more options, some of the time

    def random(self, dice):
        """As it is by default, or else."""
        more = dice.choice([*self.varieties, *("" for _ in self.varieties)])
        return replace(self, options=f"{self.options},{more}" if more else self.options)

    def is_damaged(self, image):
        return subprocess.run([*self.look, image], capture_output=True, check=False,
                              stdin=subprocess.DEVNULL, timeout=LIMIT_S).returncode != 0

    @property
    def maker(self):
        return f"mkfs.{self.name}"


FILE_SYSTEMS = {fs.name: fs for fs in [
    FileSystem("ext4", 64, ("-q",), ("e2fsck", "-fn"), varieties=("discard", "data=writeback", "nodelalloc")),
    FileSystem("xfs", 320, ("-q",), ("xfs_repair", "-n"), "loop,nouuid"),
    FileSystem("btrfs", 256, ("-q",), ("btrfs", "check")),
]}


def check(done, what):
    if done:
        error = ctypes.get_errno()
        raise Unavailable(f"{what}: {os.strerror(error)}")


def own_mounts():
    """From here on, what this process mounts nobody else sees, and it goes with the process."""
    check(libc.unshare(CLONE_NEWNS), "no mount namespace of our own")
    check(libc.mount(None, b"/", None, MS_REC | MS_PRIVATE, None), "no private mounts")


def mount_memory(directory):
    directory.mkdir(exist_ok=True)
    check(libc.mount(b"power", bytes(directory), b"tmpfs", 0, None), "cannot mount a tmpfs")


def run(*command, **options):
    """A program that has to succeed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=LIMIT_S, **options)
    if done.returncode:
        raise Unavailable(f"{command[0]}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def build_recorder(directory):
    """The recorder, or the reason why there is none."""
    compiler = os.environ.get("CC") or shutil.which("cc")
    flags = subprocess.run(["pkg-config", "--cflags", "--libs", "fuse3"], capture_output=True,
                           text=True, check=False)
    if not compiler or flags.returncode:
        raise Unavailable("there is no compiler, or no libfuse3 with headers")
    if os.getuid() != 0 or not Path("/dev/fuse").exists():
        raise Unavailable("only root may mount, and there has to be /dev/fuse")
    source = Path(__file__).resolve().parents[1] / "power/recorder.c"
    run(*compiler.split(), "-std=c11", "-D_GNU_SOURCE", "-D_FILE_OFFSET_BITS=64", "-O2", source,
        "-o", directory / "recorder", *flags.stdout.split())
    return directory / "recorder"


class RecordedDisk:
    """In `root`, which should be in memory: the disk as it was made (`base`), what was done to it
    (`log`), and in `there` its file system, while it is mounted."""

    def __init__(self, root, file_system, recorder, image=None):
        """A fresh one, or one that begins as `image`, which is taken over."""
        self.root, self.fs = root, file_system
        self.base, self.log, self.there = root / "base", root / "log", root / "there"
        self._image, self._fuse = root / "image", root / "fuse"
        self._device = None
        self.there.mkdir(parents=True)
        self._fuse.mkdir()
        if image:
            image.rename(self.base)
        else:
            self._make()
        copy_holes(self.base, self._image)
        self._recorder = subprocess.Popen(
            [recorder, self._fuse, self._image, self.log], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE)
        if self._recorder.stdout.readline() != b"ready\n":
            raise Unavailable("FUSE does not work here")
        self._mount()

    def _make(self):
        if not shutil.which(self.fs.maker):
            raise Unavailable(f"there is no {self.fs.maker}")
        with open(self.base, "wb") as base:
            base.truncate(self.fs.mebibytes << 20)
        run(self.fs.maker, *self.fs.make, self.base)

    def _mount(self):
        self._device = run("losetup", "--find", "--show", "--direct-io=on",
                           self._fuse / "disk").strip()
        options = self.fs.options.replace("loop", "defaults")
        run("mount", "-t", self.fs.name, "-o", options, self._device, self.there)

    @property
    def position(self):
        return self.log.stat().st_size

    def finish(self):
        """Unmounts. What this writes is in the log too."""
        run("umount", self.there)
        run("losetup", "--detach", self._device)
        run("umount", self._fuse)
        self._recorder.wait(LIMIT_S)
        self._recorder.stdout.close()
        self._image.unlink()

        self.entries = read_log(self.log)

    def entries_end(self, cut):
        """Where the log stood when its first `cut` entries were in it."""
        return self.entries[cut - 1].end


@dataclass(frozen=True)
class Entry:
    kind: int
    where: int
    size: int
    at: int  # in the log: of the bytes that are written
    end: int  # in the log


def read_log(path):
    entries, at, size = [], 0, path.stat().st_size
    with open(path, "rb") as log:
        while at < size:
            log.seek(at)
            kind, where, length = ENTRY.unpack(log.read(ENTRY.size))
            begin = at + ENTRY.size
            at = begin + (length if kind == WRITE else 0)
            entries.append(Entry(kind, where, length, begin, at))
    return entries


def copy_holes(source, target):
    """A copy with the same holes."""
    with open(source, "rb") as one, open(target, "wb") as two:
        size, at = os.fstat(one.fileno()).st_size, 0
        two.truncate(size)
        while at < size:
            try:
                begin = os.lseek(one.fileno(), at, os.SEEK_DATA)
            except OSError:
                break
            at = os.lseek(one.fileno(), begin, os.SEEK_HOLE)
            os.lseek(two.fileno(), begin, os.SEEK_SET)
            os.sendfile(two.fileno(), one.fileno(), begin, at - begin)


class Images:
    """Makes images of a recorded disk, each cut at a place that is not before that of the last."""

    def __init__(self, disk, directory):
        self._entries = disk.entries
        self._log = os.open(disk.log, os.O_RDONLY)
        self._certain, self._image = directory / "certain", directory / "image"
        copy_holes(disk.base, self._certain)
        self._done = 0  # entries that are in `certain`

    def _write(self, fd, entry, begin=0, end=None):
        """A part of an entry."""
        end = entry.size if end is None else min(end, entry.size)
        if entry.kind == WRITE:
            os.pwrite(fd, os.pread(self._log, end - begin, entry.at + begin), entry.where + begin)
        elif entry.kind == ZEROS:
            os.pwrite(fd, bytes(end - begin), entry.where + begin)

    def _write_some(self, fd, entry, dice):
        """Each sector or not."""
        for begin in range(0, entry.size, SECTOR):
            if dice.random() < 0.5:
                self._write(fd, entry, begin, begin + SECTOR)

    def make(self, cut, dice):
        """The path of an image in which the first `cut` entries of the log were under way."""
        last = cut
        while last > 0 and self._entries[last - 1].kind != FLUSH:
            last -= 1
        assert last >= self._done
        fd = os.open(self._certain, os.O_RDWR)
        for entry in self._entries[self._done:last]:
            self._write(fd, entry)
        os.close(fd)
        self._done = last
        # A new file: mount takes a loop device again that is not quite gone, for whoever looked at
        # it just then, and with it what it remembers of the last image.
        self._image.unlink(missing_ok=True)
        copy_holes(self._certain, self._image)
        fd = os.open(self._image, os.O_RDWR)
        how, share = dice.choice(HOW), dice.random()
        window = self._entries[last:cut]
        for number, entry in enumerate(window):
            fate = how(dice, number, len(window), share)
            if fate == "torn":
                self._write_some(fd, entry, dice)
            elif fate:
                self._write(fd, entry)
        os.close(fd)
        return self._image


# What the disk keeps of the writes that no flush has made certain.
HOW = [
    lambda dice, number, count, share: True,
    lambda dice, number, count, share: dice.random() < share,
    lambda dice, number, count, share: dice.random() < 0.5,
    lambda dice, number, count, share: number >= count * share,
    lambda dice, number, count, share: number != int(count * share),
    lambda dice, number, count, share: "torn" if dice.random() < 0.3 else dice.random() < share,
    lambda dice, number, count, share: number < count - 1 or "torn",
]


def choose_cuts(entries, count, dice, first=0):
    """Places to cut at: half of them right behind a flush, if there are as many."""
    all_cuts = range(first + 1, len(entries) + 1)
    flushes = [n for n in all_cuts if entries[n - 1].kind == FLUSH]
    chosen = flushes if len(flushes) <= count // 2 else dice.sample(flushes, count // 2)
    return sorted(chosen + [dice.choice(all_cuts) for _ in range(count - len(chosen))])


class Mounted:
    """An image, mounted as the next start of the machine would; its journal is replayed by that."""

    def __init__(self, image, there, file_system):
        self._image, self._there, self._fs = image, there, file_system

    def __enter__(self):
        run("mount", "-t", self._fs.name, "-o", self._fs.options, self._image, self._there)
        return self._there

    def __exit__(self, *_):
        run("umount", self._there)


def explore_share(disk, cuts, dice, directory, examine):
    images, there = Images(disk, directory), directory / "there"
    there.mkdir()
    results, refused = [], 0
    for cut, seed in cuts:
        image = images.make(cut, type(dice)(seed))
        try:
            mounted = Mounted(image, there, disk.fs)
            root = mounted.__enter__()
        except Unavailable:
            refused += 1  # the file system's own affair
            continue
        failure = None
        try:
            results.append(examine(root, disk.entries_end(cut), directory))
        except (AssertionError, OSError) as caught:
            failure = caught
        mounted.__exit__()
        if failure and disk.fs.is_damaged(image):
            refused += 1  # it has lost a part of itself, though it could be mounted
            shutil.rmtree(directory / "handed", ignore_errors=True)
        elif failure:
            raise AssertionError(f"image cut at {cut}, seed {seed}: {failure}") from failure
    return results, refused


def apart_share(*arguments):
    own_mounts()
    return explore_share(*arguments)


def explore(disk, cuts, dice, examine, workers=None):
    """examine(mounted, position, directory) of an image for each cut, in `workers` processes.
    Returns its results, and how many images the file system itself refused."""
    workers = workers or min(2, os.cpu_count())
    cuts = [(cut, dice.getrandbits(64)) for cut in cuts]
    tasks = []
    for n in range(workers):
        directory = disk.root / f"worker{n}"
        directory.mkdir()
        tasks.append(Apart(apart_share, disk, cuts[n::workers], dice, directory, examine))
    answers = results(tasks)
    for n in range(workers):
        shutil.rmtree(disk.root / f"worker{n}")
    return sum((a[0] for a in answers), []), sum(a[1] for a in answers)


def sync_other(directory):
    """A sync of another file: it takes along whatever the file system likes."""
    with open(directory / "other", "ab", buffering=0) as other:
        other.write(b"x" * SECTOR)
        os.fsync(other.fileno())
