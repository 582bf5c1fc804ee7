"""A battery over the families of tasks: the same episode from the same seed, a file to Minari and back."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from environments.make import make
from sources import export
from sources.inventory import sources_of
from sources.loading import load
from trajectories import minari_folders
from trajectories.catalog import dataset, environment
from trajectories.rows import dataset_rows
from trajectories.types import Trajectories

NEEDS = {"babyai": "minigrid", "minigrid": "minigrid", "metaworld": "metaworld", "ogbench": "ogbench"}
NEEDS |= dict.fromkeys(("adroit", "fetch", "kitchen"), "gymnasium_robotics")
QUICK = {  # a task of each family with a short file, or one of which none is recorded here; Atari: test_dqn_replay.py
    **{"adroit": "pen-human", "antmaze": "antmaze-umaze", "babyai": "babyai-go-to-local"},
    **{"dm_control": "dmc-cartpole-balance", "dm_manipulation": "manipulation-reach-site", "fetch": "fetch-push"},
    **{"kitchen": "kitchen-mixed", "maze2d": "maze2d-umaze", "metaworld": "metaworld-plate-slide"},
    **{"minigrid": "minigrid-fourrooms", "modular": "modular-walker-no-left-foot", "mujoco": "hopper-medium"},
    **{"ogbench": "ogbench-cube-double", "procgen": "procgen-maze-easy", "sokoban": "sokoban-7x7", "toy": "toy-medium"},
}


@pytest.fixture(autouse=True)
def one_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Demonstrations are played by this process: others would import everything again."""
    monkeypatch.setattr("sources.processes.processors", lambda: 1)


def needs(family: str) -> None:
    if family in NEEDS and not find_spec(NEEDS[family]):
        pytest.skip(f"needs {NEEDS[family]}: pip install -r requirements-extra.txt")


def test_every_family_of_the_catalog_has_a_task_here() -> None:
    assert {dataset(name).environment.family: name for name in QUICK.values()} == QUICK
    assert {*QUICK, "atari"} == {row.environment.family for row in dataset_rows().values()}


# ---- environments ---------------------------------------------------------------------------------------------------


def observed(copies: Any, copy: int, steps: int = 15) -> np.ndarray:
    """Observations of one copy, which has begun, under fixed actions; the others stand still."""
    live, chance, spec = np.arange(copies.count) == copy, np.random.default_rng(0), copies.spec
    found = []
    for _ in range(steps):
        action = chance.integers(spec.actions) if spec.discrete else chance.uniform(-1, 1, spec.action_shape)
        found.append(copies.step(np.stack([action] * copies.count), live).observations[copy])
    return np.array(found)


# The toy's start is the same for all seeds; Procgen's package is in no list of the tests: test_procgen.py
@pytest.mark.parametrize("family", sorted(set(QUICK) - {"toy", "procgen"}))
def test_a_seeds_episode_is_the_same_in_any_copy_and_after_others(family: str) -> None:
    needs(family)
    copies = make(dataset(QUICK[family]).env, 2)
    begun = copies.reset([5, 6])
    assert begun.shape == (2, *copies.spec.observation_shape)
    assert begun.dtype == copies.spec.observation_dtype
    first, other = observed(copies, 0), observed(copies, 1)
    assert not np.array_equal(first, other)
    again = copies.reset([6, 5])  # the copies have moved, and share what can be shared
    np.testing.assert_array_equal(again, begun[::-1])
    np.testing.assert_array_equal(observed(copies, 1), first)
    np.testing.assert_array_equal(observed(copies, 0), other)
    copies.close()


# ---- files ----------------------------------------------------------------------------------------------------------


def small(name: str, folder: Path) -> Trajectories:
    """A few episodes that were recorded here; else by chance, in D4RL's columns."""
    if "collected" in sources_of(dataset(name)):
        needs(dataset(name).environment.family)
        data = load(name, source="collected", steps=60, data_dir=folder)
        assert data.origin.details.get("metadata", {}).get("success_rate", 1) == 1
        return data
    row, chance = environment(dataset(name).env), np.random.default_rng(0)
    shape = (30, *row.observation_shape)
    pictures = row.observation_dtype == "uint8"
    actions = chance.integers(row.actions, size=30) if row.actions else chance.uniform(-1, 1, (30, *row.action_shape))
    columns = {
        "observations": chance.integers(256, size=shape, dtype=np.uint8) if pictures else chance.normal(size=shape),
        "actions": actions,
        "rewards": chance.normal(size=30),
        "terminals": np.arange(30) % 10 == 4,
        "timeouts": np.arange(30) % 10 == 9,
    }
    np.savez(folder / "own.npz", **columns)
    return load(name, path=folder / "own.npz", data_dir=folder)


@pytest.mark.parametrize("family", QUICK)
def test_a_file_goes_to_minari_and_back_unchanged(family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = small(QUICK[family], tmp_path)
    assert data.episodes > 1 or data.lengths[0] >= 60
    export.to_minari(data, "ours/task-v0", tmp_path / "minari")
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path / "minari"))
    back = load("ours/task-v0", data_dir=tmp_path)
    assert back.spec == data.spec
    for column in ("observations", "actions", "rewards", "terminated", "starts", "finished", "returns_to_go"):
        np.testing.assert_array_equal(getattr(back, column), getattr(data, column), err_msg=column)
    assert back.origin.digest == data.origin.digest
