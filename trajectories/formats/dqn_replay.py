"""DQN-replay: what Dopamine's replay buffer logged while agents learned to play Atari -> Trajectories.

Source   Agarwal et al. 2020, arXiv:1907.04543; google-research/batch_rl, logged_replay_buffer.py; google/dopamine,
         circular_replay_buffer.py
Layout   {Game}/{run}/replay_logs/$store$_{column}_ckpt.{K}.gz, each a gzipped .npy of a million steps or fewer:
         observation (N, 84, 84) uint8, the frame; action (N,) int32, chosen then; reward (N,) float32, what that
         earned, clipped to [-1, 1] by the agents of the public data; terminal (N,) uint8, 1 at a game's (or life's)
         end. add_count_ckpt.{K}.gz counts all steps ever added: modulo N, rows from there on are from before
Blanks   the buffer begins each episode with three steps that are zero throughout. They are no steps of a game: dropped
Whole    an episode that a checkpoint's end cuts in two is left out, and so are its other half at the beginning of the
         next checkpoint and what follows a checkpoint's last terminal
Selects  as kzl (atari/create_dataset.py at e2d82e6): of the last of checkpoints 0 to 49 one is drawn (there is a 50th,
         which neither it nor this reader opens), and gives its next ten
         episodes, until there are enough steps; nothing beyond step 100,000 of a checkpoint. Differs: ten are ten
         (kzl's are eleven), the last few before that step are taken too, and timesteps are 0 where an episode begins

Frames go straight from the gzipped file into the file of the column (store.py), so that memory never holds many.

Shapes   K checkpoints, N steps of one, E episodes of all, T steps of a data set
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats import columns
from trajectories.formats.streams import GrowingColumn, GzippedColumn
from trajectories.progress import progress
from trajectories.types import Provenance, Spec, Trajectories

COLUMNS = ("observation", "action", "reward", "terminal")
FILE = re.compile(r"\$store\$_(observation|action|reward|terminal)_ckpt\.(\d+)\.gz")
BLANKS = 3  # Dopamine's stack size less one
BLOCK = 1000  # frames read at once, 7 MB


@dataclass(frozen=True)
class Selection:
    """What to read of the files; without steps, every whole episode."""

    steps: int | None = None  # episodes are drawn until they hold so many
    checkpoints: int | None = None  # of the last so many
    below: int | None = None  # of checkpoints with numbers below this
    first_steps: int | None = None  # nothing beyond this step of a checkpoint
    episodes_at_once: int = 10  # that a drawn checkpoint gives
    seed: int = 0

    def of(self, numbers: Iterable[int]) -> list[int]:
        """Which of these checkpoints are read, ascending: the one rule for public files and for files of one's own."""
        allowed = sorted(number for number in numbers if self.below is None or number < self.below)
        return allowed[-(self.checkpoints or 0) :]


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """One checkpoint's columns but the frames, up to the last step that may be used."""

    number: int
    actions: np.ndarray  # (N,)
    rewards: np.ndarray  # (N,)
    terminals: np.ndarray  # (N,) bool
    starts: np.ndarray  # (E,): rows where whole episodes begin, Dopamine's blanks included
    ends: np.ndarray  # (E,): one past their last rows

    @property
    def lengths(self) -> np.ndarray:
        return self.ends - self.starts

    def first(self, count: int) -> "Checkpoint":
        """The same with its first episodes only."""
        return replace(self, starts=self.starts[:count], ends=self.ends[:count])


def file_name(column: str, number: int) -> str:
    """What the file of one column of one checkpoint is called."""
    return f"$store$_{column}_ckpt.{number}.gz"


def folder_of(path: Path, game: str) -> Path:
    """The folder of the files: `path`, or that of the game's first run below it.

    Raises:
        DatasetError: none of them holds such files, or `path` is none.
    """
    if not path.is_dir():
        what = "is a file" if path.exists() else "is not there"
        raise DatasetError(f"{path} {what}, where a folder of DQN-replay's files is needed: check --path.")
    tried = [path, path / "replay_logs", path / "1" / "replay_logs", path / game / "1" / "replay_logs"]
    for folder in tried:
        if folder.is_dir() and any(FILE.fullmatch(file.name) for file in folder.iterdir()):
            return folder
    raise DatasetError(
        f"{path} holds no files of DQN-replay, {file_name('observation', 0)} and so on, nor does {game}/1/replay_logs "
        f"below it: check --path."
    )


def read(
    path: Path,
    spec: Spec,
    name: str,
    source: str = "dqn-replay",
    trailing_zeros: int = 0,
    long_episodes: bool = False,
    *,
    frames: Path,
    selection: Selection | None = None,
) -> Trajectories:
    """Read a folder's files.

    Args:
        spec: what the game looks like; the other arguments as in `own_files.read`.
        frames: where the column of frames is written, (T, 84, 84) uint8; it must outlive the trajectories.

    Returns:
        Trajectories whose observations are mapped from `frames`. The origin has no digest yet: store.py computes it.

    Raises:
        DatasetError: a file is missing, truncated, or holds something else; a checkpoint's columns have different
            lengths; an action is none of the game's; there is no whole episode.
    """
    path, selection = Path(path), selection or Selection()
    present = _numbers(path)
    if not (numbers := selection.of(present)) and present:
        raise DatasetError(f"{path} holds checkpoints {present[0]} to {present[-1]}, and none below {selection.below}.")
    found = [_checkpoint(path, number, selection.first_steps) for number in numbers]
    found = [one.first(count) for one, count in zip(found, _selected(found, selection), strict=True) if count]
    if not found:
        raise DatasetError(f"{path} holds no whole episode: get more of its checkpoints.")
    table: dict[str, list[np.ndarray]] = {"actions": [], "rewards": [], "terminals": [], "lengths": []}
    with (
        GrowingColumn(frames, spec.frame_shape, spec.observation_dtype) as column,
        progress(sum(int(one.lengths.sum()) for one in found), f"reading {name}") as bar,
    ):
        for one in found:
            kept = _copy_frames(path, one, column, bar)
            rows = slice(int(one.starts[0]), int(one.ends[-1]))
            for key, values in zip(table, (one.actions, one.rewards, one.terminals), strict=False):
                table[key].append(values[rows][kept])
            table["lengths"].append(np.add.reduceat(kept.astype(np.int64), one.starts - rows.start))
    merged = {key: np.concatenate(parts) for key, parts in table.items()}
    bounds = np.concatenate([[0], np.cumsum(merged.pop("lengths"))])
    merged["observations"] = np.load(frames, mmap_mode="r")
    origin = Provenance(name, source, "", {"file": path.name, "checkpoints": len(found)})
    return columns.trajectories(merged, bounds, spec, origin, str(path), trailing_zeros, long_episodes)


def _numbers(folder: Path) -> list[int]:
    """The checkpoints of a folder, each with all of its columns."""
    present: dict[int, set[str]] = {}
    for file in sorted(folder.iterdir()):
        if match := FILE.fullmatch(file.name):
            present.setdefault(int(match[2]), set()).add(match[1])
    for number, held in present.items():
        if missing := [column for column in COLUMNS if column not in held]:
            raise DatasetError(f"{folder} has no {file_name(missing[0], number)}: fetch it, or take the others away.")
    return sorted(present)


def _checkpoint(folder: Path, number: int, first_steps: int | None) -> Checkpoint:
    lengths, values = {}, {}
    for column in COLUMNS:
        with GzippedColumn(folder / file_name(column, number)) as file:
            lengths[column] = file.length
            if column != "observation":
                values[column] = _one_a_step(file, min(file.length, first_steps or file.length))
    place = f"{folder}, checkpoint {number}"
    columns.same_length(lengths, place)
    own = _own_rows(folder, number, lengths["terminal"])
    actions, rewards, terminals = (values[column][:own] for column in COLUMNS[1:])
    terminals = columns.flags(terminals, "terminal", place)
    ends = np.flatnonzero(terminals) + 1
    starts = np.concatenate([[0], ends])[: len(ends)]
    if len(ends) and number > 0 and not _begins_blank(folder, number, int(ends[0])):
        starts, ends = starts[1:], ends[1:]  # its first part is in the checkpoint before
    return Checkpoint(number, actions, rewards, terminals, starts, ends)


def _one_a_step(file: GzippedColumn, count: int) -> np.ndarray:
    """The next `count` rows of a column that holds one number a step."""
    if math.prod(file.shape[1:]) != 1 or file.dtype.kind not in "biuf":
        found = f"{file.dtype} of the shape {file.shape}"
        raise DatasetError(f"{file.path} holds {found}, where one number a step is meant: give files of DQN-replay.")
    return file.rows(count).reshape(count)


def _own_rows(folder: Path, number: int, steps: int) -> int:
    """How many rows are this checkpoint's own; the rest is what the buffer held before."""
    file = folder / f"add_count_ckpt.{number}.gz"
    if not file.exists():
        return steps
    with GzippedColumn(file) as stored:
        (added,) = _one_a_step(stored, 1)
    if not np.isfinite(added):
        raise DamagedFileError(file, f"it counts {added} steps")
    return int(added) % steps or steps


def _begins_blank(folder: Path, number: int, most: int) -> bool:
    """Whether a checkpoint begins with an episode, and not in the middle of one."""
    with GzippedColumn(folder / file_name("observation", number)) as file:
        return not file.rows(min(BLANKS, most)).any()


def _selected(found: list[Checkpoint], selection: Selection) -> list[int]:
    """How many of each checkpoint's episodes are taken, from its first on.

    kzl draws checkpoints one after another, each as likely as the others that have episodes left. Sampling exponential
    arrival times for every checkpoint gives the same distribution in one call: its n-th arrival is its n-th group of
    episodes.
    """
    episodes = [len(one.starts) for one in found]
    if selection.steps is None or not sum(episodes):
        return episodes
    size = selection.episodes_at_once
    groups = [-(-count // size) for count in episodes]
    arrivals = np.random.default_rng(selection.seed).exponential(size=(len(found), max(groups))).cumsum(axis=1)
    times = np.concatenate([row[:count] for row, count in zip(arrivals, groups, strict=True)])
    owners = np.repeat(np.arange(len(found)), groups)
    steps = [np.add.reduceat(one.lengths, np.arange(0, len(one.lengths), size)) for one in found if len(one.lengths)]
    order = np.argsort(times, kind="stable")
    enough = int(np.searchsorted(np.cumsum(np.concatenate(steps)[order]), selection.steps)) + 1
    taken = np.bincount(owners[order[:enough]], minlength=len(found)) * size
    return np.minimum(taken, episodes).tolist()


def _copy_frames(folder: Path, one: Checkpoint, column: GrowingColumn, bar: Any) -> np.ndarray:
    """Append a checkpoint's frames to the column; which of its rows are no blanks, bool."""
    path = folder / file_name("observation", one.number)
    rows = slice(int(one.starts[0]), int(one.ends[-1]))
    starts, ends = one.starts - rows.start, one.ends - rows.start
    nothing = (one.actions[rows] == 0) & (one.rewards[rows] == 0) & ~one.terminals[rows]
    blank = np.zeros(len(nothing), bool)
    with GzippedColumn(path) as file:
        if (file.shape[1:], file.dtype) != (column.shape, column.dtype):
            raise DatasetError(
                f"{path} holds {file.dtype} of the shape {file.shape[1:]}, where frames are {column.dtype} of "
                f"{column.shape}: give files of DQN-replay."
            )
        file.skip(rows.start)
        for begin in range(0, len(blank), BLOCK):
            end = min(begin + BLOCK, len(blank))
            frames = file.rows(end - begin)
            for place in range(BLANKS):
                first = (starts + place)[(begin <= starts + place) & (starts + place < np.minimum(ends, end))]
                before = blank[first - 1] if place else True
                blank[first] = before & nothing[first] & ~frames[first - begin].any(axis=(1, 2))
            column.append(frames[~blank[begin:end]])
            bar.update(end - begin)
    return ~blank
