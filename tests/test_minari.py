"""Minari: its layouts are read as Minari wrote them, Minari reads what we write, and back and forth changes nothing."""

import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from PIL import Image

from environments.make import make
from sources import export
from sources.loading import Request, describe, load
from tests.recordings import table, write_d4rl
from tests.toys import walk
from trajectories import minari_folders
from trajectories.catalog import dataset, environment, recorded_in
from trajectories.errors import DatasetError, UserError
from trajectories.formats import minari
from trajectories.parts import TEXT, to_text, view
from trajectories.spaces import layout
from trajectories.types import Spec, Trajectories

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Minari's, about missing metadata
LAYOUTS = ("hdf5", "arrow", "parquet")


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty."""
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
    return tmp_path / "minari"


def recorded_by_minari(name: str, gym_id: str, kind: str, episodes: int = 3, steps: int = 12) -> list[list[dict]]:
    """A data set written by Minari itself, and the observations and actions while it was recorded."""
    package = pytest.importorskip("minari", reason="needs minari: pip install -r requirements-extra.txt")
    import gymnasium

    if gym_id.startswith("MiniGrid"):
        pytest.importorskip("minigrid", reason="needs minigrid")
    copy, space = gymnasium.make(gym_id), None
    if gym_id.startswith("MiniGrid"):
        spaces = dict(copy.observation_space.spaces) | {"mission": gymnasium.spaces.Text(64)}
        space = gymnasium.spaces.Dict(spaces)
    copy.action_space.seed(0)
    buffers, recorded = [], []
    for number in range(episodes):
        observations, taken = [copy.reset(seed=number)[0]], []
        for step in range(steps):
            action = copy.action_space.sample()
            observation, reward, terminated, truncated, _ = copy.step(action)
            truncated = truncated or (step == steps - 1 and number < episodes - 1)  # the last one is unfinished
            taken.append(
                {"observation": observations[-1], "action": action, "reward": reward, "terminated": terminated}
            )
            taken[-1]["truncated"] = truncated
            observations.append(observation)
            if terminated:
                break
        columns = {key: [one[key] for one in taken] for key in ("action", "reward", "terminated", "truncated")}
        nested: Any = np.array(observations)
        if isinstance(observations[0], dict):
            lists = {key: [one[key] for one in observations] for key in observations[0]}
            nested = {key: one if isinstance(one[0], str) else np.array(one) for key, one in lists.items()}
        buffers.append(
            package.data_collector.EpisodeBuffer(
                id=number,
                observations=nested,
                actions=np.array(columns["action"]),
                rewards=columns["reward"],
                terminations=columns["terminated"],
                truncations=columns["truncated"],
            )
        )
        recorded.append(taken)
    package.create_dataset_from_buffers(name, buffers, env=copy, observation_space=space, data_format=kind)
    return recorded


def same_rewards_and_ends(data: Trajectories, episodes: list[list[dict]]) -> None:
    flat = [step for episode in episodes for step in episode]
    assert data.lengths.tolist() == [len(episode) for episode in episodes]
    np.testing.assert_allclose(data.rewards, [step["reward"] for step in flat], rtol=1e-6)
    np.testing.assert_array_equal(data.terminated, [step["terminated"] for step in flat])
    np.testing.assert_array_equal(data.actions, [step["action"] for step in flat])


@pytest.mark.parametrize("kind", LAYOUTS)
def test_a_data_set_of_arrays_is_read_as_it_was_recorded(kind: str) -> None:
    episodes = recorded_by_minari("ours/hopper-v0", "Hopper-v5", kind)
    data = load(Request("ours/hopper-v0"))
    same_rewards_and_ends(data, episodes)
    observations = [step["observation"] for episode in episodes for step in episode]
    np.testing.assert_array_equal(data.observations, np.array(observations, np.float32))
    assert data.origin.source == "minari"
    assert data.spec.name == "Hopper-v5"
    assert make(data.spec.name, 1).reset([0]).shape == (1, 11)
    assert "v2 to v4" in describe(data)
    last = episodes[-1]
    assert data.unfinished_steps == (0 if last[-1]["terminated"] else len(last))


@pytest.mark.parametrize("kind", LAYOUTS[:2])
def test_a_goal_is_laid_out_behind_observation_and_achieved_goal(kind: str) -> None:
    pytest.importorskip("gymnasium_robotics", reason="needs gymnasium-robotics")
    episodes = recorded_by_minari("ours/maze-v0", "PointMaze_UMaze-v3", kind)
    data = load(Request("ours/maze"))
    parts = ("observation", "achieved_goal", "desired_goal")
    observations = [
        np.concatenate([step["observation"][part] for part in parts]) for episode in episodes for step in episode
    ]
    np.testing.assert_array_equal(data.observations, np.array(observations, np.float32))
    assert [part[0] for part in data.origin.details["observation_parts"]] == list(parts)
    copies = make(data.spec.name, 1)
    np.testing.assert_allclose(copies.reset([0])[0], data.observations[0], rtol=1e-6)


@pytest.mark.parametrize("kind", LAYOUTS[:2])
def test_image_direction_and_mission_are_separate_parts(kind: str) -> None:
    episodes = recorded_by_minari("ours/rooms-v3", "MiniGrid-FourRooms-v0", kind)
    data = load(Request("ours/rooms"))
    same_rewards_and_ends(data, episodes)
    assert data.observations.dtype == np.uint8
    assert data.origin.details["observation_parts"] == [
        ["direction", [], "integer"],
        ["image", [7, 7, 3], "integer"],
        ["mission", [TEXT], "text"],
    ]
    first = episodes[0][0]["observation"]
    found = view(data.observations, data.spec.parts)[0]
    assert found["direction"] == first["direction"]
    np.testing.assert_array_equal(found["image"], first["image"])
    assert to_text(found["mission"]) == first["mission"]
    np.testing.assert_array_equal(make(data.spec.name, 1).reset([0])[0], data.observations[0])


def test_a_name_without_a_version_means_the_latest(root: Path) -> None:
    for version in (0, 2, 10):
        export.to_minari(toy(), f"ours/toy-v{version}")
    assert minari_folders.find("ours/toy") == root / "ours/toy-v10"
    assert minari_folders.find("ours/toy-v2") == root / "ours/toy-v2"
    assert dataset("ours/toy").env == "toy"
    assert load(Request("ours/toy")).origin.name == "ours/toy-v10"


def test_an_unknown_id_is_answered_with_the_nearest_and_without_a_network(root: Path) -> None:
    export.to_minari(toy(), "ours/toy-v0")
    with pytest.raises(
        UserError, match=r"ours/toi-v0 is not among.*minari download ours/toi-v0.*did you mean ours/toy-v0"
    ):
        load(Request("ours/toi-v0"))
    with pytest.raises(UserError, match="mujoco/hopper/medium-v0 is not among"):
        load(Request("hopper-medium", "minari"))
    with pytest.raises(UserError, match="Minari has no hopper-random"):
        load(Request("hopper-random", "minari"))


def test_an_environments_own_arguments_and_reference_scores_are_in_its_name(root: Path) -> None:
    export.to_minari(toy(), "ours/pole-v0")
    file = minari_folders.metadata_file(root / "ours/pole-v0")
    metadata = json.loads(file.read_text())
    del metadata["environment"]
    spec = {"id": "Pendulum-v1", "kwargs": {"g": 9.81}, "max_episode_steps": 77, "additional_wrappers": []}
    metadata["observation_space"] = json.dumps({"type": "Box", "dtype": "float32", "shape": [3], "low": 0, "high": 0})
    file.write_text(json.dumps(metadata | {"env_spec": json.dumps(spec), "ref_min_score": -9, "ref_max_score": 3}))
    row = recorded_in(root / "ours/pole-v0")
    assert (row.gym_id, row.max_episode_steps, row.random_score, row.expert_score) == ("Pendulum-v1", 77, -9, 3)
    assert row.options == {"g": 9.81, "max_episode_steps": 77}
    assert environment(row.name) == row


REAL = {  # catalog name of each of D4RL's pieces
    "hopper_medium-v2": "hopper-medium",
    "walker2d_medium-v2": "walker2d-medium",
    "halfcheetah_medium-v2": "halfcheetah-medium",
    "hopper_medium_replay-v1": "hopper-medium-replay-v1",
    "ant_random-v1": "ant-random-v1",
    "antmaze-umaze-v0": "antmaze-umaze-v0",
    "hopper_medium": "hopper-medium-v0",
}


@pytest.mark.parametrize("file", REAL)
def test_d4rl_to_minari_and_back_changes_nothing(real: Path, file: str) -> None:
    data = load(Request(REAL[file], path=real / f"{file}.hdf5"))
    name = export.minari_id(data)
    export.to_minari(data, name)
    with h5py.File(minari_folders.root() / name / "data" / "main_data.hdf5") as file:
        ends = [(bool(one["terminations"][-1]), bool(one["truncations"][-1])) for one in file.values()]
    assert (True, True) not in ends
    back = load(Request(name))
    for column in ("observations", "actions", "rewards", "terminated", "starts", "returns_to_go"):
        np.testing.assert_array_equal(getattr(back, column), getattr(data, column))
    assert back.origin.digest == data.origin.digest
    assert back.spec == data.spec
    assert back.unfinished_steps == data.unfinished_steps


def test_a_large_column_is_read_through_a_file_and_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = load(Request("toy-medium", "collected", steps=50))
    folder = export.to_minari(data, "large/toy-v0")
    monkeypatch.setattr(minari, "LARGE", 0)
    monkeypatch.setattr(np, "empty", lambda *_: pytest.fail("a column was held in memory"))
    read = minari.read(folder, data.spec, "large/toy-v0")
    assert isinstance(read.observations.base, np.memmap)
    for column in ("observations", "actions", "rewards", "terminated", "starts"):
        np.testing.assert_array_equal(getattr(read, column), getattr(data, column))


def test_rewards_that_were_clipped_are_known_to_be_when_they_come_back() -> None:
    data = load(Request("toy-medium", "collected", steps=50))
    export.to_minari(replace(data, spec=replace(data.spec, clipped_rewards=True)), "clipped/toy-v0")
    assert load(Request("clipped/toy-v0")).spec.clipped_rewards
    export.to_minari(data, "whole/toy-v0")
    assert not load(Request("whole/toy-v0")).spec.clipped_rewards


def test_minari_itself_loads_what_we_write(real: Path) -> None:
    package = pytest.importorskip("minari", reason="needs minari: pip install -r requirements-extra.txt")
    data = load(Request("hopper-medium", path=real / "hopper_medium-v2.hdf5"))
    export.to_minari(data, "ours/hopper-v0")
    theirs = package.load_dataset("ours/hopper-v0")
    assert (theirs.total_episodes, theirs.total_steps) == (data.episodes, len(data))
    assert theirs.env_spec.id == "Hopper-v4"
    episode = theirs[0]
    np.testing.assert_array_equal(episode.observations[:-1], data.observations[: data.starts[1]])
    np.testing.assert_array_equal(episode.rewards, data.rewards[: data.starts[1]])
    assert bool(episode.terminations[-1]) == bool(data.terminated[data.starts[1] - 1])
    assert package.get_normalized_score(theirs, np.array([3234.3])) == pytest.approx(1)
    assert "ours/hopper-v0" in package.list_local_datasets()


def test_actions_of_other_bounds_are_scaled_on_export_and_on_reading(tmp_path: Path) -> None:
    data = walk([5, 4], spec=Spec("Pendulum-v1", (3,), (1,), max_episode_steps=200))
    columns = table(data) | {"actions": 2 * data.actions}
    own = load(Request("mine@Pendulum-v1", path=write_d4rl(tmp_path / "mine.hdf5", columns)))
    np.testing.assert_allclose(own.actions, data.actions, atol=1e-6)
    folder = export.to_minari(own, "ours/pendulum-v0")
    with h5py.File(folder / "data" / "main_data.hdf5") as file:
        np.testing.assert_allclose(file["episode_0/actions"], columns["actions"][:5], atol=1e-6)
    np.testing.assert_allclose(load(Request("ours/pendulum")).actions, own.actions, atol=1e-6)


def toy() -> Trajectories:
    return load(Request("toy-medium", "collected", steps=100))


def damaged(root: Path, how: str) -> Path:
    folder = export.to_minari(toy(), "ours/toy-v0")
    file = folder / "data" / "main_data.hdf5"
    if how == "truncated":
        os.truncate(file, file.stat().st_size // 2)
    elif how == "no file":
        file.unlink()
    elif how == "metadata":
        minari_folders.metadata_file(folder).write_text("{")
    elif how == "no metadata":
        minari_folders.metadata_file(folder).unlink()
    elif how == "no environment":
        metadata = json.loads(minari_folders.metadata_file(folder).read_text())
        minari_folders.metadata_file(folder).write_text(json.dumps({**metadata, "environment": None}))
    else:
        with h5py.File(file, "a") as opened:
            group = opened["episode_1"]
            if how == "missing":
                del group["actions"]
            elif how == "shorter":
                group["rewards"].resize((3,))
            elif how == "nan":
                group["observations"][2, 1] = np.nan
            elif how == "gone":
                del opened["episode_4"]
            elif how == "wider":
                del group["observations"]
                group["observations"] = np.zeros((21, 5), np.float32)
    return folder


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("truncated", "truncated or damaged"),
        ("no file", "it has no data/main_data.hdf5"),
        ("metadata", "metadata.json is truncated or damaged"),
        ("no metadata", "has no data/metadata.json, like those that minari wrote before 0.5, .*: add --task"),
        ("no environment", "does not say which environment it was recorded in: add --task"),
        ("missing", "truncated or damaged.*actions"),
        ("shorter", "episode 1.*different lengths"),
        ("nan", "observations holds nan at step 22, column 1"),
        ("gone", "truncated or damaged.*episode_4"),
        ("wider", "do not fit each other|have the shape"),
    ],
)
def test_a_bad_data_set_is_refused_in_one_sentence(root: Path, how: str, sentence: str) -> None:
    folder = damaged(root, how)
    with pytest.raises(DatasetError, match=sentence) as error:
        load(Request("toy-medium", path=folder))
    assert str(error.value).endswith(".")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["total_steps", "total_episodes"])
@pytest.mark.parametrize("total", ["many", -1, 1.5, math.inf])
def test_metadata_that_do_not_count_steps_and_episodes_are_refused(root: Path, name: str, total: object) -> None:
    folder = export.to_minari(toy(), "ours/toy-v0")
    file = minari_folders.metadata_file(folder)
    content = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps(content | {name: total}), encoding="utf-8")
    with pytest.raises(DatasetError, match=rf"metadata.json: its {name} is .* and not a count"):
        load(Request("toy-medium", path=folder))


def test_a_folder_of_another_environment_is_refused(root: Path) -> None:
    folder = export.to_minari(toy(), "ours/toy-v0")
    with pytest.raises(UserError, match=r"recorded in toy, not in hopper: add --task 'toy'"):
        load(Request("hopper-medium", path=folder))
    assert load(Request("mine@toy", path=folder)).origin.name == "mine@toy"


def test_no_module_is_imported_because_a_file_names_it(root: Path) -> None:
    folder = export.to_minari(toy(), "ours/toy-v0")
    metadata = json.loads(minari_folders.metadata_file(folder).read_text())
    metadata |= {"environment": None, "env_spec": json.dumps({"id": "antigravity:Fly-v0", "kwargs": {}})}
    minari_folders.metadata_file(folder).write_text(json.dumps(metadata))
    with pytest.raises(
        DatasetError, match="antigravity:Fly-v0, and nothing is imported because a file names it: add --task"
    ):
        load(Request("ours/toy-v0"))


def test_an_id_needs_a_version_and_is_never_overwritten() -> None:
    with pytest.raises(UserError, match="call it ours/toy-v0"):
        export.to_minari(toy(), "ours/toy")
    export.to_minari(toy(), "ours/toy-v0")
    with pytest.raises(UserError, match="is there already"):
        export.to_minari(toy(), "ours/toy-v0")


def test_large_images_that_were_stored_as_jpegs_are_decoded() -> None:
    picture = np.full((40, 40, 3), 200, np.uint8)
    picture[:20] = 30
    stored = io.BytesIO()
    Image.fromarray(picture).save(stored, format="JPEG")
    space = {"type": "Box", "dtype": "uint8", "shape": [40, 40, 3], "low": 0, "high": 255}
    alike = np.tile(np.frombuffer(stored.getvalue(), np.uint8), (3, 1))  # as h5py gives them, if equally long
    for values in (alike, [stored.getvalue()] * 3, np.tile(picture, (3, 1, 1, 1))):
        rows = layout(space).rows(values)
        assert rows.shape == (3, 40, 40, 3)
        assert rows.dtype == np.uint8
        np.testing.assert_allclose(rows[2].astype(int), picture, atol=5)


def test_observations_without_a_fixed_size_are_refused() -> None:
    with pytest.raises(DatasetError, match="hold Sequence, which has no fixed size: flatten"):
        layout({"type": "Sequence"})
