"""A disk that fills up while an HDF5 file is written: one sentence, nothing left, and no crash of libhdf5."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from experiments import data as verbs
from sources import hdf5_writer
from sources.hdf5_writer import new_hdf5
from trajectories.errors import UserError

ROOT = Path(__file__).resolve().parent.parent
FILL = """
import resource, signal, sys
import numpy as np
from pathlib import Path
from sources.hdf5_writer import new_hdf5
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
for most in map(int, sys.argv[2:]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
    try:
        with new_hdf5(Path(sys.argv[1])) as file:
            file.create_dataset("observations", (20_000, 11), "f4")
            for first in range(0, 20_000, 5_000):
                file["observations"][first : first + 5_000] = np.ones((5_000, 11), "f4")
            file["rewards"] = np.ones(20_000, "f4")
            file.create_group("metadata")["policy"] = "another policy"
        print("whole")
    except OSError as error:
        print(error.strerror)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit to a file's size to be set")
def test_libhdf5_survives_a_file_that_cannot_grow(tmp_path: Path) -> None:
    limits = (0, 50_000, 300_000, 879_000, 884_000, 960_000, 962_048, 964_000, 2_000_000)
    words = [sys.executable, "-c", FILL, str(tmp_path / "a.hdf5"), *map(str, limits)]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == lines[4] == os.strerror(errno.EFBIG)
    assert lines[-1] == "whole"
    assert len(lines) == len(limits)
    with h5py.File(tmp_path / "a.hdf5") as file:
        assert (file["observations"][()] == 1).all()
        assert file["metadata/policy"][()] == b"another policy"


@pytest.mark.parametrize("kind", ["collect", "d4rl", "minari"])
@pytest.mark.parametrize("room", [0, 3_000])
def test_a_disk_that_fills_up_is_reported_and_nothing_is_left(kind, room, tmp_path: Path, own_cache: Path, monkeypatch):
    words = ["--source", "collected", "--steps", "2000", "--data-dir", str(own_cache)]
    export = [
        "export",
        "toy-medium",
        *words,
        "--to",
        kind,
        "--out",
        str(tmp_path / ("out.hdf5" if kind == "d4rl" else "out")),
    ]
    if kind != "collect":
        verbs.main(["verify", "toy-medium", *words])
    write, written = hdf5_writer._Disk.write, []

    def fills_up(disk, data):
        written.append(memoryview(data).nbytes)
        if sum(written) > room and disk.error is None:
            disk.error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return write(disk, data)

    monkeypatch.setattr(hdf5_writer._Disk, "write", fills_up)
    before = sorted(own_cache.rglob("*"))
    with pytest.raises(UserError, match=r"The disk that holds .* is full: free "):
        verbs.main(["collect", "toy-medium", *words[2:]] if kind == "collect" else export)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in sorted(own_cache.rglob("*")) if path.is_file()] == [p for p in before if p.is_file()]


def test_what_goes_wrong_while_a_file_is_filled_goes_on(tmp_path: Path) -> None:
    def fill() -> None:
        with new_hdf5(tmp_path / "a.hdf5") as file:
            file["a"] = np.ones(3)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fill()
