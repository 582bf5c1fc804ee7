"""The user's own files: any file with the usual names of columns -> Trajectories, and a note on how it was read.

Files    HDF5, trajectory pickles (kzl/decision-transformer's `{env}-{quality}-v2.pkl` among them), .npz, Arrow, Parquet
Columns  by any of the names below. An observation of several named parts is laid out as spaces.py does
Layouts  steps     one table, a row a step: (N, ...). Episodes end at terminals, timeouts and dones, or where the number
                   of the episode changes, or at given places
         equal     E episodes of T steps each: (E, T, ...)
         episodes  a list of tables, a group or dict of tables, or a table of lists, one an episode
Takes    one observation more an episode than there are steps: the last one is left out
         actions one-hot or counted from 1, where the environment's are discrete
         dones: terminations, but for those at the environment's time limit
         no terminals at all where the file itself divides the episodes: none of them terminates
Others   OGBench's and Vintix's files (other_layouts.py), LeRobot's folders (lerobot.py); robomimic's are episodes in
         a group each, and of their observations images are left out
Drops    next_observations, infos, and whatever else a file holds
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats import columns
from trajectories.formats.containers import Content, opened, summary
from trajectories.formats.other_layouts import recognized
from trajectories.types import Provenance, Spec, Trajectories

NAMES = {  # what a column is called here: what people call it, in lower case
    "observations": ("observations", "observation", "obs", "states", "state", "observation.state"),
    "actions": ("actions", "action", "acts"),
    "rewards": ("rewards", "reward", "rews", "next.reward"),
    "terminals": ("terminals", "terminal", "terminations", "termination", "terminated"),
    "timeouts": ("timeouts", "timeout", "truncations", "truncation", "truncated"),
    "dones": ("dones", "done", "next.done"),
    "episode": ("episode", "episode_id", "episode_index"),  # the number of each step's episode
    "ends": ("indices", "episode_ends"),  # one past each episode's last step
}
REQUIRED, MARKS = ("observations", "actions", "rewards"), ("terminals", "timeouts", "dones")
EXPECTED = "observations, actions, rewards and terminals with a row for each step, or a list of such episodes"
DEPTH = 3  # tables within tables in which episodes are looked for
Columns = dict[str, np.ndarray]


def read(
    path: Path, spec: Spec, name: str, source: str = "file", trailing_zeros: int = 0, long_episodes: bool = False
) -> Trajectories:
    """Read one file into memory.

    Args:
        spec: the environment's; its time limit ends episodes that the file does not end.
        name: the data set's name, for the origin.
        source: d4rl, reroll, collected or file, for the origin.
        trailing_zeros: trailing observations that must be zero and are left out (Ant's contact forces).
        long_episodes: episodes longer than the environment's time limit are real, and are kept whole.

    Returns:
        float32 columns (int64 for discrete actions); in `details["read_as"]`, how the file was understood where it is
        not as D4RL or kzl have it. The origin has no digest yet: store.py computes it.

    Raises:
        DatasetError: the file is missing, damaged or of no known format; a column is missing, of another length or
            width than the rest, or holds NaN, infinity or what its type cannot; or it does not say where episodes end.
    """
    path, notes = Path(path), list[str]()
    with opened(path) as content:
        content.parts = spec.parts
        found: Any = recognized(content, notes) or _found(content.root, DEPTH)
        if found is None:
            raise _unreadable(path, content.root, "no actions")
        table, bounds = (_episodes if isinstance(found, list) else _steps)(content, found, notes)
        details = content.details
    _mark_ends(table, bounds, spec.max_episode_steps, path, notes)
    if spec.actions is not None:
        table["actions"] = columns.counted_from_0(table["actions"], spec.actions, notes)
    origin = Provenance(name, source, "", {"file": path.name, **details, **({"read_as": notes} if notes else {})})
    return columns.trajectories(table, bounds, spec, origin, str(path), trailing_zeros, long_episodes)


# ---- where the columns are ------------------------------------------------------------------------------------------


def _found(node: Any, depth: int) -> Any:
    """The table of all steps, or the tables of all episodes in a list; None if there is neither."""
    if isinstance(node, list | tuple):
        tables = all(isinstance(each, Mapping) and "actions" in _named(each) for each in node)
        return list(node) if node and tables else None
    if not isinstance(node, Mapping) or "actions" in _named(node):
        return node if isinstance(node, Mapping) else None
    texts = sorted((name for name in node if isinstance(name, str)), key=_number)
    within = {name: each for name in texts if isinstance(each := node[name], Mapping | list | tuple)}
    acted = {name for name, each in within.items() if isinstance(each, Mapping) and "actions" in _named(each)}
    if acted:  # one called alike that has none has lost them: `_arrays` names it
        called = {_stem(name) for name in acted}
        nested = {name: each for name, each in within.items() if isinstance(each, Mapping)}
        episodes = [each for name, each in nested.items() if name in acted or _stem(name) in called]
        return episodes if len(episodes) > 1 else episodes[0]
    found = [deeper for each in within.values() if depth and (deeper := _found(each, depth - 1))]
    if len(found) < 2:
        return found[0] if found else None
    return [table for each in found for table in (each if isinstance(each, list) else [each])]  # of train and of test


def _stem(name: str) -> str:
    """What episode_2 and episode_10 have in common."""
    return name.rstrip("0123456789")


def _number(name: str) -> list[tuple[str, int]]:
    """So that episode_2 comes before episode_10."""
    return [(text, int(digits or 0)) for text, digits in re.findall(r"(\D*)(\d{0,9})", name)]


def _named(table: Mapping[Any, Any]) -> dict[str, Any]:
    """What a table calls each of our columns that it has."""
    keys = {key.lower(): key for key in table if isinstance(key, str)}
    return {
        column: keys[next(filter(keys.__contains__, names))] for column, names in NAMES.items() if keys.keys() & names
    }


def _arrays(content: Content, table: Mapping[Any, Any], place: str = "") -> Columns:
    """The columns of a table.

    Raises:
        DatasetError: one is missing, or is no array.
    """
    named = _named(table)
    if missing := [column for column in REQUIRED if column not in named]:
        raise _unreadable(content.path, table, f"no {' and no '.join(missing)}", place)
    return {column: content.column(table[key], f"{place}{key}") for column, key in named.items()}


def _unreadable(path: Path, holds: Any, lacks: str, place: str = "") -> DatasetError:
    where = f"{path}, {place.rstrip(', ')}" if place else str(path)
    return DatasetError(f"{where} holds {summary(holds)}, and {lacks}: give {EXPECTED}.")


# ---- layouts --------------------------------------------------------------------------------------------------------


def _steps(content: Content, table: Mapping[Any, Any], notes: list[str]) -> tuple[Columns, np.ndarray | None]:
    """One table of all steps; and where its episodes begin, if it is stored otherwise than by marks."""
    named = _named(table)
    if all(column in named and _unequal(table[named[column]]) for column in REQUIRED):  # a list of episodes a column
        columns.same_length({column: len(table[key]) for column, key in named.items()}, f"{content.path}, episodes")
        parts = zip(*(table[key] for key in named.values()), strict=True)
        return _episodes(content, [dict(zip(named, part, strict=True)) for part in parts], notes)
    arrays = _arrays(content, table)
    notes += [f"{key} as {column}" for column, key in named.items() if key != column]
    if columns.flat(arrays["rewards"]).ndim > 1:
        return _equal(arrays, content.path, notes)
    bounds, steps = _own_bounds(arrays, content.path), len(arrays["actions"])
    lengths = {column: len(values) for column, values in arrays.items()}
    if bounds is not None and set(lengths.values()) - {steps} <= {steps + len(bounds) - 1, len(bounds) - 1}:
        return _concatenated(_divided(arrays, bounds), content.path, notes)
    columns.same_length(lengths, str(content.path))
    return arrays, bounds


def _own_bounds(arrays: Columns, path: Path) -> np.ndarray | None:
    """Where the episodes of one table begin, and its end, if that is stored; the columns that hold it are removed.

    Marks divide the table where there are more observations than actions.
    """
    steps, file = len(arrays["actions"]), str(path)
    episode, ends = arrays.pop("episode", None), arrays.pop("ends", None)
    if episode is not None:
        columns.same_length({"the episodes' number": len(episode), "actions": steps}, file)
        numbers = columns.numbers(columns.flat(episode), "int64", "the episodes' number", file)
        ends = np.flatnonzero(np.diff(numbers)) + 1
    elif ends is not None:
        ends = columns.numbers(ends.reshape(-1), "int64", "the episodes' ends", file)
    elif len(arrays["observations"]) != steps:
        marks = [columns.flags(arrays[mark], mark, file) for mark in MARKS if mark in arrays]
        ends = np.concatenate([[steps], *(np.flatnonzero(mark) + 1 for mark in marks)])
    if ends is None:
        return None
    bounds = np.union1d(ends, [0, steps]).astype(np.int64)
    if bounds[0] < 0 or bounds[-1] > steps:
        raise DatasetError(
            f"{path}: an episode ends at {ends.max()}, but there are {steps} steps: write its steps, too."
        )
    return bounds


def _unequal(value: Any) -> bool:
    """Whether a list holds arrays or lists of several steps each, which may differ in number."""
    first = getattr(value[0], "values", value[0]) if isinstance(value, list | tuple) and value else None
    return isinstance(first, list | tuple | np.ndarray) and np.size(first) > 1


def _equal(arrays: Columns, path: Path, notes: list[str]) -> tuple[Columns, np.ndarray]:
    """E episodes of T steps, (E, T, ...), as one table. An episode within a row begins where another is marked."""
    rewards = arrays["rewards"]
    episodes, steps = rewards.shape[:2]
    notes.append(f"{episodes:,} episodes of {steps:,} steps")
    table: Columns = {}
    for column in (*REQUIRED, *MARKS):
        if column in arrays:
            values = arrays[column][:, :steps] if column == "observations" else arrays[column]
            if values.shape[:2] != (episodes, steps):
                raise DatasetError(
                    f"{path}: rewards are {rewards.shape}, but {column} {arrays[column].shape}: write both alike."
                )
            table[column] = values.reshape(episodes * steps, *values.shape[2:])
    marks = [np.flatnonzero(columns.flags(table[mark], mark, str(path))) + 1 for mark in MARKS if mark in table]
    return table, np.unique(np.concatenate([np.arange(episodes + 1) * steps, *marks]))


def _divided(arrays: Columns, bounds: np.ndarray) -> list[Columns]:
    """One table as one for each episode; a column may have a row more, or only one, for each of them."""
    steps, count = bounds[-1], len(bounds) - 1

    def rows(values: np.ndarray, episode: int) -> np.ndarray:
        if len(values) == count:
            return values[episode : episode + 1]
        more = int(len(values) == steps + count)
        first, end = bounds[episode] + more * episode, bounds[episode + 1] + more * (episode + 1)
        return values[first:end]

    return [{column: rows(values, episode) for column, values in arrays.items()} for episode in range(count)]


def _episodes(content: Content, tables: Sequence[Mapping[Any, Any]], notes: list[str]) -> tuple[Columns, np.ndarray]:
    """A table for each episode, as one of all; and where they begin."""
    notes += [f"{key} as {column}" for column, key in _named(tables[0]).items() if key != column]
    episodes = [_arrays(content, table, f"episode {number}, ") for number, table in enumerate(tables)]
    return _concatenated(episodes, content.path, notes)


def _concatenated(episodes: list[Columns], path: Path, notes: list[str]) -> tuple[Columns, np.ndarray]:
    """The columns of all episodes, one behind another; and where they begin.

    Raises:
        DatasetError: an episode's columns have different lengths; episodes have different columns or widths.
    """
    present = [column for column in (*REQUIRED, *MARKS) if any(column in each for each in episodes)]
    parts: dict[str, list[np.ndarray]] = {column: [] for column in present}
    followed = 0
    for number, arrays in enumerate(episodes):
        if missing := [column for column in present if column not in arrays]:
            raise DatasetError(f"{path}: episode {number} has no {missing[0]}, which others have: write it for all.")
        steps = len(arrays["actions"])
        arrays = {column: arrays[column] for column in present}
        if len(arrays["observations"]) == steps + 1:
            arrays["observations"], followed = arrays["observations"][:steps], followed + 1
        for mark in set(MARKS) & set(present):
            if len(arrays[mark]) == 1 < steps:  # of the episode as a whole: of its last step
                before = np.zeros_like(arrays[mark], shape=(steps - 1, *arrays[mark].shape[1:]))
                arrays[mark] = np.concatenate([before, arrays[mark]])
        columns.same_length({column: len(values) for column, values in arrays.items()}, f"{path}, episode {number}")
        for column, values in arrays.items():
            parts[column].append(values)
    if followed:
        notes.append(f"the observation behind the last step of {followed:,} episodes left out")
    for column in present:
        if len(widths := {each.shape[1:] for each in parts[column]}) > 1:
            shapes = ", ".join(map(str, sorted(widths)))
            raise DatasetError(f"{path}: {column} differ in shape between episodes ({shapes}): write all alike.")
    bounds = np.cumsum([0, *(len(values) for values in parts["actions"])])
    return {column: np.concatenate(values) for column, values in parts.items()}, bounds


# ---- what the values mean -------------------------------------------------------------------------------------------


def _mark_ends(table: Columns, bounds: np.ndarray | None, limit: int, path: Path, notes: list[str]) -> None:
    """Make terminals, and timeouts where the file has any, of whatever marks the ends of episodes.

    Raises:
        DatasetError: nothing does.
    """
    marks = {mark: columns.flags(table.pop(mark), mark, str(path)) for mark in MARKS if mark in table}
    if bounds is None and not marks:
        raise DatasetError(
            f"{path} does not say where episodes end: add terminals, timeouts or dones, or write a list of episodes."
        )
    if "dones" in marks:
        dones, steps = marks.pop("dones"), len(table["rewards"])
        if not marks:
            ends = np.union1d(np.flatnonzero(dones) + 1, [0, steps]) if bounds is None else bounds
            at_limit = np.isin(np.arange(1, steps + 1), ends[1:][np.diff(ends) % limit == 0])
            marks["timeouts"] = dones & at_limit
            notes.append(
                f"dones as terminals, but for {marks['timeouts'].sum():,} at the time limit of {limit:,} steps"
            )
        if "terminals" in marks:
            marks["timeouts"] = marks.get("timeouts", False) | (dones & ~marks["terminals"])
        else:
            marks["terminals"] = dones & ~marks["timeouts"]
    if "terminals" not in marks:
        notes.append("no terminals: none of the episodes terminates")
        marks["terminals"] = np.zeros(len(table["rewards"]), bool)
    table |= marks
