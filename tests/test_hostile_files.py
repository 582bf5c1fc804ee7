"""Files that a stranger made to hurt: each is refused in one sentence, before it costs anything."""

import gzip
import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.recordings import SPEC, made_up, table, write_d4rl
from trajectories.errors import DatasetError, UserError
from trajectories.formats import d4rl, limits, own_files
from trajectories.formats.hdf5 import Hdf5Group, open_hdf5
from trajectories.formats.streams import GzippedColumn

STEPS = 60


def refusal(call: Callable[[], object]) -> str:
    """The sentence with which something is refused."""
    with pytest.raises(UserError) as caught:
        call()
    assert len(str(caught.value)) <= 500
    assert str(caught.value).isprintable()
    return str(caught.value)


# ---- HDF5 -----------------------------------------------------------------------------------------------------------


def virtual(file: h5py.File, name: str, source: str) -> None:
    layout = h5py.VirtualLayout((STEPS,), "f4")
    layout[:] = h5py.VirtualSource(source, name, (STEPS,))
    file.create_virtual_dataset(name, layout)


def kept_in(path: str) -> Callable[[h5py.File, str], None]:
    return lambda file, name: file.create_dataset(name, (STEPS,), "u1", external=[(path, 0, h5py.h5f.UNLIMITED)])


def linked(file: h5py.File, name: str, link: object) -> None:
    file[name] = link


ELSEWHERE: dict[str, Callable[[h5py.File, str], None]] = {
    "a virtual data set of itself": lambda file, name: virtual(file, name, file.filename),
    "a virtual data set whose source is gone": lambda file, name: virtual(file, name, "gone.hdf5"),
    "a system's file read as numbers": kept_in("/etc/passwd"),
    "an endless device": kept_in("/dev/zero"),
    "a link to another file": lambda file, name: linked(file, name, h5py.ExternalLink("/etc/passwd", "/x")),
    "a link to itself": lambda file, name: linked(file, name, h5py.SoftLink(f"/{name}")),
}


@pytest.mark.parametrize("name", ["rewards", "timeouts", "metadata/algorithm", "metadata/policy/fc0/weight"])
@pytest.mark.parametrize("where", ELSEWHERE)
def test_an_array_that_is_not_in_its_file_is_refused(tmp_path: Path, where: str, name: str) -> None:
    columns = table(made_up([20, 40]))
    columns.pop(name, None)
    path = write_d4rl(tmp_path / "a.hdf5", columns)
    with h5py.File(path, "a") as file:
        ELSEWHERE[where](file, name)
    read = d4rl.policy_digest if "policy" in name else lambda path: own_files.read(path, SPEC, "made-up")
    sentence = refusal(lambda: read(path))
    assert "other files, which are not read" in sentence or "leads out of the file or nowhere" in sentence


def test_more_chunks_than_a_file_can_hold_are_refused(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "a.hdf5", table(made_up([20, 40])))
    with h5py.File(path, "a") as file:
        del file["actions"]
        file.create_dataset("actions", (1 << 23, 1), "f4", chunks=(1, 1))  # of which libhdf5 makes a list
    assert "declares 1.7 GB" in refusal(lambda: own_files.read(path, SPEC, "made-up"))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.hdf5")
    assert "no ordinary file" in refusal(lambda: own_files.read(tmp_path / "a.hdf5", SPEC, "made-up"))


@pytest.mark.parametrize("chunks", [None, True])
@pytest.mark.parametrize("shape", [(5 * 10**8,), (10**12, 2), (2**60,)])
def test_a_size_that_is_declared_and_not_stored_is_refused(
    tmp_path: Path, shape: tuple[int, ...], chunks: bool
) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name in own_files.REQUIRED:
            file.create_dataset(name, shape, "f4", chunks=chunks)
    assert "which no compression does" in refusal(lambda: own_files.read(tmp_path / "a.hdf5", SPEC, "made-up"))


def test_a_small_array_in_a_huge_chunk_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for name in own_files.REQUIRED:
            file.create_dataset(name, (60,), "f4", chunks=(10**8,), maxshape=(None,), compression="gzip")
    assert "which no compression does" in refusal(lambda: own_files.read(tmp_path / "a.hdf5", SPEC, "made-up"))


def test_one_long_text_named_again_and_again_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, count = tmp_path / "a.hdf5", 3000
    with h5py.File(path, "w") as file:
        texts = file.create_dataset("texts", (count,), h5py.string_dtype())
        texts[0] = "x" * 60_000
        name = texts.id.get_offset()
    content = bytearray(path.read_bytes())
    content[name : name + 16 * count] = content[name : name + 16] * count
    path.write_bytes(content)
    monkeypatch.setattr(limits, "SMALL", 0)
    with open_hdf5(path) as opened:
        assert "which no compression does" in refusal(lambda: opened.array("texts")[()])


def test_what_does_not_fit_in_memory_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_d4rl(tmp_path / "a.hdf5", table(made_up([20, 40])))
    monkeypatch.setattr(os, "sysconf", lambda name: 20)
    assert "this machine has 0.0 GB" in refusal(lambda: own_files.read(path, SPEC, "made-up"))


def test_a_group_that_holds_itself_comes_to_an_end(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "a.hdf5", table(made_up([20, 40])))
    with h5py.File(path, "a") as file:
        group = file.create_group("metadata/policy")
        group["one"] = group["two"] = group
    assert "without end" in refusal(lambda: d4rl.policy_digest(path))


def test_honest_compression_and_links_within_the_file_are_read(tmp_path: Path) -> None:
    data = made_up([20, 40])
    columns = table(data)
    rewards = columns.pop("rewards")
    path = write_d4rl(tmp_path / "a.hdf5", columns)
    with h5py.File(path, "a") as file:
        file["other/place"] = rewards
        file["rewards"] = h5py.SoftLink("/other/place")
        file["other/again"] = h5py.SoftLink("place")
        zeros = np.zeros((3_000_000, 10), "f4")
        file.create_dataset("zeros", data=zeros, chunks=(100_000, 10), compression=9, shuffle=True)
    np.testing.assert_array_equal(own_files.read(path, SPEC, "made-up").rewards, data.rewards)
    with open_hdf5(path) as opened:
        assert isinstance(opened.get("other"), Hdf5Group)
        assert opened.array("other/again").shape == (60,)
        assert opened.get("nothing") is None
        assert not opened.array("zeros")[:1000].any()


def test_metadata_of_every_kind_become_what_a_record_can_hold(tmp_path: Path) -> None:
    path = write_d4rl(tmp_path / "a.hdf5", table(made_up([20, 40])))
    with h5py.File(path, "a") as file:
        group = file.create_group("metadata")
        kinds = {"text": "SAC", "whole": 3, "real": 0.5, "truth": True, "nan": np.nan, "bytes": np.void(b"ab")}
        for key, value in kinds.items():
            group[key] = value
        group["reference"], group["long"], group["nothing"] = file.ref, "x" * 5000, h5py.Empty("f4")
    details = own_files.read(path, SPEC, "made-up").origin.details
    assert {key: details["metadata"][key] for key in kinds} == {
        "text": "SAC", "whole": 3, "real": 0.5, "truth": True, "nan": "nan", "bytes": "ab",
    }  # fmt: skip
    assert isinstance(details["metadata"]["reference"], str)
    assert len(details["metadata"]["long"]) == 1000
    assert "nothing" not in details["metadata"]


# ---- pickles --------------------------------------------------------------------------------------------------------


def instruction(code: bytes, size: int, width: str = "<Q") -> bytes:
    return code + struct.pack(width, size)


def nested(depth: int) -> list:
    """10 ** depth numbers in a few bytes: every list stands ten times in the next."""
    inner: list = [0.0] * 10
    for _ in range(depth - 1):
        inner = [inner] * 10
    return inner


def episode(**columns: Any) -> list[dict[str, Any]]:
    whole = {"observations": np.zeros((20, 3)), "actions": np.zeros((20, 2)), "rewards": np.zeros(20)}
    return [whole | {"terminals": np.zeros(20)} | columns]


GREEDY = {
    "a memo of 34 GB": b"\x80\x04]" + instruction(pickle.LONG_BINPUT, 2**32 - 1, "<I") + b".",
    "an array of bytes that is not there": b"\x80\x05" + instruction(pickle.BYTEARRAY8, 2**33) + b".",
    "bytes that are not there": b"\x80\x04" + instruction(pickle.BINBYTES8, 2**62) + b".",
    "a number of six thousand digits": b"I" + b"9" * 6000 + b"\n.",
    "a hundred thousand marks": b"(" * 10**5,
    "thirty thousand lists in each other": b"\x80\x04]" + b"]" * 30000 + b"a" * 30000 + b".",
    "a name by number": b"\x82\x01.",
    "a name from elsewhere": b"Pabc\n.",
    "ten billion numbers in lists": pickle.dumps(episode(rewards=nested(10))),
    "rows of several lengths": pickle.dumps(episode(rewards=[[1.0], [2.0, 3.0]])),
    "a number that no array holds": pickle.dumps(episode(rewards=[10**400] * 20)),
    "a name that is no text": pickle.dumps([{10**5000: 1, "rewards": np.zeros(3)}]),
    "a name of names": pickle.dumps([{"x" * 10**5: 1}]),
    "one array many times": pickle.dumps(episode(observations=np.zeros((30_000, 1))) * 4000),
}


@pytest.mark.parametrize("content", GREEDY.values(), ids=GREEDY)
def test_a_greedy_pickle_is_refused_before_it_takes_memory(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        refusal(lambda: own_files.read(path, SPEC, "made-up"))
        assert tracemalloc.get_traced_memory()[1] < 1e8
    finally:
        tracemalloc.stop()


def test_lists_of_numbers_and_of_arrays_are_arrays(tmp_path: Path) -> None:
    path = tmp_path / "a.pkl"
    rows = np.arange(60.0).reshape(20, 3)
    path.write_bytes(
        pickle.dumps(episode(observations=list(rows), rewards=rows[:, 0].tolist(), actions=rows[:, :2].tolist()))
    )
    data = own_files.read(path, SPEC, "made-up")
    np.testing.assert_array_equal(data.observations, rows)
    np.testing.assert_array_equal(data.actions, rows[:, :2])
    np.testing.assert_array_equal(data.rewards, rows[:, 0])


# ---- DQN-replay ------------------------------------------------------------------------------------------------------


def header(dtype: str = "'|u1'", shape: str = "(30,)") -> str:
    return f"{{'descr': {dtype}, 'fortran_order': False, 'shape': {shape}, }}"


HEADERS = {
    "ten thousand million frames": header(shape="(10000000000, 84, 84)"),
    "a negative length": header(shape="(-1,)"),
    "a length that is no number": header(shape="(1.5,)"),
    "more than a number holds": header(shape="(4611686018427387904, 4)"),
    "nothing, often": header("'|V0'", "(30,)"),
    "objects": header("'|O'"),
    "fields": header("[('a', '<f4', (1000000000,))]", "(3,)"),
    "text of no length": header("'<U0'"),
    "brackets without end": "(" * 9000,
    "a program": "__import__('os').system('x')",
    "half of a text": "'''",
    "nothing": "",
    "signs without end": "-" * 9000 + "1",
}


@pytest.mark.parametrize("text", HEADERS.values(), ids=HEADERS)
def test_a_header_that_lies_is_refused(tmp_path: Path, text: str) -> None:
    content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text.encode() + b"\n" + bytes(30)
    (tmp_path / "a.gz").write_bytes(gzip.compress(content))
    refusal(lambda: GzippedColumn(tmp_path / "a.gz").rows(30))


# ---- sentences ------------------------------------------------------------------------------------------------------


def test_a_message_stays_one_short_line_whatever_a_file_puts_into_it() -> None:
    message = str(DatasetError("a file of " + "\n\x1b[2J\udc80" * 1000 + " ends: look at it."))
    assert message.startswith(r"a file of \n\x1b[2J\udc80")
    assert message.endswith(" ends: look at it.")
    assert len(message) == 500
    assert str(UserError("中文 is 3: give 4.")) == "中文 is 3: give 4."
