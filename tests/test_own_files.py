"""Files with the usual names of columns are read, with a note; the message about others lists what they hold."""

import pickle
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from sources.loading import Request, describe, load
from tests.recordings import SPEC, made_up, table
from tests.skips import recorded
from trajectories.errors import DatasetError
from trajectories.formats import own_files
from trajectories.types import Spec, Trajectories

LENGTHS = [50, 30, 20]
DISCRETE = replace(SPEC, action_shape=(), actions=4)
Columns = dict[str, Any]


def steps(spec: Spec = SPEC) -> Columns:
    """Three episodes in one table: the first ends at the time limit, the others by themselves."""
    columns = table(made_up(LENGTHS))
    columns["timeouts"] = np.arange(100) == 49
    columns["terminals"] = np.isin(np.arange(100), [79, 99])
    if spec.actions:
        columns["actions"] = np.arange(100) % spec.actions
    return columns


def episodes(columns: Columns | None = None) -> list[Columns]:
    """One table an episode."""
    columns, bounds = columns or steps(), np.cumsum([0, *LENGTHS])
    return [{key: values[a:b] for key, values in columns.items()} for a, b in pairwise(bounds)]


def renamed(columns: Columns, **names: str) -> Columns:
    return {names.get(key, key): values for key, values in columns.items()}


def followed(one: Columns) -> Columns:
    """With the observation that follows the last step."""
    return one | {"observations": np.concatenate([one["observations"], one["observations"][-1:]])}


def write(path: Path, content: Any) -> Path:
    if path.suffix == ".pkl":
        path.write_bytes(pickle.dumps(content))
    elif path.suffix == ".npz":
        np.savez_compressed(path, **content)
    else:
        with h5py.File(path, "w") as file:
            _fill(file, content)
    return path


def _fill(group: Any, content: Columns) -> None:
    for key, values in content.items():
        if isinstance(values, dict):
            _fill(group.create_group(key), values)
        else:
            group[key] = values


def read(path: Path, spec: Spec = SPEC) -> Trajectories:
    return own_files.read(path, spec, "made-up")


def same(data: Trajectories, columns: Columns) -> None:
    for name in ("observations", "actions", "rewards"):
        np.testing.assert_array_equal(getattr(data, name), columns[name])
    np.testing.assert_array_equal(data.terminated, columns["terminals"])
    assert data.lengths.tolist() == LENGTHS


WRITTEN: dict[str, tuple[str, Callable[[], Any], str]] = {  # how: file, its content, the note
    "singular": (
        "a.npz",
        lambda: renamed(steps(), observations="observation", actions="action", rewards="reward", terminals="terminal"),
        "observation as observations; action as actions; reward as rewards; terminal as terminals",
    ),
    "gymnasium's": (
        "a.hdf5",
        lambda: renamed(steps(), observations="obs", terminals="terminations", timeouts="truncations"),
        "obs as observations; terminations as terminals; truncations as timeouts",
    ),
    "in capitals": ("a.npz", lambda: {key.title(): values for key, values in steps().items()}, "Observations as obs"),
    "a dict of columns": ("a.pkl", steps, ""),
    "an OrderedDict of lists": ("a.pkl", lambda: OrderedDict((k, v.tolist()) for k, v in steps().items()), ""),
    "a defaultdict": ("a.pkl", lambda: defaultdict(list, steps()), ""),
    "a deque of episodes": ("a.pkl", lambda: deque(episodes(), maxlen=9), ""),
    "a tuple of episodes": ("a.pkl", lambda: tuple(episodes()), ""),
    "a column of lists": ("a.pkl", lambda: {key: [one[key] for one in episodes()] for key in steps()}, ""),
    "groups of episodes": (
        "a.hdf5",
        lambda: {f"demo_{number}": one for number, one in zip((2, 10, 11), episodes(), strict=True)},
        "",
    ),
    "groups within one": (
        "a.hdf5",
        lambda: {"data": dict(zip("abc", episodes(), strict=True)), "mask": {"train": np.arange(3)}},
        "",
    ),
    "an observation more": (
        "a.pkl",
        lambda: [followed(one) for one in episodes()],
        "the observation behind the last step of 3 episodes left out",
    ),
    "an observation more, in one table": (
        "a.npz",
        lambda: {
            **steps(),
            "observations": np.concatenate([followed(one)["observations"] for one in episodes()]),
        },
        "the observation behind the last step of 3 episodes left out",
    ),
    "numbered episodes": (
        "a.npz",
        lambda: {**steps(), "episode_index": np.repeat([7, 3, 9], LENGTHS)},
        "episode_index as episode",
    ),
    "dones": (
        "a.npz",
        lambda: {
            **{key: steps()[key] for key in ("observations", "actions", "rewards")},
            "dones": steps()["terminals"] | steps()["timeouts"],
        },
        "dones as terminals, but for 1 at the time limit of 50 steps",
    ),
    "dones beside timeouts": (
        "a.npz",
        lambda: {**renamed(steps(), terminals="dones"), "dones": steps()["terminals"] | steps()["timeouts"]},
        "",
    ),
    "dones beside terminals": (
        "a.npz",
        lambda: {**renamed(steps(), timeouts="done"), "done": steps()["terminals"] | steps()["timeouts"]},
        "",
    ),
    "an observation of parts": (
        "a.hdf5",
        lambda: {**steps(), "observations": {"b": steps()["observations"][:, 1:], "a": steps()["observations"][:, 0]}},
        "",
    ),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_file_is_read_however_it_is_written(tmp_path: Path, how: str) -> None:
    name, content, message = WRITTEN[how]
    data = read(write(tmp_path / name, content()))
    same(data, steps())
    assert message in "; ".join(data.origin.details.get("read_as", []))
    assert bool(message) == ("read_as" in data.origin.details) or how.startswith("dones")
    assert data.finished.all()


def test_equally_long_episodes_are_read_and_what_was_never_filled_is_left_out(tmp_path: Path) -> None:
    columns = {key: np.zeros((3, 50, *values.shape[1:]), values.dtype) for key, values in steps().items()}
    for row, one in enumerate(episodes()):
        for key, values in one.items():
            columns[key][row, : len(values)] = values
    data = read(write(tmp_path / "a.npz", columns))
    same(data, steps())
    assert data.origin.details["read_as"] == ["3 episodes of 50 steps"]
    columns["observations"] = np.concatenate([columns["observations"], np.zeros((3, 1, 3))], axis=1)
    same(read(write(tmp_path / "b.npz", columns)), steps())


def test_several_episodes_in_a_row_of_equally_long_ones_are_divided(tmp_path: Path) -> None:
    columns = {key: values.reshape(2, 50, *values.shape[1:]) for key, values in steps().items()}
    same(read(write(tmp_path / "a.npz", columns)), steps())


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.eye(4)[steps(DISCRETE)["actions"]], "actions as one-hot"),
        (steps(DISCRETE)["actions"] + 1, "actions as counted from 1 to 4"),
        (steps(DISCRETE)["actions"][:, None].astype(float), None),
    ],
)
def test_discrete_actions_are_read_however_they_are_counted(tmp_path: Path, actions: Any, message: str | None) -> None:
    data = read(write(tmp_path / "a.npz", {**steps(), "actions": actions}), DISCRETE)
    same(data, steps(DISCRETE))
    assert data.origin.details.get("read_as") == (message and [message])


@pytest.mark.parametrize("shape", [(100,), (100, 1)])
def test_a_single_number_may_stand_in_a_row_of_its_own(tmp_path: Path, shape: tuple[int, ...]) -> None:
    spec = replace(SPEC, observation_shape=(1,), action_shape=(1,))
    columns = {**steps(), **{key: steps()[key][:, 0].reshape(shape) for key in ("observations", "actions")}}
    data = read(write(tmp_path / "a.npz", columns), spec)
    assert (data.observations.shape, data.actions.shape) == ((100, 1), (100, 1))


def test_demonstrations_without_terminals_never_terminate_with_a_note(tmp_path: Path) -> None:
    columns = {key: steps()[key] for key in ("observations", "actions", "rewards")}
    data = read(write(tmp_path / "a.pkl", episodes(columns)))
    assert not data.terminated.any()
    assert data.lengths.tolist() == LENGTHS
    assert data.origin.details["read_as"] == ["no terminals: none of the episodes terminates"]
    with pytest.raises(DatasetError, match="does not say where episodes end: add terminals, timeouts or dones, or"):
        read(write(tmp_path / "b.npz", columns))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npz", {"x": np.zeros((9, 3)), "y": np.zeros(9)}, r"holds x \(9, 3\), y \(9,\), and no actions: give obs"),
        ("a.npz", renamed(steps(), rewards="r"), r"holds .*r \(100,\), .* and no rewards: give observations, actions"),
        ("a.pkl", [1, 2, 3], "holds a list of 3, and no actions"),
        ("a.pkl", [{"a": np.zeros((4, 2))}], r"holds a list of 1, the first with a \(4, 2\), and no actions"),
        (
            "a.pkl",
            [*episodes(), {"actions": np.zeros((4, 2))}],
            r"episode 3 holds actions \(4, 2\), and no obs.*and no",
        ),
        ("a.hdf5", {"a": {"b": {"c": np.zeros(3)}}}, r"holds a \(a table of 1\), and no actions"),
        ("a.npz", {**steps(), "observations": np.zeros((77, 3))}, "observations has 77, actions has 100"),
        ("a.npz", {**steps(), "rewards": np.zeros((100, 2))}, "rewards are .100, 2., but terminals .100,.*alike"),
        ("a.pkl", {**steps(), "actions": "left"}, "actions is no array: write an array with a row for each step"),
    ],
)
def test_what_cannot_be_read_is_answered_with_what_it_holds_and_what_is_expected(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    with pytest.raises(DatasetError, match=message) as caught:
        read(write(tmp_path / name, content))
    assert str(tmp_path / name) in str(caught.value)


def test_demonstrations_of_adroits_authors_are_read() -> None:
    data = load(Request("door-human", path=recorded("more/door-v0_demos.pickle")))
    assert (data.episodes, len(data), round(float(data.returns.mean()))) == (25, 6729, 794)
    assert "Read as: no terminals: none of the episodes terminates." in describe(data)


def test_the_imitation_librarys_rollouts_are_read() -> None:
    data = load(Request("mine@CartPole-v1", path=recorded("more/imitation_cartpole_0.npz")))
    assert (data.episodes, len(data)) == (57, 26964)
    assert set(data.returns) == set(data.lengths)
    assert "indices as ends" in describe(data)
    assert "the observation behind the last step of 57 episodes left out" in describe(data)


def test_lerobots_columns_are_read() -> None:
    pytest.importorskip("pyarrow")
    spec = Spec("pusht", (2,), (2,), 300)
    data = own_files.read(recorded("more/lerobot_pusht.arrow"), spec, "pusht")
    assert (data.episodes, len(data), bool(data.terminated[-1])) == (1, 161, True)
    assert "observation.state as observations" in data.origin.details["read_as"]
    with pytest.raises(DatasetError, match="observations have the shape 2, but the environment's have 3"):
        own_files.read(recorded("more/lerobot_pusht.arrow"), replace(spec, observation_shape=(3,)), "pusht")
