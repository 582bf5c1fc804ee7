"""What a stranger's file holds is what is loaded, or a sentence says what does not fit: nothing is lost on the way."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from experiments import data as command
from sources import data_pictures, data_report
from sources.loading import Request, describe, load
from tests.recordings import SPEC, made_up, table
from tests.test_own_files import write
from trajectories.errors import DatasetError, UserError
from trajectories.formats import columns, jat, lerobot, minari, other_layouts, own_files
from trajectories.parts import Part, changed, pack
from trajectories.types import Spec, Trajectories

Columns = dict[str, Any]
HOPPER = Spec("Hopper-v4", (11,), (3,), 1000)
IMAGES = Spec("procgen", (64, 64, 3), (), 1000, actions=15, observation_dtype="uint8")


def steps(count: int, *ends: int, spec: Spec = SPEC) -> Columns:
    """One table of steps; the last step of each episode is marked."""
    one = {name: values for name, values in table(made_up([count], spec)).items() if name != "timeouts"}
    return one | {"terminals": np.isin(np.arange(count), ends), "rewards": np.ones(count, np.float32)}


def read(path: Path, spec: Spec = SPEC) -> Trajectories:
    return own_files.read(path, spec, "made-up")


# ---- ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["groups", "list", "numbers"])
def test_ends_marked_within_what_is_stored_as_an_episode_divide_it(tmp_path: Path, layout: str) -> None:
    if layout == "groups":
        path = write(tmp_path / "a.hdf5", {"test": steps(20, 9, 19), "train": steps(20, 9, 19)})
    elif layout == "list":
        path = write(tmp_path / "a.pkl", [steps(20, 9, 19), steps(20, 9, 19)])
    else:
        path = write(tmp_path / "a.npz", steps(40, 9, 19, 29, 39) | {"episode": np.zeros(40, np.int64)})
    data = read(path)
    assert data.lengths.tolist() == [10, 10, 10, 10]
    assert data.terminated.sum() == 4
    assert any("divided there" in caveat for caveat in data.origin.details["caveats"])


def test_dones_at_every_step_after_success_are_one_end(tmp_path: Path) -> None:
    one = steps(20)
    dones = np.r_[np.zeros(12), np.ones(8)]
    group = {name: values for name, values in one.items() if name != "terminals"} | {"dones": dones}
    data = read(write(tmp_path / "a.hdf5", {"data": {f"demo_{number}": group for number in range(3)}}))
    assert data.lengths.tolist() == [20, 20, 20]
    assert np.flatnonzero(data.terminated).tolist() == [19, 39, 59]


# ---- episodes -------------------------------------------------------------------------------------------------------


def test_episodes_of_all_groups_are_read(tmp_path: Path) -> None:
    groups = {
        split: {f"episode_{n}": steps(5, 4) for n in range(count)} for split, count in (("train", 8), ("test", 2))
    }
    assert read(write(tmp_path / "a.hdf5", groups)).episodes == 10


def test_an_episode_that_lost_its_actions_is_named(tmp_path: Path) -> None:
    episodes = {f"demo_{number}": steps(5, 4) for number in range(4)}
    del episodes["demo_2"]["actions"]
    with pytest.raises(DatasetError, match=r"episode 2 holds .* and no actions"):
        read(write(tmp_path / "a.hdf5", {"data": episodes}))


def test_columns_of_unequally_many_episodes_are_refused(tmp_path: Path) -> None:
    episodes = [steps(3, 2), steps(4, 3), steps(5, 4)]
    content = {name: [one[name] for one in episodes] for name in episodes[0]}
    content["rewards"] = content["rewards"][:2]
    with pytest.raises(DatasetError, match="rewards has 2"):
        read(write(tmp_path / "a.pkl", content))


def test_marks_that_only_later_episodes_have_are_not_passed_over(tmp_path: Path) -> None:
    episodes = [steps(4), steps(5, 4)]
    del episodes[0]["terminals"]
    with pytest.raises(DatasetError, match="episode 0 has no terminals, which others have"):
        read(write(tmp_path / "a.pkl", episodes))


def test_parts_of_an_observation_are_the_same_in_all_episodes(tmp_path: Path) -> None:
    def episode(*names: str) -> Columns:
        return steps(5, 4) | {"observations": {name: np.zeros((5, 6 if name == "b" else 5)) for name in names}}

    path = write(tmp_path / "a.hdf5", {"e_0": episode("a", "b"), "e_1": episode("b", "c")})
    with pytest.raises(DatasetError, match="episode 1, observations holds b, c, and of an earlier episode a, b"):
        read(path)


# ---- numbers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("scale", "first"), [(1.0, "0.5"), (600.0, "300.0")])
def test_pictures_of_floats_or_of_large_numbers_are_refused(tmp_path: Path, scale: float, first: str) -> None:
    images = np.full((20, 64, 64, 3), 0.5 * scale)
    content = {"observations": images, "actions": np.arange(20) % 15, "rewards": np.ones(20)}
    path = write(tmp_path / "a.npz", content | {"terminals": np.arange(20) % 10 == 9})
    with pytest.raises(DatasetError, match=f"observations holds {first} at step 0, where whole numbers of 0 to 255"):
        read(path, IMAGES)
    whole = content | {"terminals": np.arange(20) % 10 == 9, "observations": np.full((20, 64, 64, 3), 7.0)}
    assert (read(write(tmp_path / "b.npz", whole), IMAGES).observations == 7).all()


def test_a_part_does_not_take_a_number_that_its_type_cannot_hold() -> None:
    part = Part(("cells",), (2,), "integer", "uint8", (3,))
    with pytest.raises(ValueError, match=r"cells holds 0.25 in row 1, which is no uint8"):
        pack({"cells": np.array([[0, 1], [0.25, 1]])}, (part,))
    assert changed(np.array([[0, 1], [2, 300]]), "uint8") == (1, 1)
    assert changed(np.array([[0.0, 1.0]]), "uint8") is None
    assert changed(np.array([0.25]), "float32") is None


def test_minaris_rewards_are_not_cut_off_by_a_first_episode_of_whole_ones(tmp_path: Path) -> None:
    (tmp_path / "m" / "data").mkdir(parents=True)
    with h5py.File(tmp_path / "m" / "data" / "main_data.hdf5", "w") as file:
        for number, rewards in enumerate(([0] * 8, [0, 0, 0.955], [0, 0.5])):
            count, group = len(rewards), file.create_group(f"episode_{number}")
            group["observations"] = np.zeros((count + 1, 4), np.float32)
            group["actions"], group["rewards"] = np.ones(count, int), rewards
            group["terminations"] = [False] * (count - 1) + [True]
            group["truncations"] = [False] * count
    box = {"type": "Box", "dtype": "float32", "shape": [4], "low": [-9] * 4, "high": [9] * 4}
    about = {"total_steps": 13, "total_episodes": 3, "data_format": "hdf5", "observation_space": json.dumps(box)}
    (tmp_path / "m" / "data" / "metadata.json").write_text(json.dumps(about))
    data = minari.read(tmp_path / "m", Spec("CartPole-v1", (4,), (), 500, actions=2), "made-up")
    np.testing.assert_allclose(data.returns, [0, 0.955, 0.5])


# ---- what names announce --------------------------------------------------------------------------------------------


def test_jats_files_that_are_missing_or_there_twice_are_noticed(tmp_path: Path) -> None:
    only = tmp_path / "train-00000-of-00003.parquet"
    only.touch()
    with pytest.raises(DatasetError, match="has no file 1 of 3"):
        jat.read(tmp_path, HOPPER, "made-up", observations=tmp_path / "o.npy")
    only.rename(tmp_path / "train-00000-of-00001.parquet")
    (tmp_path / "train-00000-of-00001 (1).parquet").touch()
    with pytest.raises(DatasetError, match="leave one set's files alone there"):
        jat.read(tmp_path, HOPPER, "made-up", observations=tmp_path / "o.npy")


def test_a_parquet_of_other_columns_is_no_file_of_jats(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "train-00000-of-00001.parquet")
    with pytest.raises(DatasetError, match="has neither continuous_actions nor discrete_actions"):
        jat.read(tmp_path, HOPPER, "made-up", observations=tmp_path / "o.npy")


def test_a_group_of_vintixs_that_is_missing_is_noticed_and_late_beginnings_noted(tmp_path: Path) -> None:
    def group(first: int) -> Columns:
        one = steps(10)
        ours = {own: one[name] for name, own in other_layouts.VINTIX.items() if name in one}
        return ours | {"step_num": np.arange(first, first + 10)}

    with pytest.raises(DatasetError, match="no group lies between 0-9 and 20-29"):
        read(write(tmp_path / "a.h5", {"0-9": group(0), "20-29": group(20)}))
    data = read(write(tmp_path / "b.h5", {"0-9": group(0), "10-19": group(5)}))
    assert "1 episodes whose first step is not there" in data.origin.details["read_as"]


def lerobot_folder(folder: Path, frames: list[int], rewards: float = 1.0) -> Path:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    (folder / "meta").mkdir(parents=True, exist_ok=True)
    (folder / "data" / "chunk-000").mkdir(parents=True, exist_ok=True)
    one = steps(len(frames), spec=HOPPER)
    content = {
        "observation.state": list(one["observations"]),
        "action": list(one["actions"]),
        "next.reward": np.full(len(frames), rewards, np.float32),
        "episode_index": np.arange(len(frames)) // 5,
        "frame_index": np.array(frames),
    }
    kinds = {name: {"dtype": "float32" if place < 3 else "int64"} for place, name in enumerate(content)}
    if not (folder / lerobot.INFO).exists():
        (folder / lerobot.INFO).write_text(json.dumps({"total_frames": len(frames), "features": kinds}))
    parquet.write_table(pyarrow.table(content), folder / "data" / "chunk-000" / "file-000.parquet")
    return folder


def test_lerobots_rows_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"frame 3 of episode 1 \(row 7\) does not follow"):
        read(lerobot_folder(tmp_path / "le", [0, 1, 2, 3, 4, 0, 1, 3, 2, 4]) / lerobot.INFO, HOPPER)


def test_a_lerobot_folder_that_changes_is_read_again(tmp_path: Path) -> None:
    folder, frames = tmp_path / "le", [0, 1, 2, 3, 4] * 2
    request = Request("x@Hopper-v4", path=lerobot_folder(folder, frames), data_dir=tmp_path / "cache")
    assert load(request).returns.tolist() == [5, 5]
    lerobot_folder(folder, frames, rewards=7)
    assert load(request).returns.tolist() == [35, 35]


# ---- tables of lists ------------------------------------------------------------------------------------------------


def test_parquet_of_large_lists_and_of_an_episode_a_row_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    one = steps(7, 2, 6)
    floats = pyarrow.large_list(pyarrow.float32())
    rows = {name: pyarrow.array(one[name].tolist(), floats) for name in ("observations", "actions")}
    rows |= {name: pyarrow.array(one[name]) for name in ("rewards", "terminals")}
    parquet.write_table(pyarrow.table(rows), tmp_path / "steps.parquet")
    expected = read(tmp_path / "steps.parquet")
    np.testing.assert_array_equal(expected.observations, one["observations"])
    lists = {name: [values[:3].tolist(), values[3:].tolist()] for name, values in one.items()}
    parquet.write_table(pyarrow.table(lists), tmp_path / "episodes.parquet")
    found = read(tmp_path / "episodes.parquet")
    assert found.lengths.tolist() == [3, 4]
    np.testing.assert_array_equal(found.observations, expected.observations)
    rows["actions"] = pyarrow.array([None, *one["actions"].tolist()[1:]], floats)
    parquet.write_table(pyarrow.table(rows), tmp_path / "gap.parquet")
    with pytest.raises(DatasetError, match=r"actions: 1 lists of a column are missing"):
        read(tmp_path / "gap.parquet")


def test_an_npz_of_objects_is_not_called_damaged(tmp_path: Path) -> None:
    ragged = np.array([np.zeros((3, 11)), np.zeros((4, 11))], dtype=object)
    content = {"observations": ragged, "actions": np.zeros((7, 3)), "rewards": np.ones(7), "terminals": np.zeros(7)}
    with pytest.raises(DatasetError, match="holds Python's objects"):
        read(write(tmp_path / "a.npz", content))


# ---- data.py --------------------------------------------------------------------------------------------------------


def test_returns_a_rounding_apart_are_shown(tmp_path: Path) -> None:
    returns = np.float32([3234.567, np.nextafter(np.float32(3234.567), np.float32(4000))])
    assert [line.rsplit(" ", 1)[1] for line in data_report.histogram(returns)].count("1") == 2
    content = steps(20, 9, 19)
    content["rewards"] = np.zeros(20, np.float32)
    content["rewards"][[9, 19]] = returns
    data_pictures.draw(read(write(tmp_path / "a.npz", content)), tmp_path / "a.png")


def test_a_success_rate_that_is_no_number_is_not_shown(tmp_path: Path) -> None:
    data = read(write(tmp_path / "a.hdf5", steps(20, 9, 19) | {"metadata": {"success_rate": "90%"}}))
    assert data_report.success(data) == []
    assert "20 steps" in describe(data)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"seed": 3}, "--seed 3 is for data that are recorded here"),
        ({"physics": "gymnasium"}, "--physics gymnasium is for data that are recorded here"),
        ({"replay_steps": 5}, "--replay-steps and --replay-checkpoints are for --source dqn-replay"),
    ],
)
def test_an_option_that_a_file_has_no_use_for_is_refused(tmp_path: Path, option: Columns, message: str) -> None:
    path = write(tmp_path / "a.npz", steps(20, 9, 19))
    with pytest.raises(UserError, match=message):
        command.Show(path=path, task="Hopper-v4", data_dir=tmp_path, **option).load()


@pytest.mark.parametrize(
    ("option", "message"), [({"id": "a/b-v0"}, "--id a/b-v0"), ({"out": Path("a.npz")}, "--out a.npz")]
)
def test_an_export_to_d4rl_refuses_what_is_not_for_it(option: Columns, message: str) -> None:
    with pytest.raises(UserError, match=message):
        command.Export(to="d4rl", **option).run()


def test_a_seed_may_come_with_a_file_of_which_demonstrations_are_drawn(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npz", steps(20, 9, 19, spec=HOPPER))
    assert load(Request("x@Hopper-v4", path=path, seed=3, data_dir=tmp_path)).episodes == 2


def test_whole_numbers_in_float_columns_are_taken() -> None:
    np.testing.assert_array_equal(columns.numbers(np.array([1.0, 2.0]), "int64", "observations", "a"), [1, 2])
