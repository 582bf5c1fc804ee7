"""What is said of several seeds: mean and deviation, the interquartile mean, and a bootstrap interval.

Source    Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice", arXiv:2108.13264 (rliable)
Unit      one number for each seed: the mean over that run's episodes. Episodes are never pooled over seeds, because
          they share their weights: a hundred of them are not a hundred experiments.
Differs   from rliable only in being written out here, so that results need NumPy alone; a test holds the two together
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 20_000
SEED = 0  # of the bootstrap: the same records give the same table


@dataclass(frozen=True)
class Summary:
    """A score over seeds. With one seed there is nothing to say about its spread, and nothing is said."""

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
    rng = np.random.default_rng(SEED)
    drawn = [task[rng.integers(len(task), size=(RESAMPLES, len(task)))] for task in scores]  # each (R, seeds)
    values = statistic(np.concatenate(drawn, axis=1))  # (R,)
    tail = (1 - confidence) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def summarise(scores: Sequence[float]) -> Summary:
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
