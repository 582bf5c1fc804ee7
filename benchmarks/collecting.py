"""Recording a data set of our own: with all processors, against one.

python -m benchmarks.collecting
"""

import tempfile
from pathlib import Path
from unittest import mock

import numpy as np

from benchmarks.timing import seconds
from sources.collect import collect
from sources.processes import processors
from training.cli import exit_on_user_error
from trajectories.formats.hdf5 import open_hdf5

TASKS = ("hopper", "halfcheetah")
STEPS = 300_000
ROUNDS = 2
COLUMNS = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")


def measure() -> list[dict[str, object]]:
    """The rows of the table that this file answers for."""
    return [row(task, STEPS, ROUNDS) for task in TASKS]


def row(task: str, steps: int, rounds: int) -> dict[str, object]:
    """Both ways in turn, the best of each; their files have to be the same.

    Raises:
        ValueError: they differ.
    """
    with tempfile.TemporaryDirectory() as folder:
        every, one = Path(folder) / "every.hdf5", Path(folder) / "one.hdf5"
        ours, peer = [], []
        for _ in range(rounds):
            ours.append(seconds(lambda: collect(task, "medium", every, steps)))
            with mock.patch("sources.processes.processors", return_value=1):
                peer.append(seconds(lambda: collect(task, "medium", one, steps)))
        if not same(every, one):
            raise ValueError(f"{task}: the file depends on how many processors recorded it")
    return {
        "what": f"recording {steps:,} steps of {task}-medium",
        "ours": f"{steps / min(ours):,.0f} steps/s",
        "peer": f"{steps / min(peer):,.0f} steps/s",
        "ratio": min(peer) / min(ours),
        "note": f"{processors()} processors against one; the same file",
    }


def same(first: Path, second: Path) -> bool:
    """Whether two recordings hold the same numbers."""
    return all(np.array_equal(one, other) for one, other in zip(columns(first), columns(second), strict=True))


def columns(path: Path) -> list[np.ndarray]:
    """What D4RL's files hold of each step."""
    with open_hdf5(path) as file:
        return [next(column for _, column in file.arrays(name))[()] for name in COLUMNS]


if __name__ == "__main__":
    with exit_on_user_error():
        for measured in measure():
            print("; ".join(f"{name} {value}" for name, value in measured.items()))
