"""Power losses: what was said to be durable is there, whatever the disk has made of the rest."""

import os

import pytest

import harness
import power_disk
import torture
from apart import Apart, Unavailable
from power_disk import RecordedDisk, choose_cuts, explore, mount_memory, own_mounts
from power_story import Plan, Programs, record_and_lose
from programs import compiled
from torture import KILL_SOURCE, LIBRARY, Dice, build, build_keeper

BLOCK = 512
IMAGES_PER_RECORDING = 50
CLAIMANT = harness.ROOT / "tests/power/claimant.c"
SYNCS = [("every", 0), ("interval", 5), ("bytes", 5000), ("seal", 0), ("none", 0)]

pytestmark = pytest.mark.skipif(harness.SANITIZED, reason="the programs are made without")


def probe(recorder, root, file_system):
    own_mounts()
    mount_memory(root)
    RecordedDisk(root / "disk", file_system, recorder).finish()


@pytest.fixture(scope="session")
def recorder(tmp_path_factory):
    try:
        return power_disk.build_recorder(tmp_path_factory.mktemp("recorder"))
    except Unavailable as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def file_systems(recorder, tmp_path_factory):
    """file_systems(name): one that this machine has; else the test is skipped. What fails after that
    is a failure."""
    unavailable = {}

    def get(name):
        fs = power_disk.FILE_SYSTEMS[name]
        if name not in unavailable:
            try:
                Apart(probe, recorder, tmp_path_factory.mktemp("probe"), fs).result()
                unavailable[name] = None
            except Unavailable as reason:
                unavailable[name] = str(reason)
        if unavailable[name]:
            pytest.skip(unavailable[name])
        return fs

    return get


class Writer:
    """Appends blocks to a file and says after each of them how many there are for certain. It is
    a liar when it does not sync."""

    def __init__(self, disk, blocks, honest):
        self.claims = []
        path = disk.there / "blocks"
        with open(path, "wb", buffering=0) as file:
            for number in range(blocks):
                file.write(b"%08d" % number * (BLOCK // 8))
                if honest:
                    os.fsync(file.fileno())
                elif number % 8 == 0:
                    # Somebody else's syncs take a part of it to the disk.
                    power_disk.sync_other(disk.there)
                self.claims.append((disk.position, number + 1))

    def missing(self, root, position, _directory):
        """How many of those blocks are not there that should be."""
        path = root / "blocks"
        data = path.read_bytes() if path.exists() else b""
        wanted = max((count for at, count in self.claims if at <= position), default=0)
        there = sum(data[n * BLOCK:(n + 1) * BLOCK] == b"%08d" % n * (BLOCK // 8)
                    for n in range(wanted))
        return wanted - there


def write_and_lose(recorder, file_system, root, honest, dice):
    own_mounts()
    mount_memory(root)
    disk = RecordedDisk(root, file_system, recorder)
    writer = Writer(disk, 20, honest)
    disk.finish()
    return explore(disk, choose_cuts(disk.entries, 20, dice), dice, writer.missing)


def test_the_proof_itself(recorder, file_systems, place):
    """A program that syncs loses nothing in any image; one that does not, and lies, is caught."""
    ext4 = file_systems("ext4")
    missing, refused = Apart(write_and_lose, recorder, ext4, place.root / "honest", True,
                             Dice("honest")).result()
    assert sum(missing) == 0 and len(missing) + refused == 20 and refused < 5
    missing, refused = Apart(write_and_lose, recorder, ext4, place.root / "liar", False,
                             Dice("liar")).result()
    assert sum(missing) > 0


@pytest.fixture(scope="session")
def programs(recorder, installed, tmp_path_factory):
    directory = tmp_path_factory.mktemp("power")
    return Programs(recorder, compiled(CLAIMANT, "weir", installed, directory),
                    build_keeper(directory), harness.weir_path(),
                    build(KILL_SOURCE, directory, *LIBRARY),
                    {"LD_LIBRARY_PATH": installed["LD_LIBRARY_PATH"]})


def lose(weir, place, programs, plan, again, images, *seed):
    programs.environment = {**weir.environment(), **programs.environment}
    count = Apart(record_and_lose, place.root / "disk", plan, again, programs, images,
                  Dice("power", *seed)).result()
    print(f"torture: seed {torture.SEED}: {plan}: {dict(count)}")
    return count


def random_plan(file_system, sync, dice):
    return Plan(file_system, sync, keep=dice.once_in(3),
                segment_bytes=dice.choice([3000, 20_000, 1 << 20]), runs=dice.randrange(1, 4))


def test_nothing_durable_is_lost(weir, place, programs, file_systems):
    plan = Plan(file_systems("ext4"), ("every", 0), messages=300)
    count = lose(weir, place, programs, plan, plan, 20, "short")
    assert count["required"] > 0


def test_without_sync_something_is_lost(weir, place, programs, file_systems):
    """Or nothing here would prove anything: what is only captured is not durable."""
    plan = Plan(file_systems("ext4"), ("none", 0), keep=True, messages=300, lying=True)
    with pytest.raises(AssertionError, match="durable messages are"):
        lose(weir, place, programs, plan, None, 20, "lying")


def lose_at_random(weir, place, programs, file_system, number):
    dice = Dice("plan", file_system.name, number)
    file_system = file_system.random(dice)
    plan = random_plan(file_system, SYNCS[number % len(SYNCS)], dice)
    again = random_plan(file_system, dice.choice(SYNCS), dice)
    print(f"torture: {again} again")
    return lose(weir, place, programs, plan, again, IMAGES_PER_RECORDING,
                file_system.name, number)


@pytest.mark.torture
@pytest.mark.parametrize("number", range(max(1, torture.IMAGES // IMAGES_PER_RECORDING)))
def test_power_losses(weir, place, programs, file_systems, number):
    count = lose_at_random(weir, place, programs, file_systems("ext4"), number)
    assert count["refused by the file system"] <= IMAGES_PER_RECORDING / 10


@pytest.mark.torture
@pytest.mark.parametrize("number", range(max(1, torture.IMAGES // 10 // IMAGES_PER_RECORDING)))
@pytest.mark.parametrize("name", ["xfs", "btrfs"])
def test_other_file_systems(weir, place, programs, file_systems, name, number):
    lose_at_random(weir, place, programs, file_systems(name), number)
