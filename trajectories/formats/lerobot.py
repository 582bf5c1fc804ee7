"""LeRobot's data sets: a folder of Parquet files and what is known of them -> columns, for own_files.py.

Source   huggingface/lerobot, docs of LeRobotDataset v3.0; v2's folders differ in the files' names alone
Layout   meta/info.json      features: the columns, with types and shapes; total_frames
         meta/tasks.parquet  each task's sentence and number (v3)
         data/*/*.parquet    a row a step: observation.state, action, episode_index, task_index, next.reward, next.done
Reads    columns of numbers. Images and videos are left out
Rewards  of demonstrations there are often none: zeros
"""

import json
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DamagedFileError, DatasetError
from trajectories.formats import arrow_lists

INFO = Path("meta") / "info.json"
TASKS = Path("meta") / "tasks.parquet"
AT_ONCE = 1 << 14  # steps
NUMBERS = ("float", "int", "uint", "bool")  # what the types of columns begin with that are read
REWARDS = ("reward", "rewards", "next.reward")
SHOWN = 20  # tasks that the details name
LARGEST = 1 << 24  # bytes of info.json


def table(info: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """The columns of a data set, and what its origin should say.

    Args:
        info: its meta/info.json.

    Raises:
        UserError: pyarrow is not installed.
        DatasetError: there are no files, or one is damaged or does not fit the others.
    """
    folder, about = info.parent.parent, _about(info)
    files = sorted((folder / "data").glob("*/*.parquet"))
    if not files:
        raise DatasetError(f"{folder} has no data/*/*.parquet: get a whole copy of it.")
    features = about.get("features")
    if not isinstance(features, dict) or not all(isinstance(each, dict) for each in features.values()):
        raise DamagedFileError(info, "it does not say what its features are")
    read = [name for name, feature in features.items() if str(feature.get("dtype")).startswith(NUMBERS)]
    parts: dict[str, list[np.ndarray]] = {name: [] for name in read}
    for file in files:
        for batch in arrow_lists.batches(file, AT_ONCE, read):
            for name in read:
                parts[name].append(_values(batch, name, file))
    try:
        found = {name: np.concatenate(values) for name, values in parts.items() if values}
    except ValueError as error:
        raise DatasetError(f"{folder}: its files do not fit each other ({error}): get a whole copy of it.") from error
    steps = len(next(iter(found.values()), ()))
    if (frames := about.get("total_frames")) not in (None, steps):
        raise DamagedFileError(folder, f"it holds {steps:,} steps, and its info.json says {frames!r:.20}")
    _check_order(found, folder)
    details: dict[str, Any] = {"file": folder.name} | _tasks(folder)
    if left_out := [name for name in features if name not in read]:
        details["left_out"] = left_out
    if steps and not set(REWARDS) & set(found):
        found["rewards"] = np.zeros(steps, np.float32)
        details["rewards"] = "none in the files: zeros"
    return found, details


def _check_order(found: dict[str, np.ndarray], folder: Path) -> None:
    """Raises DatasetError where an episode's frames do not follow one another."""
    if not {"episode_index", "frame_index"} <= set(found):
        return
    same, next_ = np.diff(found["episode_index"]) == 0, np.diff(found["frame_index"]) == 1
    if (wrong := same & ~next_).any():
        row = int(np.argmax(wrong)) + 1
        episode, frame = (int(found[name][row]) for name in ("episode_index", "frame_index"))
        raise DatasetError(
            f"{folder}: frame {frame} of episode {episode} (row {row}) does not follow the one before it: sort the "
            f"rows by episode_index and frame_index, or give one data set's files alone."
        )


def _about(info: Path) -> dict[str, Any]:
    try:
        if info.stat().st_size > LARGEST:
            raise ValueError(f"it has more than {LARGEST:,} bytes")
        about = json.loads(info.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DamagedFileError(info, error) from error
    if not isinstance(about, dict):
        raise DamagedFileError(info, "it is no table")
    return about


def _values(batch: Any, name: str, file: Path) -> np.ndarray:
    try:
        return arrow_lists.values(batch.column(name))
    except ValueError as error:
        raise DamagedFileError(file, f"{name}: {error}") from error


def _tasks(folder: Path) -> dict[str, list[str]]:
    """The sentences of the tasks, in the column of texts, whatever it is called."""
    if not (folder / TASKS).is_file():
        return {}
    found: list[str] = []
    for batch in arrow_lists.batches(folder / TASKS, SHOWN):
        texts = [column for column in batch.columns if "string" in str(column.type)]
        found += [str(text) for text in texts[0].to_pylist()] if texts else []
    return {"tasks": found[:SHOWN]}
