"""Made-up recordings, in memory and in D4RL's layout on disk."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np

from trajectories.types import Provenance, Spec, Trajectories

SPEC = Spec("made-up", observation_shape=(3,), action_shape=(2,), max_episode_steps=50)
STACKED = Spec("made-up", observation_shape=(4, 3), action_shape=(2,), max_episode_steps=50, frame_stack=4)


def made_up(lengths: Sequence[int], spec: Spec = SPEC, seed: int = 0) -> Trajectories:
    """Episodes of the given lengths; the first number of a frame is the row plus 1, to recognize windows by."""
    rng = np.random.default_rng(seed)
    steps = sum(lengths)
    observations = rng.normal(size=(steps, *spec.frame_shape)).astype(np.float32)
    observations[:, 0] = np.arange(1, steps + 1)
    return Trajectories.of(
        spec,
        Provenance("made-up", "file", digest=""),
        observations=observations,
        actions=rng.uniform(-1, 1, size=(steps, *spec.action_shape)).astype(np.float32),
        rewards=rng.normal(size=steps).astype(np.float32),
        terminated=np.isin(np.arange(1, steps + 1), np.cumsum(lengths)),
        starts=np.concatenate([[0], np.cumsum(lengths)]),
    )


def table(data: Trajectories) -> dict[str, np.ndarray]:
    """The columns of a D4RL file that holds `data`."""
    return {
        "observations": data.observations,
        "actions": data.actions,
        "rewards": data.rewards,
        "terminals": data.terminated,
        "timeouts": np.zeros(len(data), bool),
    }


def write_d4rl(path: Path, columns: dict[str, np.ndarray]) -> Path:
    with h5py.File(path, "w") as file:
        for name, values in columns.items():
            file[name] = values
    return path
