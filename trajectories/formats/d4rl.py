"""D4RL: HDF5 files of transitions -> Trajectories, with neither d4rl nor mujoco-py.

Source   https://github.com/Farama-Foundation/D4RL (Fu et al. 2020, arXiv:2004.07219)
Layout   one flat table of N steps: observations (N, S), actions (N, A), rewards (N,) or (N, 1), terminals (N,) and
         mostly timeouts (N,), as bool or as 0.0 and 1.0; v1 and v2 add next_observations, infos/ and metadata/, among
         them the behavior policy. float32 or float64, each file as it likes
Units    the simulator's: m, rad, m/s, rad/s; rewards unscaled
Keeps    every step. An episode ends at terminals or timeouts, or else at the environment's time limit (episodes.py).
         The file may end inside an episode: that unfinished tail is kept as an episode that is not finished. kzl and
         CORL drop it without a word
Drops    next_observations (the next row, except at an episode's end) and infos. Scalars under metadata/ are kept in
         `details["metadata"]`, apart from details of our own
"""

import hashlib
from pathlib import Path

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats import columns
from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, metadata, open_hdf5
from trajectories.formats.limits import check_memory
from trajectories.types import Provenance, Spec, Trajectories

REQUIRED = ("observations", "actions", "rewards", "terminals")
POLICY = "metadata/policy"


def read(
    path: Path, spec: Spec, name: str, source: str = "d4rl", trailing_zeros: int = 0, long_episodes: bool = False
) -> Trajectories:
    """Read one D4RL file into memory.

    Args:
        spec: what the environment looks like; its horizon ends episodes that the file does not end.
        name: the data set's name, for the origin.
        source: d4rl, reroll, collected or file, for the origin.
        trailing_zeros: trailing observations that must be zero and are left out (Ant's contact forces).
        long_episodes: episodes longer than the environment's time limit are real, and are kept whole.

    Returns:
        float32 columns (int64 for discrete actions). The origin has no digest yet: store.py computes it.

    Raises:
        DatasetError: the file is missing, truncated or no HDF5; a column is missing, of another length or width than
            the rest, or holds NaN or infinity.
    """
    path = Path(path)
    with open_hdf5(path) as file:
        found = {column: file.get(column) for column in (*REQUIRED, "timeouts")}
        present = {column: array for column, array in found.items() if isinstance(array, Hdf5Array)}
        if missing := [column for column in REQUIRED if column not in present]:
            raise DatasetError(
                f"{path} has no column {' or '.join(missing)} (it holds {', '.join(file) or 'nothing'}): "
                f"give a file in D4RL's layout."
            )
        lengths = {column: array.shape[0] if array.shape else 0 for column, array in present.items()}
        columns.same_length(lengths, str(path))
        check_memory(sum(array.nbytes for array in present.values()), str(path))
        table = {column: array[()] for column, array in present.items()}
        details = metadata(file)
    origin = Provenance(name, source, "", {"file": path.name, **details})
    return columns.trajectories(table, None, spec, origin, str(path), trailing_zeros, long_episodes)


def policy_digest(path: Path) -> str | None:
    """sha256 of the behavior policy that the file carries under metadata/policy; None if it carries none."""
    with open_hdf5(path) as file:
        if not isinstance(file.get(POLICY), Hdf5Group):
            return None
        content = hashlib.sha256()
        for part, array in sorted(file.arrays(POLICY)):
            value = np.asarray(array[()])
            name = part.removeprefix(f"{POLICY}/")
            content.update(f"{name} {value.dtype} {value.shape} ".encode() + value.tobytes())
        deviations = file.get("infos/action_log_std")
        if isinstance(deviations, Hdf5Array):  # Adroit's: see policies/policy.py
            content.update(np.asarray(deviations[0]).tobytes())
        return content.hexdigest()
