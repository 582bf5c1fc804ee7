"""Trajectory pickles, as kzl/decision-transformer's users have them -> Trajectories, without running what they say.

Source   gym/data/download_d4rl_datasets.py of github.com/kzl/decision-transformer writes `{env}-{quality}-v2.pkl`;
         copies: huggingface.co/datasets/edbeeching/decision_transformer_gym_replay
Layout   a list of one dict an episode: observations (T, S), actions (T, A), rewards (T,), terminals (T,) (or dones)
Keeps    every step of the file, which lacks D4RL's unfinished last episode
Drops    next_observations

A pickle is a program. This one may build lists, dicts, numbers, strings and numpy arrays, and nothing else: every name
that it asks for is answered by a stand-in of ours or refused. Not even numpy's own unpickling runs on its bytes.
"""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats import columns
from trajectories.types import Origin, Spec, Trajectories

TERMINALS = ("terminals", "dones")


def read(path: Path, spec: Spec, name: str, source: str = "file", zero_columns: int = 0) -> Trajectories:
    """Read one trajectory pickle into memory; arguments, result and errors are those of `d4rl.read`.

    Raises:
        DatasetError: also where the pickle wants anything but numpy arrays and plain containers.
    """
    path = Path(path)
    episodes = _episodes(path)
    terminals = next((key for key in TERMINALS if key in episodes[0]), TERMINALS[0])
    table = {column: _column(episodes, column, path) for column in ("observations", "actions", "rewards", terminals)}
    lengths = {column: [len(part) for part in parts] for column, parts in table.items()}
    for episode, counts in enumerate(zip(*lengths.values(), strict=True)):
        columns.same_length(dict(zip(lengths, counts, strict=True)), f"{path}, episode {episode}")
    joined = {column: _joined(parts, column, path) for column, parts in table.items()}
    starts = np.concatenate([[0], np.cumsum(lengths["rewards"])])
    origin = Origin(name, source, "", {"file": path.name, "unfinished_steps": 0})
    joined["terminals"] = joined.pop(terminals)
    return columns.trajectories(joined, starts, spec, origin, str(path), zero_columns)


def _episodes(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        raise DatasetError(f"There is no file {path}: check --path.")
    try:
        with path.open("rb") as file:
            episodes = _Unpickler(file).load()
    except DatasetError as error:
        raise DatasetError(f"{path} {error}") from None
    except Exception as error:  # a damaged pickle fails in any way it likes; nothing of ours runs in there
        reason = str(error).rstrip(".") or type(error).__name__
        raise DatasetError(f"{path} is no whole trajectory pickle ({reason}): fetch it again.") from error
    if not (isinstance(episodes, list) and episodes and all(isinstance(episode, dict) for episode in episodes)):
        raise DatasetError(f"{path} holds no list of episodes, each a dict of arrays: give a trajectory pickle.")
    return episodes


def _column(episodes: list[dict[str, Any]], column: str, path: Path) -> list[np.ndarray]:
    parts = []
    for number, episode in enumerate(episodes):
        values = episode.get(column)
        if isinstance(values, list):
            values = np.asarray([_plain(value) for value in values])
        values = _plain(values)
        if not isinstance(values, np.ndarray) or values.ndim == 0:
            raise DatasetError(
                f"{path}: episode {number} has no array {column} (it holds {', '.join(map(str, episode))})."
            )
        parts.append(values)
    return parts


def _joined(parts: list[np.ndarray], column: str, path: Path) -> np.ndarray:
    widths = {part.shape[1:] for part in parts}
    if len(widths) > 1:
        raise DatasetError(
            f"{path}: {column} differ in shape between episodes ({', '.join(map(str, sorted(widths)))})."
        )
    return np.concatenate(parts)


def _plain(value: Any) -> Any:
    return value.values if isinstance(value, _Array) else value


def _refuse(wanted: str) -> DatasetError:
    return DatasetError(
        f"wants {wanted}, but only numpy arrays and plain containers are read from a pickle, since anything else could "
        f"run code: convert it to D4RL's HDF5 layout."
    )


class _StandIn:
    """Something that a pickle may name. Nothing can be written into the classes themselves."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise _refuse(f"to change {type(self).__name__}")


class _Type(_StandIn):
    """numpy.dtype: a number's kind, size and byte order."""

    __slots__ = ("dtype",)

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:
        if not (isinstance(code, str) and code[:1] in "fiub" and code[1:].isdigit()):
            raise _refuse(f"an array of {code!r}")
        self.dtype = np.dtype(code)

    def __setstate__(self, state: Any) -> None:
        order, *fields = state[1:5]
        if order not in ("<", ">", "=", "|") or any(field is not None for field in fields):
            raise _refuse("a structured array")
        self.dtype = self.dtype.newbyteorder(order)


class _Array(_StandIn):
    """numpy.ndarray as protocols 0 to 4 write it: made empty, then given its bytes."""

    __slots__ = ("values",)

    def __init__(self, *made_empty: Any) -> None:
        self.values: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, kind, fortran, content = state
        self.values = _filled(content, kind, shape, "F" if fortran else "C")


class _Buffer(_Array):
    """numpy's _frombuffer: an array as protocol 5 writes it."""

    __slots__ = ()

    def __init__(self, content: Any, kind: Any, shape: Any, order: str) -> None:
        self.values = _filled(content, kind, shape, order)


class _Scalar(_Array):
    """A numpy number."""

    __slots__ = ()

    def __init__(self, kind: Any, content: Any) -> None:
        self.values = _filled(content, kind, (), "C")


class _Latin(_StandIn):
    """_codecs.encode: how protocols below 3 write bytes."""

    __slots__ = ()

    def __new__(cls, text: str, encoding: str) -> Any:
        if encoding != "latin1":
            raise _refuse(f"text in {encoding!r}")
        return text.encode("latin1")


def _filled(content: Any, kind: Any, shape: Any, order: str) -> np.ndarray:
    if not (isinstance(kind, _Type) and isinstance(content, bytes | bytearray)):
        raise _refuse("an array that holds no numbers")
    return np.frombuffer(content, kind.dtype).reshape(shape, order="F" if order == "F" else "C")


_NAMES = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _Latin,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _Array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _Scalar for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _Buffer for core in ("core", "_core")},
}


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _NAMES:
            raise _refuse(f"{module}.{name}")
        return _NAMES[module, name]
