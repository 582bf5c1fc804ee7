"""Statistics over seeds: mean and deviation, the interquartile mean, and bootstrap intervals.

Source    Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice", arXiv:2108.13264 (rliable)
Unit      one number for each seed: the mean over that run's episodes. Episodes are never pooled over seeds, because
          they share their weights: a hundred of them are not a hundred experiments.
Differs   from rliable only in being written out here, so that results need NumPy alone, and in taking tasks with
          different numbers of seeds; tests hold the two together
Letters   a task is a row of the table; n its seeds, R resamples
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 20_000
SEED = 0  # of the bootstrap: the same records give the same table


@dataclass(frozen=True)
class Summary:
    """A score over seeds; with one seed it has no spread."""

    seeds: int
    mean: float
    std: float | None = None  # over seeds, n - 1 in the denominator
    iqm: float | None = None
    low: float | None = None  # 95% interval of the interquartile mean
    high: float | None = None


def interquartile_mean(scores: np.ndarray) -> np.ndarray:
    """Mean of what is left of the last axis when a quarter (rounded down) is cut at either end; (..., n) -> (...)."""
    cut = scores.shape[-1] // 4
    return np.sort(scores, axis=-1)[..., cut : scores.shape[-1] - cut].mean(axis=-1)


def bootstrap_interval(
    scores: Sequence[np.ndarray],
    statistic: Callable[[np.ndarray], np.ndarray] = interquartile_mean,
    confidence: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap, stratified: each task's seeds are drawn again from that task's own.

    Args:
        scores: one array for each task, (seeds of that task,).
        statistic: of all the tasks' scores together, (..., n) -> (...).
    """
    low, high = middle(statistic(np.concatenate(resampled(scores), axis=1)), confidence)
    return float(low), float(high)


def resampled(tasks: Sequence[np.ndarray], times: int = RESAMPLES, seed: int = SEED) -> list[np.ndarray]:
    """Each task's scores (n,) drawn again from its own, with replacement: (R, n) each."""
    return [task[places] for task, places in zip(tasks, draws(tuple(map(len, tasks)), times, seed), strict=True)]


@lru_cache(maxsize=16)
def draws(sizes: tuple[int, ...], times: int = RESAMPLES, seed: int = SEED) -> tuple[np.ndarray, ...]:
    """Which of each task's n seeds are drawn, (R, n): the same for all that have as many."""
    rng = np.random.default_rng(seed)
    return tuple(rng.integers(size, size=(times, size)).astype(np.uint16) for size in sizes)


def counted(places: np.ndarray) -> np.ndarray:
    """How often each of n seeds was drawn, (R, n) -> (R, n)."""
    times, size = places.shape
    flat = places + size * np.arange(times)[:, None]
    return np.bincount(flat.ravel(), minlength=times * size).reshape(times, size)


def middle(values: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Between which two values the middle share of the first axis lies: (R, ...) -> (2, ...)."""
    tail = (1 - confidence) / 2
    return np.quantile(values, [tail, 1 - tail], axis=0)


def summarize(scores: Sequence[float]) -> Summary:
    """One cell of the table, from one score a seed."""
    values = np.asarray(scores, np.float64)
    if len(values) == 1:
        return Summary(seeds=1, mean=float(values[0]))
    low, high = bootstrap_interval([values])
    return Summary(
        seeds=len(values),
        mean=float(values.mean()),
        std=float(values.std(ddof=1)),
        iqm=float(interquartile_mean(values)),
        low=low,
        high=high,
    )


def performance_profile(tasks: Sequence[np.ndarray], levels: np.ndarray) -> np.ndarray:
    """The share of runs that score above each level, every task weighing the same: (L,) levels -> (L,)."""
    return np.mean([above(task, levels) for task in tasks], axis=0)


def profile_interval(tasks: Sequence[np.ndarray], levels: np.ndarray, times: int = 2_000) -> np.ndarray:
    """The 95% stratified bootstrap interval of a performance profile at each level, (2, L)."""
    drawn = zip(tasks, draws(tuple(map(len, tasks)), times), strict=True)
    return middle(np.mean([counted(places) @ (task[:, None] > levels) / len(task) for task, places in drawn], axis=0))


def above(scores: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The share of scores (n,) above each of L levels, (L,)."""
    return (scores > levels[:, None]).mean(-1)


def probability_of_improvement(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> float:
    """How likely a run of the first beats one of the second on the same task, averaged over the tasks; ties half."""
    return float(np.mean([better(one, other) for one, other in zip(first, second, strict=True)]))


def improvement_interval(first: Sequence[np.ndarray], second: Sequence[np.ndarray]) -> tuple[float, float]:
    """Its 95% stratified bootstrap interval: both sides' seeds are drawn again, task by task."""
    sizes = (tuple(map(len, side)) for side in (first, second))
    drawn = zip(first, second, draws(next(sizes)), draws(next(sizes), seed=SEED + 1), strict=True)
    low, high = middle(np.mean([better_drawn(*each) for each in drawn], axis=0))
    return float(low), float(high)


def better(first: np.ndarray, second: np.ndarray) -> float:
    """The share of pairs of scores, (n,) and (m,), in which the first is greater, ties counting half."""
    everybody = (np.arange(len(scores))[None] for scores in (first, second))
    return float(better_drawn(first, second, *everybody)[0])


def better_drawn(first: np.ndarray, second: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """`better` in each of R draws, by how many of the second's runs lie below each of the first's: not pair by pair.

    Args:
        first, second: scores, (n,) and (m,).
        ours, theirs: which of them were drawn, (R, n) and (R, m).
    """
    order = np.argsort(second)
    drawn = np.cumsum(counted(theirs)[:, order], axis=1)
    below = np.pad(drawn, ((0, 0), (1, 0)))  # (R, m + 1): how many drawn runs are among the lowest 0, 1, ... m
    less, equal = (np.searchsorted(second[order], first, side) for side in ("left", "right"))
    beaten = np.take_along_axis(0.5 * (below[:, less] + below[:, equal]), ours.astype(np.intp), axis=1)
    return beaten.sum(1) / (len(first) * len(second))
