"""Every real D4RL file is read, every damaged one is refused in a sentence, and a hostile pickle runs nothing."""

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from tests.recordings import SPEC, made_up, table, write_d4rl
from trajectories.errors import DatasetError
from trajectories.formats import d4rl, own_files
from trajectories.types import Spec, Trajectories

# What lies in ../shared/data/d4rl: observation and action width, episode lengths, zero columns, return of episode 0.
REAL = {
    "hopper_medium-v2": (11, 3, (470, 441), 0, 1465.18),
    "walker2d_medium-v2": (17, 6, (1000, 1000), 0, 3499.50),
    "halfcheetah_medium-v2": (17, 6, (1000, 1000), 0, 4669.48),
    "hopper_medium": (11, 3, (211, 313), 0, 752.49),
    "hopper_medium_replay-v1": (11, 3, (40, 9), 0, 42.04),
    "walker2d_medium_replay-v1": (17, 6, (10, 21), 0, -1.07),
    "hopper_random-v1": (11, 3, (31, 19), 0, 39.16),
    "ant_random-v1": (27, 8, (59, 307), 84, -34.44),
    "pen-human-v1": (45, 24, (200, 200), 0, 377.18),
    "pen-expert-v1": (45, 24, (100, 100), 0, 46.25),
    "antmaze-umaze-v0": (29, 8, (701, 701), 0, 0.0),
}


@pytest.mark.parametrize("name", REAL)
def test_every_real_d4rl_file_loads(real: Path, name: str) -> None:
    observation, action, lengths, zeros, first_return = REAL[name]
    path = real / f"{name}.hdf5"
    data = own_files.read(path, Spec(name, (observation,), (action,), 1000), name, trailing_zeros=zeros)
    assert tuple(data.lengths) == lengths
    assert data.returns[0] == pytest.approx(first_return, abs=0.01)
    assert data.finished.all()
    dtypes = [column.dtype for column in (data.observations, data.actions, data.rewards, data.returns_to_go)]
    assert dtypes == [np.float32] * 4
    assert data.terminated.dtype == bool
    assert data.rewards.shape == (len(data),)
    with h5py.File(path) as file:
        raw = np.asarray(file["observations"])
        terminals = np.asarray(file["terminals"])
    np.testing.assert_array_equal(data.observations, raw[:, :observation].astype(np.float32))
    np.testing.assert_array_equal(data.terminated, terminals.astype(bool))


def test_every_file_in_the_folder_is_covered(real: Path) -> None:
    assert {path.stem for path in real.glob("*.hdf5")} >= set(REAL)


def test_only_files_with_a_policy_have_its_digest(real: Path) -> None:
    digests = {name: d4rl.policy_digest(real / f"{name}.hdf5") for name in REAL}
    carriers = {"hopper_medium-v2", "walker2d_medium-v2", "halfcheetah_medium-v2", "pen-expert-v1"}
    assert {name for name, digest in digests.items() if digest} == carriers
    assert len({digests[name] for name in carriers}) == 4


def read(path: Path) -> Trajectories:
    return own_files.read(path, SPEC, "made-up")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_equal_data_are_read_from_every_layout(tmp_path: Path, dtype: str) -> None:
    data = made_up([4, 50, 3])
    columns = {name: values.astype(dtype) for name, values in table(data).items()}
    columns["rewards"] = columns["rewards"][:, None]
    columns["terminals"] = columns["terminals"][:, None]
    found = read(write_d4rl(tmp_path / "a.hdf5", columns))
    for name in ("observations", "actions", "rewards", "terminated", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))
    np.testing.assert_allclose(found.returns_to_go, data.returns_to_go, rtol=1e-5, atol=1e-5)


def test_a_timeout_ends_an_episode_and_is_no_termination(tmp_path: Path) -> None:
    columns = table(made_up([10]))
    columns["terminals"] = np.zeros(10, bool)
    columns["timeouts"] = np.isin(np.arange(10), [3, 9])
    data = read(write_d4rl(tmp_path / "a.hdf5", columns))
    assert data.starts.tolist() == [0, 4, 10]
    assert not data.terminated.any()


def test_an_unfinished_last_episode_is_kept_and_counted(tmp_path: Path) -> None:
    columns = table(made_up([6, 5]))
    columns["terminals"][-1] = False
    data = read(write_d4rl(tmp_path / "a.hdf5", columns))
    assert data.starts.tolist() == [0, 6, 11]
    assert data.unfinished_steps == 5


def without(name: str) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda columns: columns.__delitem__(name) if name in columns else None


def put(name: str, place: Any, value: float) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda columns: columns[name].__setitem__(place, value)


def replaced(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[dict[str, np.ndarray]], None]:
    return lambda columns: columns.__setitem__(name, change(columns[name]))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("actions"), "holds observations .*and no actions: give observations"),
        (replaced("rewards", lambda values: values[:-1]), "different lengths .*rewards has 9"),
        (put("observations", (7, 2), np.nan), "observations holds nan at step 7, column 2"),
        (put("actions", (3, 1), np.inf), "actions holds inf at step 3, column 1"),
        (put("rewards", 5, -np.inf), "rewards holds -inf at step 5 "),
        (replaced("observations", lambda values: values[:, :2]), "observations have the shape 2.*environment's have 3"),
        (replaced("actions", lambda values: values[:, :1]), "actions have the shape 1"),
        (replaced("rewards", lambda values: values.astype(np.float64) * 1e300), "rewards holds .*e\\+"),
        (replaced("terminals", lambda values: values + 0.5), "terminals holds 0.5 at step 0"),
        (replaced("observations", lambda values: values.astype("S4")), "observations holds .*S4 where numbers belong"),
    ],
)
def test_a_damaged_column_is_named_with_its_place(
    tmp_path: Path, damage: Callable[[dict[str, np.ndarray]], None], message: str
) -> None:
    columns = {name: values.copy() for name, values in table(made_up([10])).items()}
    damage(columns)
    path = write_d4rl(tmp_path / "bad.hdf5", columns)
    with pytest.raises(DatasetError, match=f"bad.hdf5.*{message}") as caught:
        read(path)
    assert "\n" not in str(caught.value)


def test_an_empty_table_is_refused(tmp_path: Path) -> None:
    columns = {name: values[:0] for name, values in table(made_up([10])).items()}
    with pytest.raises(DatasetError, match="holds no steps"):
        read(write_d4rl(tmp_path / "a.hdf5", columns))


def test_a_missing_truncated_or_foreign_file_is_named(tmp_path: Path) -> None:
    whole = write_d4rl(tmp_path / "whole.hdf5", table(made_up([40])))
    (tmp_path / "half.hdf5").write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    (tmp_path / "text.hdf5").write_text("Not HDF5.")
    for name, message in (
        ("absent.hdf5", "There is no file"),
        ("half.hdf5", "is truncated or damaged"),
        ("text.hdf5", "is not an HDF5 file"),
        ("", "is a folder"),
    ):
        with pytest.raises(DatasetError, match=message) as caught:
            read(tmp_path / name)
        assert "\n" not in str(caught.value)


def test_trailing_zeros_are_left_out_only_if_they_are_zeros(tmp_path: Path) -> None:
    columns = table(made_up([5]))
    columns["observations"] = np.hstack([columns["observations"], np.zeros((5, 2), np.float32)])
    path = write_d4rl(tmp_path / "a.hdf5", columns)
    assert own_files.read(path, SPEC, "made-up", trailing_zeros=2).observations.shape == (5, 3)
    with pytest.raises(DatasetError, match="have the shape 5"):
        read(path)
    columns["observations"][4, 4] = 1e-9
    write_d4rl(path, columns)
    with pytest.raises(DatasetError, match="are not zero"):
        own_files.read(path, SPEC, "made-up", trailing_zeros=2)


def test_the_format_follows_from_the_files_name(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a\.csv: its name has no known ending.*ends in \.hdf5, .*\.parquet"):
        own_files.read(tmp_path / "a.csv", SPEC, "made-up")


def episodes_of(data: Trajectories) -> list[dict[str, np.ndarray]]:
    """As kzl's script writes them."""
    columns = table(data) | {"next_observations": data.observations}
    columns.pop("timeouts")
    bounds = zip(data.starts[:-1], data.starts[1:], strict=True)
    return [{name: values[start:end] for name, values in columns.items()} for start, end in bounds]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("numpy_1", [False, True])
def test_trajectory_pickles_of_every_protocol_and_numpy_are_read(tmp_path: Path, protocol: int, numpy_1: bool) -> None:
    data = made_up([4, 9])
    content = pickle.dumps(episodes_of(data), protocol)
    if numpy_1:  # the module's name as numpy 1 wrote it, one letter shorter
        content = content.replace(b"cnumpy._core.", b"cnumpy.core.").replace(b"\x16numpy._core.", b"\x15numpy.core.")
        content = content.replace(b"\x13numpy._core.", b"\x12numpy.core.")
        if protocol >= 4:
            content = without_its_frame(content)
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    found = own_files.read(path, SPEC, "made-up")
    for name in ("observations", "actions", "rewards", "terminated", "starts"):
        np.testing.assert_array_equal(getattr(found, name), getattr(data, name))


@pytest.mark.parametrize("protocol", [2, 5])
def test_arrays_stored_column_by_column_or_backwards_are_read_as_they_were_meant(tmp_path: Path, protocol: int) -> None:
    data = made_up([4, 9])
    episodes = episodes_of(data)
    for episode in episodes:
        episode["observations"] = np.asfortranarray(episode["observations"])
        episode["actions"] = episode["actions"].astype(">f8")
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(episodes, protocol))
    found = own_files.read(path, SPEC, "made-up")
    np.testing.assert_array_equal(found.observations, data.observations)
    np.testing.assert_array_equal(found.actions, data.actions)


def without_its_frame(content: bytes) -> bytes:
    """The frame (opcode 0x95 and 8 bytes) states a length, which the renaming has changed."""
    start = content.index(b"\x95")
    return content[:start] + content[start + 9 :]


class Hostile:
    """Unpickled by pickle.load, this would leave a file behind."""

    def __init__(self, call: Callable[..., Any], *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self.call, self.arguments


@pytest.mark.parametrize("protocol", range(6))
def test_a_hostile_pickle_is_refused_and_runs_nothing(tmp_path: Path, protocol: int) -> None:
    mark = tmp_path / "mark"
    for hostile in (
        Hostile(Path.touch, mark),
        Hostile(exec, f"open({str(mark)!r}, 'w')"),
        Hostile(np.save, str(mark), np.zeros(1)),
        np.array([Hostile(exec, f"open({str(mark)!r}, 'w')")], dtype=object),
    ):
        path = tmp_path / "hostile.pkl"
        path.write_bytes(pickle.dumps([{"observations": hostile}], protocol))
        with pytest.raises(DatasetError, match=r"hostile.pkl wants .*only numpy arrays and plain containers") as caught:
            own_files.read(path, SPEC, "made-up")
        assert "\n" not in str(caught.value)
    assert not list(tmp_path.glob("mark*"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps([{"observations": np.zeros((3, 3))}])[:-20], "is truncated or damaged"),
        (b"", "is truncated or damaged"),
        (
            pickle.dumps({"observations": 1}),
            "holds observations int, and no actions: give observations, actions, rewards",
        ),
        (pickle.dumps([]), "holds a list of 0, and no actions"),
        (
            pickle.dumps([{"observations": np.zeros((3, 3))}]),
            r"holds a list of 1, the first with observations \(3, 3\), and no actions",
        ),
        (pickle.dumps([{"observations": np.zeros(2, "f4,i4")}]), "wants .*only numpy arrays"),
    ],
)
def test_a_damaged_pickle_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.pkl"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=f"a.pkl.*{message}"):
        own_files.read(path, SPEC, "made-up")


def test_a_short_column_in_a_pickle_is_found(tmp_path: Path) -> None:
    episodes = episodes_of(made_up([4, 9]))
    episodes[1]["rewards"] = episodes[1]["rewards"][:-1]
    path = tmp_path / "a.pkl"
    path.write_bytes(pickle.dumps(episodes))
    with pytest.raises(DatasetError, match="episode 1: its columns have different lengths"):
        own_files.read(path, SPEC, "made-up")
