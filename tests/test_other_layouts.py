"""OGBench's, robomimic's, Vintix's and LeRobot's layouts, on made-up files of these, and damaged ones."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sources.loading import Request, describe, load
from tests.recordings import SPEC, made_up, table
from tests.skips import recorded
from trajectories.errors import DatasetError
from trajectories.formats import lerobot, own_files
from trajectories.types import Spec, Trajectories

LENGTHS = [50, 30, 20]
Columns = dict[str, Any]


def read(path: Path, spec: Spec = SPEC) -> Trajectories:
    return own_files.read(path, spec, "made-up")


def write(path: Path, content: Columns) -> Path:
    with h5py.File(path, "w") as file:
        for key, values in content.items():
            file[key] = values
    return path


def same(data: Trajectories, columns: Columns, lengths: list[int] = LENGTHS) -> None:
    for name in ("observations", "actions", "rewards"):
        np.testing.assert_array_equal(getattr(data, name), columns[name], name)
    assert data.lengths.tolist() == lengths


# ---- OGBench --------------------------------------------------------------------------------------------------------


def ogbench(marked: bool = True) -> Columns:
    """Episodes with a row more than steps, which `terminals` mark."""
    columns, ends = table(made_up(LENGTHS)), np.cumsum(LENGTHS)
    behind = {name: np.insert(columns[name], ends, 7.0, axis=0) for name in ("observations", "actions")}
    terminals = np.isin(np.arange(103), ends + np.arange(3)).astype(np.float32)
    terminals[-1] = marked
    return {**behind, "terminals": terminals, "qpos": np.zeros((103, 4)), "qvel": np.zeros((103, 4))}


def test_ogbenchs_rows_behind_the_last_steps_are_left_out(tmp_path: Path) -> None:
    np.savez_compressed(tmp_path / "cube.npz", **ogbench())
    data = read(tmp_path / "cube.npz")
    same(data, table(made_up(LENGTHS)) | {"rewards": np.zeros(100)})
    assert not data.terminated.any()
    assert data.finished.all()
    assert data.origin.details["read_as"] == [
        "OGBench's 3 episodes, none of which terminates; no rewards: zeros",
    ]


def test_ogbenchs_last_episode_is_unfinished_where_no_row_stands_behind_it(tmp_path: Path) -> None:
    np.savez(tmp_path / "cube.npz", **ogbench(marked=False))
    data = read(tmp_path / "cube.npz")
    assert data.lengths.tolist() == [50, 30, 21]
    assert data.finished.tolist() == [True, True, False]


# ---- Vintix ---------------------------------------------------------------------------------------------------------


def vintix(size: int = 45) -> Columns:
    """Groups of a few steps, the tenth before the second by their names."""
    columns = table(made_up(LENGTHS))
    steps = np.concatenate([np.arange(length) for length in LENGTHS]).astype(np.int32)
    found: Columns = {}
    for first in range(0, 100, size):
        rows = slice(first, first + size)
        group = f"{first}-{min(first + size, 100) - 1}"
        found |= {
            f"{group}/proprio_observation": columns["observations"][rows],
            f"{group}/action": columns["actions"][rows],
            f"{group}/reward": columns["rewards"][rows],
            f"{group}/step_num": steps[rows],
            f"{group}/demonstrator_action": columns["actions"][rows] + 1,
        }
    return found


@pytest.mark.parametrize("size", [45, 9, 100])
def test_vintixs_groups_are_put_together_and_divided_by_the_steps_numbers(tmp_path: Path, size: int) -> None:
    data = read(write(tmp_path / "agent.h5", vintix(size)))
    same(data, table(made_up(LENGTHS)))
    assert np.flatnonzero(data.terminated).tolist() == [79]  # the first is as long as the limit, the last one goes on
    assert data.finished.tolist() == [True, True, False]


# ---- robomimic ------------------------------------------------------------------------------------------------------


def robomimic(images: bool = True) -> Columns:
    """A group for each demonstration, and observations of several parts."""
    columns, found = table(made_up(LENGTHS)), Columns()
    for number, (end, length) in enumerate(zip(np.cumsum(LENGTHS), LENGTHS, strict=True)):
        rows, demo = slice(end - length, end), f"data/demo_{number + 9}"
        found |= {
            f"{demo}/obs/robot0_eef_pos": columns["observations"][rows, :2].astype(np.float64),
            f"{demo}/obs/robot0_gripper_qpos": columns["observations"][rows, 2:],
            f"{demo}/next_obs/robot0_eef_pos": columns["observations"][rows, :2],
            f"{demo}/actions": columns["actions"][rows],
            f"{demo}/rewards": columns["rewards"][rows],
            f"{demo}/dones": np.arange(length) == length - 1,
            f"{demo}/states": np.zeros((length, 40)),
        }
        if images:
            found[f"{demo}/obs/agentview_image"] = np.zeros((length, 16, 20, 3), np.uint8)
    return found | {"mask/train": np.array([b"demo_9", b"demo_10"])}


@pytest.mark.parametrize("images", [True, False])
def test_robomimics_demonstrations_are_read_without_their_pictures(tmp_path: Path, images: bool) -> None:
    data = read(write(tmp_path / "low_dim.hdf5", robomimic(images)))
    same(data, table(made_up(LENGTHS)))
    assert np.flatnonzero(data.terminated).tolist() == [79, 99]
    assert data.finished.all()
    assert data.origin.details.get("left_out") == (["obs/agentview_image"] if images else None)


# ---- LeRobot --------------------------------------------------------------------------------------------------------


def lerobots(folder: Path, change: Callable[[Columns, Columns], None] = lambda columns, info: None) -> Path:
    """A folder of version 3, its steps in two files of two groups of rows."""
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements-extra.txt")
    from pyarrow import parquet

    steps = table(made_up(LENGTHS))
    columns = {
        "observation.state": pyarrow.array(steps["observations"].tolist(), pyarrow.list_(pyarrow.float32())),
        "action": pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(steps["actions"].ravel()), 2),
        "next.reward": pyarrow.array(steps["rewards"]),
        "next.done": pyarrow.array(np.isin(np.arange(100), [79, 99])),
        "episode_index": pyarrow.array(np.repeat(np.arange(3), LENGTHS)),
        "note": pyarrow.array(["a"] * 100),
    }
    types = {"observation.state": "float32", "action": "float32", "next.reward": "float32", "next.done": "bool"}
    types |= {"episode_index": "int64", "note": "string", "observation.images.top": "video"}
    info = {
        "codebase_version": "v3.0",
        "total_frames": 100,
        "features": {name: {"dtype": dtype, "shape": [1]} for name, dtype in types.items()},
        "data_path": "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet",
    }
    change(columns, info)
    (folder / "meta").mkdir(parents=True)
    (folder / "data" / "chunk-000").mkdir(parents=True)
    (folder / lerobot.INFO).write_text(json.dumps(info))
    whole = pyarrow.table(columns)
    for number, rows in enumerate((slice(0, 60), slice(60, 100))):
        part = whole.slice(rows.start, rows.stop - rows.start)
        parquet.write_table(part, folder / f"data/chunk-000/file-00{number}.parquet", row_group_size=35)
    parquet.write_table(pyarrow.table({"task_index": [0], "task": ["Push the T."]}), folder / lerobot.TASKS)
    return folder


def test_lerobots_folder_is_read_as_its_tables_are(tmp_path: Path) -> None:
    data = read(lerobots(tmp_path / "pusht") / lerobot.INFO)
    same(data, table(made_up(LENGTHS)))
    assert np.flatnonzero(data.terminated).tolist() == [79, 99]
    details = data.origin.details
    assert (details["file"], details["tasks"]) == ("pusht", ["Push the T."])
    assert details["left_out"] == ["note", "observation.images.top"]


def test_lerobots_demonstrations_without_rewards_have_zeros(tmp_path: Path) -> None:
    def change(columns: Columns, info: Columns) -> None:
        for name in ("next.reward", "next.done"):
            del columns[name], info["features"][name]

    data = read(lerobots(tmp_path, change) / lerobot.INFO)
    assert not data.rewards.any()
    assert not data.terminated.any()
    assert data.lengths.tolist() == LENGTHS
    assert data.origin.details["rewards"] == "none in the files: zeros"


def test_lerobots_folder_is_given_by_path(tmp_path: Path) -> None:
    def change(columns: Columns, info: Columns) -> None:
        import pyarrow

        states = np.zeros((100, 3), np.float32)
        columns["observation.state"] = pyarrow.array(states.tolist(), pyarrow.list_(pyarrow.float32()))
        columns["action"] = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(np.zeros(100, np.float32)), 1)

    folder = lerobots(tmp_path / "pendulum", change)
    data = load(Request("mine@Pendulum-v1", "auto", folder, data_dir=tmp_path / "cache"))
    assert (len(data), data.origin.source) == (100, "file")
    assert "100 steps in 3 episodes" in describe(data)


def test_the_real_pusht_is_the_same_from_a_folder_and_from_its_table(tmp_path: Path) -> None:
    file = recorded("more/lerobot_pusht.arrow")
    pyarrow = pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements-extra.txt")
    from pyarrow import ipc, parquet

    spec = Spec("pusht", (2,), (2,), 300)
    alone = read(file, spec)
    (tmp_path / "meta").mkdir()
    (tmp_path / "data" / "chunk-000").mkdir(parents=True)
    with pyarrow.OSFile(str(file)) as opened:
        whole = ipc.open_stream(opened).read_all()
    parquet.write_table(whole, tmp_path / "data" / "chunk-000" / "file-000.parquet")
    numbers = {"observation.state": "float32", "action": "float32", "episode_id": "int64", "next.reward": "float32"}
    features = {name: {"dtype": dtype} for name, dtype in (numbers | {"next.done": "bool"}).items()}
    (tmp_path / lerobot.INFO).write_text(json.dumps({"features": features, "total_frames": len(alone)}))
    folder = read(tmp_path / lerobot.INFO, spec)
    for name in ("observations", "actions", "rewards", "terminated", "starts"):
        np.testing.assert_array_equal(getattr(folder, name), getattr(alone, name))
    assert len(alone) == 161


# ---- damaged ones ---------------------------------------------------------------------------------------------------


def changed(columns: Columns, name: str, change: Callable[[Any], Any]) -> Columns:
    return columns | {name: change(columns[name])}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(vintix(), "45-89/action", lambda values: values[:-1]), "action has 44"),
        (changed(vintix(), "45-89/action", lambda values: values[:, :1]), "its groups do not fit each other"),
        (changed(vintix(), "0-44/reward", lambda values: np.float32(3)), "0-44/reward is no array"),
        (changed(vintix(), "90-99/reward", lambda values: values * np.nan), "rewards"),
        (changed(vintix(), "0-44/step_num", lambda values: values * np.nan), "step_num"),
        ({key: value for key, value in vintix().items() if key != "90-99/step_num"}, "90-99/step_num is no array"),
        (vintix() | {"more": np.zeros(3)}, "more/proprio_observation is no array"),
        (
            changed(robomimic(), "data/demo_9/obs/robot0_eef_pos", lambda values: values[:5]),
            "no array|different lengths",
        ),
        (changed(robomimic(), "data/demo_11/actions", lambda values: values[:, :1]), "actions differ in shape"),
        ({key: value for key, value in robomimic().items() if "demo_10/rewards" not in key}, "no rewards"),
    ],
)
def test_damaged_groups_are_named(tmp_path: Path, content: Columns, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read(write(tmp_path / "file.h5", content))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda columns: columns | {"terminals": np.ones(103)}, "holds no steps"),
        (lambda columns: columns | {"terminals": np.full(103, 0.5)}, "only 0 and 1"),
        (lambda columns: columns | {"actions": columns["actions"][:9]}, "different lengths"),
        (lambda columns: columns | {"observations": columns["observations"][:, :2]}, "the environment's have 3"),
        (lambda columns: columns | {"actions": np.float32(1)}, "actions is no array"),
    ],
)
def test_damaged_files_of_ogbench_are_refused(tmp_path: Path, change: Callable, message: str) -> None:
    np.savez(tmp_path / "cube.npz", **change(ogbench()))
    with pytest.raises(DatasetError, match=message):
        read(tmp_path / "cube.npz")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("meta/info.json", b"{", "damaged"),
        ("meta/info.json", b"[]", "it is no table"),
        ("meta/info.json", b"{}", "what its features are"),
        ("meta/info.json", b'{"features": {"action": 3}}', "what its features are"),
        ("meta/info.json", b'{"features": {"acts": {"dtype": "float32"}}}', "it has no column acts"),
        ("meta/info.json", b'{"features": {"note": {"dtype": "int64"}}}', "values of string"),
        ("meta/info.json", b'{"features": {"action": {"dtype": "float32"}}, "total_frames": 7}', "says 7"),
        ("meta/info.json", b'{"features": {"action": {"dtype": "float32"}}}', "no observations"),
        ("data/chunk-000/file-001.parquet", b"PAR1", "damaged"),
        ("data/chunk-000/file-001.parquet", b"", "damaged"),
        ("meta/tasks.parquet", b"PAR1PAR1PAR1", "damaged"),
    ],
)
def test_damaged_folders_of_lerobots_are_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    folder = lerobots(tmp_path)
    (folder / name).write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        read(folder / lerobot.INFO)


def test_a_folder_of_lerobots_without_data_is_refused(tmp_path: Path) -> None:
    folder = lerobots(tmp_path)
    for file in folder.glob("data/*/*.parquet"):
        file.unlink()
    with pytest.raises(DatasetError, match="has no data"):
        read(folder / lerobot.INFO)
