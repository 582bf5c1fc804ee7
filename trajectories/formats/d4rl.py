"""D4RL: HDF5 files of transitions, read with neither d4rl nor mujoco-py by own_files.py, which takes any such table.

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

from trajectories.formats.hdf5 import Hdf5Array, Hdf5Group, open_hdf5

POLICY = "metadata/policy"


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
