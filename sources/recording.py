"""The files that hold a data set, and how they are read."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trajectories.atomic import disk_errors
from trajectories.formats import dqn_replay, jat, lerobot, minari, own_files
from trajectories.rows import DatasetRow
from trajectories.types import Trajectories


@dataclass(frozen=True)
class Recording:
    """Files that hold a data set, and what decides the columns that are read from them."""

    row: DatasetRow
    source: str  # for the origin: d4rl, reroll, collected, minari, dqn-replay, jat, file
    path: Path  # the file or folder
    format: str = "own_files"  # the file trajectories/formats/<format>.py
    details: dict[str, Any] = field(default_factory=dict)  # how it was made; for the origin and the cache's key
    selection: dqn_replay.Selection | None = None  # of dqn_replay's episodes
    published: bool = False  # D4RL's own file, whose statistics must be the published ones

    @property
    def stamped(self) -> Path:
        """The file, or the folder of files, whose size and time change with the data."""
        lerobots = self.format == "own_files" and self.path.name == lerobot.INFO.name
        return self.path.parent.parent if lerobots else self.path


def read(recording: Recording, folder: Path) -> Trajectories:
    """The columns as the files hold them, checked for being numbers of the right shapes (formats/columns.py).

    Args:
        folder: where a column that is too large for memory is written while it is read: DQN-replay's frames, and all
            observations of JAT's.

    Raises:
        DatasetError: the files cannot be read, or do not fit the environment.
        UserError: the disk is full.
    """
    row, environment = recording.row, recording.row.environment
    expected = (environment.spec(), row.name, recording.source, environment.trailing_zeros, row.long_episodes)
    if recording.format not in ("dqn_replay", "jat"):
        return (minari if recording.format == "minari" else own_files).read(recording.path, *expected)
    with disk_errors(folder.parent):
        column = folder / "observations.npy"
        if recording.format == "jat":
            return jat.read(recording.path, *expected, observations=column)
        return dqn_replay.read(recording.path, *expected, frames=column, selection=recording.selection)
