"""Minari's data sets as other people make them: without an environment, filtered, old, of other spaces."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sources import export
from sources.loading import Request, load
from training.settings import parse
from trajectories import minari_folders
from trajectories.errors import DatasetError, UserError
from trajectories.types import Trajectories


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty."""
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path / "minari"))
    (tmp_path / "minari").mkdir()
    return tmp_path / "minari"


def toy() -> Trajectories:
    return load(Request("toy-medium", "collected", steps=100))


def edited(**changes: Any) -> Path:
    """A data set of ours whose metadata say something else; None: nothing."""
    folder = export.to_minari(toy(), "ours/toy-v0")
    file = minari_folders.metadata_file(folder)
    metadata = json.loads(file.read_text()) | changes
    file.write_text(json.dumps({key: each for key, each in metadata.items() if each is not None}))
    return folder


def test_an_id_without_a_namespace_is_opened_as_it_is_listed(root: Path) -> None:
    export.to_minari(toy(), "flat-v0")
    assert minari_folders.local() == ["flat-v0"]
    for name in ("flat-v0", "flat"):
        assert load(Request(name)).origin.name == "flat-v0"
    with pytest.raises(UserError, match=r"'flat-v1': did you mean flat-v0\?"):
        load(Request("flat-v1"))


def test_a_data_set_without_an_environment_is_opened_with_task(root: Path) -> None:
    edited(environment=None, env_spec=None)
    with pytest.raises(DatasetError, match="does not say which environment it was recorded in: add --task"):
        load(Request("ours/toy-v0"))
    [name] = parse(["--env", "ours/toy", "--task", "toy"]).run.env
    data = load(Request(name))
    assert (data.origin.name, data.spec.name) == ("ours/toy-v0@toy", "toy")
    assert load(Request(data.origin.name)).origin.digest == toy().origin.digest


def test_a_data_set_of_an_environment_that_is_not_here_says_so(root: Path) -> None:
    edited(environment=None, env_spec=json.dumps({"id": "MyRobot-v3", "kwargs": {}}))
    with pytest.raises(UserError, match=r"recorded in MyRobot-v3, which cannot be used here .*: add --task and an env"):
        load(Request("ours/toy-v0"))


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"type": "Dict", "subspaces": {}}, "has Dict actions, and models learn only Box and Discrete ones: flatten"),
        ({"type": "Discrete", "n": 3, "start": -1}, "has discrete actions that count from -1: shift them"),
    ],
)
def test_actions_that_no_model_learns_are_named(root: Path, space: dict[str, Any], message: str) -> None:
    folder = edited(action_space=json.dumps(space))
    with pytest.raises(DatasetError, match=f"{folder} {message}"):
        load(Request("ours/toy-v0"))


def test_metadata_without_totals_and_filtered_episodes_are_read(root: Path) -> None:
    folder = edited(total_steps=None, total_episodes=None)
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        file.move("episode_1", "episode_17")  # and so behind the others
    data = load(Request("ours/toy-v0"))
    assert sorted(data.returns) == sorted(toy().returns)
    assert data.returns[-1] == toy().returns[1]


def test_metadata_with_too_few_steps_count_as_damaged(root: Path) -> None:
    edited(total_steps=55)
    with pytest.raises(DatasetError, match=r"truncated or damaged .*hold more than the 55 steps .*: get a whole copy"):
        load(Request("ours/toy-v0"))


def test_data_sets_of_old_versions_of_minari_are_read_with_task(root: Path) -> None:
    folder = edited()
    minari_folders.metadata_file(folder).unlink()
    for path in (folder, folder / "data" / "main_data.hdf5"):
        data = load(Request("old@toy", path=path))
        np.testing.assert_array_equal(data.observations, toy().observations)
        assert data.lengths.tolist() == toy().lengths.tolist()


def test_the_data_folder_of_a_data_set_may_be_given_itself(root: Path) -> None:
    assert load(Request("mine@toy", path=edited() / "data")).origin.digest == toy().origin.digest
