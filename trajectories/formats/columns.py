"""What every reader checks in columns: finite numbers of the right width, and flags that are 0 or 1.

Checks run over blocks of rows, so that they stay in the processor's cache and need no second copy of the column.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from trajectories.errors import DatasetError
from trajectories.formats.episodes import divide, filled, marked_within
from trajectories.parts import TEXT, changed, view, were_cut
from trajectories.types import Provenance, Spec, Trajectories

BLOCK = 1 << 16  # rows


def trajectories(
    table: dict[str, np.ndarray],
    bounds: np.ndarray | None,
    spec: Spec,
    origin: Provenance,
    file: str,
    trailing_zeros: int = 0,
    long_episodes: bool = False,
) -> Trajectories:
    """Columns as a file holds them, checked and divided into episodes (episodes.py).

    Args:
        table: observations, actions, rewards, terminals and perhaps timeouts, each N rows; emptied on the way.
        bounds: the file's own division into episodes, (B + 1,); None: its marks alone divide it.
        trailing_zeros, long_episodes: as in `own_files.read`.

    Raises:
        DatasetError: a column is of another width than `spec`'s, or holds what `numbers` and `flags` refuse, or an
            episode's rewards add up to more than there are numbers for.
    """
    table, bounds, unfilled = filled(table, bounds, file)
    terminated = flags(table.pop("terminals"), "terminals", file)
    timeouts = flags(table.pop("timeouts"), "timeouts", file) if "timeouts" in table else None
    within: list[str] = []
    if bounds is not None:
        terminated, timeouts, bounds, within = marked_within(terminated, timeouts, bounds)
    starts, finished, caveats = divide(terminated, timeouts, bounds, spec, long_episodes)
    origin = _noted(origin, unfilled + within + caveats)
    observations = fitting(table.pop("observations"), spec.frame_shape, "observations", file, trailing_zeros)
    actions = fitting(table.pop("actions"), spec.action_shape, "actions", file)
    rewards = fitting(flat(table.pop("rewards")), (), "rewards", file)
    observations = numbers(observations, spec.observation_dtype, "observations", file)
    if spec.parts:
        origin = _noted(origin, check_parts(observations, spec, file))
    if spec.actions is not None:
        actions = choices(actions, spec.actions, file)
    data = Trajectories.of(
        spec,
        origin,
        observations=observations,
        actions=numbers(actions, spec.action_dtype, "actions", file),
        rewards=numbers(rewards, "float32", "rewards", file),
        terminated=terminated,
        starts=starts,
        finished=finished,
    )
    if not np.isfinite(data.returns_to_go).all():
        largest = np.abs(data.rewards).max()
        raise DatasetError(f"{file}: its rewards, as large as {largest:.3g}, add up to infinity: scale them.")
    return data


def _noted(origin: Provenance, caveats: list[str]) -> Provenance:
    """The origin with more caveats."""
    known = origin.details.get("caveats", [])
    return replace(origin, details={**origin.details, "caveats": known + caveats}) if caveats else origin


def check_parts(observations: np.ndarray, spec: Spec, file: str) -> list[str]:
    """Check what is in rows of bytes; the notes are about texts that are longer than what is kept of them.

    Raises:
        DatasetError: a number is NaN or infinite, or a cell holds what it cannot.
    """
    notes, columns = [], view(observations, spec.parts)
    for part in spec.parts:
        values = columns[part.name]
        if part.kind == "float":
            numbers(values, part.dtype, part.name, file)
        elif part.kind == "text" and (cut := sum(int(were_cut(block).sum()) for _, block in _blocks(values))):
            notes.append(f"{cut:,} of {len(values):,} texts of {part.name} are longer than the {TEXT} bytes kept.")
        elif part.sizes:
            for first, block in _blocks(values):
                outside = (block < 0) | (block >= part.sizes)
                if outside.any():
                    row = int(np.argmax(outside.reshape(len(block), -1).any(axis=1)))
                    raise DatasetError(
                        f"{file}: {part.name} holds {block[outside][0]} at step {first + row}, where {spec.name} has "
                        f"values below {part.sizes}: name the environment of this file with --task."
                    )
    return notes


def numbers(values: np.ndarray, dtype: str, column: str, file: str) -> np.ndarray:
    """The column as `dtype`, without a copy where it already is.

    Raises:
        DatasetError: it holds something that is no number, NaN, infinity, or what `dtype` cannot hold.
    """
    if values.dtype.kind not in "fiub":
        raise DatasetError(f"{file}: {column} holds {values.dtype} where numbers belong: look at how it was written.")
    with np.errstate(over="ignore", invalid="ignore"):  # reported below, with the place
        converted = values.astype(dtype, copy=False)
    checked = converted if converted.dtype.kind == "f" else values
    for first, block in _blocks(checked) if checked.dtype.kind == "f" else ():  # whole numbers are finite
        if not np.isfinite(block).all():
            row, *rest = np.argwhere(~np.isfinite(block))[0]
            value = values[(first + row, *rest)]
            place = f"step {first + row}" + "".join(f", column {index}" for index in rest)
            raise DatasetError(
                f"{file}: {column} holds {value} at {place} (counted from 0), which no model can learn from: "
                f"repair the file or leave that episode out."
            )
    if (wrong := changed(values, dtype)) is not None:
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        raise DatasetError(
            f"{file}: {column} holds {values[wrong]} at step {wrong[0]}, where whole numbers of {low} to "
            f"{high} belong: write it so, or name the environment of this file with --task."
        )
    return converted


def counted_from_0(actions: np.ndarray, count: int, notes: list[str]) -> np.ndarray:
    """Discrete actions as 0, 1, ..., which may have been written one-hot or from 1; `notes` gets a line then."""
    whole = actions.dtype.kind in "fiub"
    one_hot = whole and actions.shape[1:] == (count,) and count > 1 and bool(np.isin(actions, (0, 1)).all())
    if one_hot and (actions.sum(1) == 1).all():
        notes.append("actions as one-hot")
        return actions.argmax(1)
    if whole and len(actions) and actions.min() == 1 and actions.max() == count:
        notes.append(f"actions as counted from 1 to {count}")
        return actions - 1
    return actions


def choices(values: np.ndarray, count: int, file: str) -> np.ndarray:
    """A column of discrete actions, which may have been written as 0.0, 1.0, ...

    Raises:
        DatasetError: one of them is no whole number, or not below `count`.
    """
    values = numbers(values, str(values.dtype), "actions", file)
    whole = values.astype(np.int64)
    wrong = (whole != values) | (whole < 0) | (whole >= count)
    if wrong.any():
        step = int(np.argmax(wrong))
        raise DatasetError(
            f"{file}: its actions hold {values[step]} at step {step}, but the environment's are 0 to {count - 1}: "
            f"name the environment of this file with --task, or its data set with --env."
        )
    return whole


def flags(values: np.ndarray, column: str, file: str) -> np.ndarray:
    """A column of booleans, (N,), which may have been written as 0.0 and 1.0 and as (N, 1).

    Raises:
        DatasetError: it has another shape, or other values.
    """
    values = flat(values)
    if values.ndim != 1:
        raise DatasetError(f"{file}: {column} has the shape {values.shape}: write one for each step.")
    if values.dtype == bool:
        return values
    values = numbers(values, str(values.dtype), column, file)
    set_ = values != 0
    if not np.array_equal(values, set_):
        row = int(np.argmax(values != set_))
        raise DatasetError(f"{file}: {column} holds {values[row]} at step {row}, where only 0 and 1 mean something.")
    return set_


def flat(values: np.ndarray) -> np.ndarray:
    """(N, 1) as (N,); anything else as it is."""
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def same_length(lengths: dict[str, int], file: str) -> None:
    """Raises DatasetError where the columns disagree on how many steps there are, or there are none."""
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{column} has {length}" for column, length in lengths.items())
        raise DatasetError(
            f"{file}: its columns have different lengths ({listed}), and each must have a row for each step: write it "
            f"again, or get a whole copy."
        )
    if not next(iter(lengths.values())):
        raise DatasetError(f"{file} holds no steps: choose another file.")


def fitting(values: np.ndarray, shape: tuple[int, ...], column: str, file: str, trailing_zeros: int = 0) -> np.ndarray:
    """The column cut to `shape`, which it may exceed by exactly `trailing_zeros` trailing columns of zeros.

    Where `shape` is a row as long as what was found (an image as numbers), it is laid out row by row. A single
    number may have been written as (N,) and as (N, 1), whichever the environment has.

    Raises:
        DatasetError: it is of another width, or those columns are not zero after all.
    """
    found = values.shape[1:]
    if found == shape:
        return values
    if (len(shape) == 1 < len(found) and np.prod(found) == shape[0]) or {found, shape} == {(), (1,)}:
        return values.reshape(len(values), *shape)
    if trailing_zeros and len(shape) == 1 and found == (shape[0] + trailing_zeros,):
        for first, block in _blocks(values):
            if block[:, shape[0] :].any():
                raise DatasetError(
                    f"{file}: its last {trailing_zeros} {column} are not zero (between steps {first} and "
                    f"{first + len(block)}): D4RL's v0 of Ant has contact forces there, which no ant here shows and "
                    f"today's MuJoCo does not repeat: use v2, or leave these columns out of the file."
                )
        return np.ascontiguousarray(values[:, : shape[0]])
    if shape == () and column != "actions":
        raise DatasetError(f"{file}: its {column} have the shape {_text(found)} at each step: write one number a step.")
    raise DatasetError(
        f"{file}: its {column} have the shape {_text(found)}, but the environment's have {_text(shape)}: "
        f"name the environment of this file with --task, or its data set with --env."
    )


def _text(shape: tuple[int, ...]) -> str:
    return " x ".join(str(size) for size in shape) or "of a single number"


def _blocks(values: np.ndarray) -> Iterator[tuple[int, Any]]:
    return ((first, values[first : first + BLOCK]) for first in range(0, len(values), BLOCK))
