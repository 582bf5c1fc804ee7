"""Trajectory pickles, as kzl/decision-transformer's users have them -> Trajectories, without running what they say.

Source   gym/data/download_d4rl_datasets.py of github.com/kzl/decision-transformer writes `{env}-{quality}-v2.pkl`;
         copies: huggingface.co/datasets/edbeeching/decision_transformer_gym_replay
Layout   a list of one dict an episode: observations (T, S), actions (T, A), rewards (T,), terminals (T,) (or dones)
Keeps    every step of the file, which lacks D4RL's unfinished last episode; how episodes end: episodes.py
Drops    next_observations
"""

from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats import columns
from trajectories.formats.limits import check_declared
from trajectories.formats.restricted_unpickler import UNCOMPRESSED, as_array, unpickle
from trajectories.types import Provenance, Spec, Trajectories

TERMINALS = ("terminals", "dones")


def read(
    path: Path,
    spec: Spec,
    name: str,
    source: str = "file",
    trailing_zeros: int = 0,
    long_episodes: bool = False,
) -> Trajectories:
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
    bounds = np.concatenate([[0], np.cumsum(lengths["rewards"])])
    origin = Provenance(name, source, "", {"file": path.name})
    joined["terminals"] = joined.pop(terminals)
    return columns.trajectories(joined, bounds, spec, origin, str(path), trailing_zeros, long_episodes)


def _episodes(path: Path) -> list[dict[Any, Any]]:
    episodes = unpickle(path)
    if not (isinstance(episodes, list) and episodes and all(isinstance(episode, dict) for episode in episodes)):
        raise DatasetError(f"{path} holds no list of episodes, each a dict of arrays: give a trajectory pickle.")
    return episodes


def _column(episodes: list[dict[Any, Any]], column: str, path: Path) -> list[np.ndarray]:
    parts = []
    size, stored = 0, path.stat().st_size
    for number, episode in enumerate(episodes):
        values = as_array(episode.get(column), f"{path}, {column} of episode {number}", stored)
        if values is None or values.ndim == 0:
            held = ", ".join(key for key in episode if isinstance(key, str))
            raise DatasetError(f"{path}: episode {number} has no array {column} (it holds {held or 'nothing'}).")
        parts.append(values)
        size += values.nbytes
        check_declared(size, stored, f"{path}, {column}", UNCOMPRESSED)  # one array may stand in every episode
    return parts


def _joined(parts: list[np.ndarray], column: str, path: Path) -> np.ndarray:
    widths = {part.shape[1:] for part in parts}
    if len(widths) > 1:
        raise DatasetError(
            f"{path}: {column} differ in shape between episodes ({', '.join(map(str, sorted(widths)))})."
        )
    return np.concatenate(parts)
