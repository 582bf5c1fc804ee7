"""Minari's metadata and tables that hold anything: each is refused in one sentence that names its file."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sources import export
from sources.loading import Request, load
from tests.test_hostile_files import refusal
from trajectories import minari_folders
from trajectories.spaces import layout

BOX = {"type": "Box", "dtype": "float32", "shape": [2]}
NO_SPACES: dict[str, Any] = {
    "a list": [],
    "a number": 3,
    "without a type": {"shape": [2]},
    "a Box without a shape": {"type": "Box", "dtype": "float32"},
    "a Box of an unknown dtype": {**BOX, "dtype": "x"},
    "a Box whose shape is a number": {**BOX, "shape": 2},
    "a Dict without parts": {"type": "Dict"},
    "a Dict whose part has no type": {"type": "Dict", "subspaces": {"a": {}}},
    "a Tuple of a number": {"type": "Tuple", "subspaces": 3},
    "more bits than there is memory": {"type": "MultiBinary", "n": 10**30},
}


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Minari's folder, empty."""
    monkeypatch.setenv(minari_folders.VARIABLE, str(tmp_path / "minari"))
    return tmp_path / "minari"


def edited(**changes: Any) -> Path:
    """A data set of ours, with metadata that say something else."""
    folder = export.to_minari(load(Request("toy-medium", "collected", steps=100)), "ours/toy-v0")
    file = minari_folders.metadata_file(folder)
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))
    return folder


@pytest.mark.parametrize("name", NO_SPACES)
def test_an_observation_space_that_is_none_is_named(name: str) -> None:
    folder = edited(observation_space=json.dumps(NO_SPACES[name]))
    sentence = refusal(lambda: load(Request("ours/toy-v0")))
    assert sentence.startswith(
        f"{minari_folders.metadata_file(folder)} is truncated or damaged (its observation_space is none"
    )
    assert sentence.endswith("get a whole copy of it.")


@pytest.mark.parametrize(
    "space", [[], 3, {"n": 3}, {"type": "Discrete"}, {"type": "Discrete", "n": "x"}, {"type": "Box"}]
)
def test_an_action_space_that_is_none_is_named(space: Any) -> None:
    edited(action_space=json.dumps(space))
    assert "its action_space is none" in refusal(lambda: load(Request("ours/toy-v0")))


@pytest.mark.parametrize("spec", ["[]", "3", '"x"', "{}", '{"id": 3}', '{"id": "Pendulum-v1", "kwargs": 3}'])
def test_a_description_of_an_environment_that_is_none_is_refused(spec: str) -> None:
    edited(environment=None, env_spec=spec)
    refusal(lambda: load(Request("ours/toy-v0")))


@pytest.mark.parametrize("wrappers", [3, [3], [{}], {"name": 3}, [{"name": 3}]])
def test_wrappers_that_are_none_are_refused(wrappers: Any) -> None:
    spec = {"id": "Pendulum-v1", "kwargs": {}, "additional_wrappers": wrappers}
    edited(environment=None, env_spec=json.dumps(spec))
    assert "metadata.json is truncated or damaged (its env_spec is none" in refusal(
        lambda: load(Request("ours/toy-v0"))
    )


@pytest.mark.parametrize("name", ["total_episodes", "total_steps"])
@pytest.mark.parametrize("number", [10**12, 10**30])
def test_a_number_that_the_file_cannot_hold_is_refused_before_it_is_counted(name: str, number: int) -> None:
    edited(**{name: number})
    assert f"{name}, declares" in refusal(lambda: load(Request("ours/toy-v0")))


def test_episodes_that_do_not_fit_are_refused_without_totals_too() -> None:
    folder = edited(total_steps=None)
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        del file["episode_1/observations"]
        file["episode_1/observations"] = np.zeros(21)
    assert "its episodes do not fit each other" in refusal(lambda: load(Request("ours/toy-v0")))


def test_columns_of_another_kind_in_a_later_episode_are_refused() -> None:
    folder = edited()
    with h5py.File(folder / "data" / "main_data.hdf5", "a") as file:
        length = len(file["episode_1/rewards"])
        del file["episode_1/rewards"]
        file["episode_1/rewards"] = np.zeros(length, [("a", "f4"), ("b", "i4")])
    assert "its episodes do not fit each other" in refusal(lambda: load(Request("ours/toy-v0")))


def test_an_arrow_table_without_its_beginning_is_refused() -> None:
    minari_arrow = pytest.importorskip("trajectories.formats.minari_arrow")
    pytest.importorskip("pyarrow", reason="needs pyarrow: pip install -r requirements-extra.txt")
    folder = edited(data_format="arrow", total_episodes=1)
    (folder / "data" / "0").mkdir()
    for content in (b"", b"ARROW1\0\0", b"ARROW1\0\0" + bytes(100)):
        (folder / "data" / "0" / "part-0.arrow").write_bytes(content)
        refusal(lambda: list(minari_arrow.episodes(folder / "data", "arrow", layout(BOX), [0])))
