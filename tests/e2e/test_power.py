"""Power losses: what was said to be durable is there, whatever the disk has made of the rest."""

import os

import pytest

import power_disk
from apart import Apart, Unavailable
from power_disk import RecordedDisk, choose_cuts, explore, mount_memory, own_mounts
from torture import Dice

BLOCK = 512


@pytest.fixture(scope="session")
def recorder(tmp_path_factory):
    try:
        return power_disk.build_recorder(tmp_path_factory.mktemp("recorder"))
    except Unavailable as reason:
        pytest.skip(str(reason))


def apart(function, *arguments):
    try:
        return Apart(function, *arguments).result()
    except Unavailable as reason:
        pytest.skip(str(reason))


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


def write_and_lose(recorder, root, honest, dice):
    own_mounts()
    mount_memory(root)
    disk = RecordedDisk(root, power_disk.FILE_SYSTEMS["ext4"], recorder)
    writer = Writer(disk, 20, honest)
    disk.finish()
    return explore(disk, choose_cuts(disk.entries, 20, dice), dice, writer.missing)


def test_the_proof_itself(recorder, place):
    """A program that syncs loses nothing in any image; one that does not, and lies, is caught."""
    missing, refused = apart(write_and_lose, recorder, place.root / "honest", True, Dice("honest"))
    assert (sum(missing), refused) == (0, 0) and len(missing) == 20
    missing, refused = apart(write_and_lose, recorder, place.root / "liar", False, Dice("liar"))
    assert sum(missing) > 0
