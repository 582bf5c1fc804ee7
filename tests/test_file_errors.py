"""Messages about a file that cannot be read: the true reason, and never to delete the user's own file."""

import fcntl
import pickle
import re
from pathlib import Path

import h5py
import numpy as np
import pytest

from sources.loading import Request, load
from tests.recordings import made_up, table, write_d4rl
from trajectories.errors import DatasetError

OWN = "mine@toy"


def sentence(path: Path, name: str = OWN) -> str:
    """The message about the file, given with --path."""
    with pytest.raises(DatasetError) as caught:
        load(Request(name, path=path, data_dir=path.parent / "cache"))
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    assert not re.search("delete|fetch|download", message.replace(str(path), "")), "the file is the user's own"
    return message


def toy_file(path: Path) -> Path:
    return write_d4rl(path, table(made_up([30, 20])))


def test_the_message_names_a_file_that_another_program_writes(tmp_path: Path) -> None:
    path = toy_file(tmp_path / "a.hdf5")
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as libhdf5 does
        assert "is being written by another program: run again once it is closed" in sentence(path)


def test_the_message_says_how_to_open_a_file_whose_writer_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w", libver="latest") as file:
        file["observations"] = np.zeros(3)
        file.swmr_mode = True
        file.flush()
        (tmp_path / "b.hdf5").write_bytes(path.read_bytes())  # as a kill would leave it
    assert f"h5clear -s {tmp_path / 'b.hdf5'}" in sentence(tmp_path / "b.hdf5")


def test_a_compression_that_is_not_here_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        for name, values in table(made_up([30])).items():
            file.create_dataset(name, data=values, compression="gzip")
    gzip, blosc = (number.to_bytes(2, "little") + b"\x08\x00\x01\x00\x01\x00" for number in (1, 32001))
    path.write_bytes(path.read_bytes().replace(gzip + b"deflate\x00", blosc + b"blosc\x00\x00\x00"))
    assert "is compressed by blosc, which h5py does not bring: write the file again with gzip" in sentence(path)


@pytest.mark.parametrize("name", ["a.hdf5", "a.pkl", "empty.hdf5", "empty.pkl", "text.hdf5"])
def test_no_message_says_to_delete_the_user_s_own_file(tmp_path: Path, name: str) -> None:
    whole = toy_file(tmp_path / "whole").read_bytes()
    if name.endswith(".pkl"):
        whole = pickle.dumps([table(made_up([30]))])
    contents = {"a": whole[: len(whole) // 2], "empty": b"", "text": b"Not HDF5."}
    (tmp_path / name).write_bytes(contents[name.partition(".")[0]])
    assert re.search("get a whole copy of it|give a whole HDF5 file", sentence(tmp_path / name))


def test_the_message_says_how_to_remove_a_damaged_file_in_the_cache(tmp_path: Path) -> None:
    path = tmp_path / "d4rl" / "hopper_medium-v2.hdf5"
    path.parent.mkdir()
    content = toy_file(path).read_bytes()
    path.write_bytes(content[:96] + bytes(len(content) - 96))  # its end is where it should be
    with pytest.raises(DatasetError, match=r"in the cache is .* `python experiments/data.py remove hopper-medium --so"):
        load(Request("hopper-medium", data_dir=tmp_path))
