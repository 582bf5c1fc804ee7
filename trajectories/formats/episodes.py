"""Where episodes begin and which of them are finished: from what a file marks and from the environment's time limit.

Limit     an environment ends every episode at its time limit. A longer one was not marked where it ended: it is cut
          there, unless the data set's row says that such episodes are real (`long_episodes`: Adroit's human ones)
Finished  terminated, marked as timed out, or exactly as long as the limit. What is left of a cut episode is finished
          only if it terminates; so is a last episode without a mark where all others end by themselves
Unfilled  rows at an episode's end that are zero in every column, where no other row is: a buffer made too large
"""

from typing import NamedTuple

import numpy as np

from trajectories.errors import DatasetError
from trajectories.types import Spec

BLOCK = 1 << 16  # rows


class Division(NamedTuple):
    """How N steps are divided into E episodes."""

    starts: np.ndarray  # (E + 1,) int64; the last entry is N
    finished: np.ndarray  # (E,) bool
    caveats: list[str]  # sentences about what is not as one expects


def marked_within(
    terminals: np.ndarray, timeouts: np.ndarray | None, bounds: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None, np.ndarray, list[str]]:
    """Marks before the last step of what a file stores as one episode: it ends there, too.

    Marks that follow one another are one end, the last of them: robomimic's `dones` stand at every step after success.

    Returns:
        terminals and timeouts of ends alone, the division at all of them, and a caveat if there were any.
    """
    marks = terminals if timeouts is None else terminals | timeouts
    inside = marks.copy()
    inside[bounds[1:] - 1] = False
    if not inside.any():
        return terminals, timeouts, bounds, []
    followed = inside & np.append(marks[1:], False)
    ends, stored = np.flatnonzero(inside & ~followed) + 1, len(bounds) - 1
    caveats = []
    if followed.any():
        caveats.append(f"{followed.sum():,} marks of an end are followed by another one: the last one counts.")
    if len(ends):
        caveats.append(f"{len(ends):,} ends are marked within what is stored as {stored:,} episodes: divided there.")
    timeouts = None if timeouts is None else timeouts & ~followed
    return terminals & ~followed, timeouts, np.union1d(bounds, ends), caveats


def divide(
    terminals: np.ndarray, timeouts: np.ndarray | None, bounds: np.ndarray | None, spec: Spec, long_episodes: bool
) -> Division:
    """Divide the steps into episodes.

    Args:
        terminals: (N,) bool: the task itself ended.
        timeouts: (N,) bool: a time limit ended the episode; None where a file does not say.
        bounds: (B + 1,): the file's own division into episodes; None where the marks alone divide it.
        long_episodes: episodes longer than the environment's time limit are real, and are not cut if they are marked.
    """
    steps, limit = len(terminals), spec.max_episode_steps
    marks = terminals if timeouts is None else terminals | timeouts
    divided = bounds is not None
    if bounds is None:
        bounds = np.union1d(np.flatnonzero(marks) + 1, [0, steps])
    lengths, terminal, closed = np.diff(bounds), terminals[bounds[1:] - 1], marks[bounds[1:] - 1]
    if divided and timeouts is None:  # episodes that are stored apart are finished, but perhaps not the last one
        closed = np.ones(len(lengths), bool)
        ends_by_itself = terminal | (lengths >= limit)
        closed[-1] = ends_by_itself[-1] or len(lengths) == 1 or not ends_by_itself[:-1].all()
    kept = long_episodes and (divided or bool(marks.any()))
    pieces = np.ones_like(lengths) if kept else -(-lengths // limit)
    last = np.cumsum(pieces) - 1  # each recorded episode's last piece
    place = np.arange(last[-1] + 1) - np.repeat(last - pieces + 1, pieces)
    starts = np.append(np.repeat(bounds[:-1], pieces) + limit * place, steps)
    finished = np.diff(starts) == limit
    finished[last] |= terminal | (closed & (pieces == 1))
    return Division(starts.astype(np.int64), finished, _caveats(lengths, np.diff(starts), spec, kept))


def _caveats(recorded: np.ndarray, lengths: np.ndarray, spec: Spec, kept: bool) -> list[str]:
    caveats, longer = [], int((recorded > spec.max_episode_steps).sum())
    if longer:
        caveats.append(
            f"{_counted(longer, recorded)} longer than {spec.name}'s time limit of {spec.max_episode_steps:,} steps "
            f"(up to {recorded.max():,}): {'kept whole' if kept else 'cut there'}."
        )
    single = int((lengths == 1).sum())
    if single and spec.max_episode_steps > 1:
        caveats.append(f"{_counted(single, lengths)} a single step long.")
    return caveats


def _counted(count: int, episodes: np.ndarray) -> str:
    return f"{count:,} of {len(episodes):,} episodes {'is' if count == 1 else 'are'}"


def filled(
    table: dict[str, np.ndarray], bounds: np.ndarray | None, file: str
) -> tuple[dict[str, np.ndarray], np.ndarray | None, list[str]]:
    """The columns and the file's own division (see `divide`) without unfilled rows, and a caveat if there were any.

    Raises:
        DatasetError: all rows are zero.
    """
    steps = len(next(iter(table.values())))
    spans = np.array([0, steps]) if bounds is None else bounds
    if any(values.dtype.kind not in "fiub" for values in table.values()) or not _zero(table, spans[1:] - 1).any():
        return table, bounds, []
    zero = np.concatenate([_zero(table, slice(first, first + BLOCK)) for first in range(0, steps, BLOCK)])
    rows = np.arange(steps)
    unfilled = rows > np.repeat(np.maximum.reduceat(np.where(zero, -1, rows), spans[:-1]), np.diff(spans))
    if (zero & ~unfilled).any():  # so a step may well be zero here
        return table, bounds, []
    if unfilled.all():
        raise DatasetError(f"{file} holds nothing but zeros: record it again.")
    if bounds is not None:
        kept = np.add.reduceat(~unfilled, bounds[:-1], dtype=np.int64)
        bounds = np.concatenate([[0], np.cumsum(kept[kept > 0])])
    left_out = f"{unfilled.sum():,} of {steps:,} rows are zero in every column, as if never filled: left out."
    return {name: values[~unfilled] for name, values in table.items()}, bounds, [left_out]


def _zero(table: dict[str, np.ndarray], rows: np.ndarray | slice) -> np.ndarray:
    """Which of the rows are zero in every column; the narrow columns first, for most rows are not."""
    zero: np.ndarray | None = None
    for values in sorted(table.values(), key=lambda values: values[:1].nbytes):
        chosen = values[rows]
        empty = ~(chosen.reshape(len(chosen), -1) != 0).any(axis=1)
        zero = empty if zero is None else zero & empty
        if not zero.any():
            break
    assert zero is not None
    return zero
