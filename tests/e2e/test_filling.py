"""Disks that are filled and emptied while a capture runs, which goes on each time, and loses nothing.
The long version counts by CYCLES."""

import pytest

import torture
from filling import fill_and_free


@pytest.mark.parametrize("options", [["--segment-age", "20ms"], ["--ephemeral"], ["--compress", "zstd"]])
def test_a_disk(weir, serve, small_disk, options):
    fill_and_free(weir, serve, small_disk, 6, *options)


@pytest.mark.parametrize("options", [[], ["--ephemeral"]])
def test_a_quota(weir, serve, quota_disk, options):
    fill_and_free(weir, serve, quota_disk, 2, *options)


@pytest.mark.torture
def test_a_disk_again_and_again(weir, serve, small_disk):
    cycles = fill_and_free(weir, serve, small_disk, torture.CYCLES)
    print(f"torture: full {cycles} times, and went on")


@pytest.mark.torture
def test_a_quota_again_and_again(weir, serve, quota_disk):
    cycles = fill_and_free(weir, serve, quota_disk, torture.CYCLES)
    print(f"torture: full {cycles} times, and went on")
