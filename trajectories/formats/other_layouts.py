"""Tables of other projects that do not mean what the usual names of columns say (own_files.py).

OGBench  an .npz of observations, actions, terminals, and qpos and qvel beside them; no rewards. Behind the last step of
         an episode stands one row more, with its last observation and an action that was not taken: terminals mark it,
         and it is left out. The task does not end there, and rewards are 0: goals are chosen by who reads the data
         Source   ogbench 1.2.2, utils.py, load_dataset; Park et al. 2025, arXiv:2410.20092
Vintix   an .h5 of one agent's whole training, in groups of 10,000 steps, which divide episodes anywhere:
         proprio_observation, action, reward, and step_num, the number of a step in its episode. Where an episode ended
         by itself is not stored: it did where it is shorter than the time limit. The last one may be unfinished
         Source   dunnolab/vintix, README.md at 22819f9; Polubarov et al. 2025, arXiv:2501.19400. Vintix II has the
         same, and what the demonstrator would have done (demonstrator_action), which is not read
"""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats import columns
from trajectories.formats.containers import Content

OGBENCH = {"observations", "actions", "terminals", "qpos", "qvel"}
SPAN = re.compile(r"(\d{1,18})-(\d{1,18})")  # the first step of a group of Vintix's, and its last
VINTIX = {"observations": "proprio_observation", "actions": "action", "rewards": "reward", "numbers": "step_num"}


def recognized(content: Content, notes: list[str]) -> Mapping[str, Any] | None:
    """One table of all steps, with the usual names, of a file of one of these layouts; None of any other file.

    Args:
        notes: sentences about how it was read, to which more are added.

    Raises:
        DatasetError: it is damaged.
    """
    root = content.root
    if not isinstance(root, Mapping):
        return None
    if set(root) >= OGBENCH and "rewards" not in set(root):
        return _ogbench(content, notes)
    first = next(iter(root.values()), None)
    if isinstance(first, Mapping) and set(first) >= set(VINTIX.values()):
        return _vintix(content, notes)
    return None


def _ogbench(content: Content, notes: list[str]) -> Mapping[str, Any]:
    file = str(content.path)
    table = {name: _rows(content, content.root[name], name) for name in ("observations", "actions", "terminals")}
    columns.same_length({name: len(values) for name, values in table.items()}, file)
    behind = columns.flags(table.pop("terminals"), "terminals", file)
    kept = ~behind
    if not kept.any():
        raise DatasetError(f"{file} holds no steps: choose another file.")
    numbers = np.cumsum(behind)[kept]  # of each step's episode: how many rows that stand behind one came before
    notes.append(f"OGBench's {int(behind.sum()):,} episodes, none of which terminates; no rewards: zeros")
    ends = np.append(np.diff(numbers) > 0, behind[-1])  # an unmarked last episode is unfinished
    return {
        **{name: values[kept] for name, values in table.items()},
        "rewards": np.zeros(len(numbers), np.float32),
        "terminals": np.zeros(len(numbers), bool),
        "timeouts": ends,
        "episode": numbers,
    }


def _vintix(content: Content, notes: list[str]) -> Mapping[str, Any]:
    file, groups = str(content.path), content.root
    parts: dict[str, list[np.ndarray]] = {name: [] for name in VINTIX}
    _check_groups(in_number_order(groups), file)
    for group in in_number_order(groups):
        within = groups[group] if isinstance(groups[group], Mapping) else {}
        found = {ours: _rows(content, within.get(own), f"{group}/{own}") for ours, own in VINTIX.items()}
        columns.same_length({VINTIX[name]: len(values) for name, values in found.items()}, f"{file}, {group}")
        for name, values in found.items():
            parts[name].append(values)
    try:
        table = {name: np.concatenate(values) for name, values in parts.items()}
    except ValueError as error:
        raise DatasetError(f"{file}: its groups do not fit each other ({error}): get a whole copy.") from error
    numbers = columns.numbers(columns.flat(table.pop("numbers")), "int64", "step_num", file)
    begins = np.append(True, np.diff(numbers) != 1)
    notes.append(f"Vintix's {len(groups):,} groups of steps, as {int(begins.sum()):,} episodes")
    if late := int((numbers[begins] > numbers.min()).sum()):
        notes.append(f"{late:,} episodes whose first step is not there")
    return {**table, "episode": np.cumsum(begins), "dones": np.append(begins[1:], False)}


def _check_groups(names: Sequence[str], file: str) -> None:
    """Raises DatasetError where the steps that groups are named by have a gap between them."""
    spans = [(name, int(match[1]), int(match[2])) for name in names if (match := SPAN.fullmatch(name))]
    for (before, _, end), (after, first, _) in pairwise(spans):
        if first != end + 1:
            raise DatasetError(f"{file}: no group lies between {before} and {after}: get a whole copy.")


def in_number_order(names: Mapping[str, Any]) -> Sequence[str]:
    """Names by the first number in each: 0-9999 before 10000-19999."""
    return sorted(names, key=lambda name: (int("".join(filter(str.isdigit, name.partition("-")[0]))[:18] or 0), name))


def _rows(content: Content, value: Any, place: str) -> np.ndarray:
    values = None if value is None else content.array(value, place)
    if values is None or not values.ndim:
        raise DatasetError(f"{content.path}: {place} is no array: get a whole copy.")
    return values
