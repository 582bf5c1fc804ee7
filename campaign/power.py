"""A power cut: a real ext4 is shut down some moments after a run says that it is finished, and looked at again.

It needs root and loop devices. EXT4_IOC_SHUTDOWN drops what was not flushed, as losing power does.
"""

import fcntl
import os
import struct
import subprocess
from pathlib import Path

from campaign.kills import attempt, command, differing, facts, last_line
from campaign.tally import Tally

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
JOURNAL_LOST, JOURNAL_KEPT = 2, 1
SIZE = 200 << 20  # bytes


def cut_power(number: int, scratch: Path) -> Tally:
    """Finish a run on a disk of its own, cut its power, and compare what is there before and after."""
    tally = Tally("power cut when a run is finished")
    image, disk, cache = scratch / "disk.img", scratch / "disk", scratch / "cache"
    disk.mkdir(exist_ok=True)
    attempt(command("dt", scratch / "elsewhere", cache), scratch / "log")  # makes the data
    try:
        with image.open("wb") as file:
            file.truncate(SIZE)
        _sh("mkfs.ext4", "-q", "-F", str(image))
        _sh("mount", "-o", "loop", str(image), str(disk))
    except (OSError, subprocess.CalledProcessError):
        tally.not_tried = "it needs root, ext4 and loop devices"
        return tally
    try:
        tally.count(_cut(disk, cache, scratch / "log", JOURNAL_LOST if number % 2 else JOURNAL_KEPT))
    except OSError as error:
        tally.not_tried = f"the file system cannot be shut down ({error.strerror})"
        return tally
    finally:
        subprocess.run(["umount", "-l", str(disk)], capture_output=True, check=False)
    return tally


def _cut(disk: Path, cache: Path, log: Path, journal: int) -> str | None:
    results = disk / "runs"
    code, _ = attempt(command("dt", results, cache), log)
    if code:
        return f"the run ends with {code}: {last_line(log)}"
    before = facts(results)
    opened = os.open(disk, os.O_RDONLY)
    try:
        fcntl.ioctl(opened, SHUTDOWN, struct.pack("I", journal))
    finally:
        os.close(opened)
    _sh("umount", str(disk))
    _sh("mount", "-o", "loop", str(disk.with_name("disk.img")), str(disk))
    return differing(before, facts(results))


def _sh(*words: str) -> None:
    subprocess.run(words, check=True, capture_output=True)
