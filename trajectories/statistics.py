"""Statistics of columns that may be larger than memory, taken block by block."""

import math
from collections.abc import Iterator

import numpy as np

from trajectories.store import drop_pages

ROWS, NUMBERS = 1 << 16, 1 << 22  # at most, of a block


def blocks(values: np.ndarray) -> Iterator[slice]:
    """The rows of a column block by block, in smaller blocks where a row is wide."""
    count = min(ROWS, max(1, NUMBERS // math.prod(values.shape[1:])))
    return (slice(first, first + count) for first in range(0, len(values), count))


def moments(values: np.ndarray, rows: int = 2**18) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each number of a row, (S,) float64, `rows` at a time."""
    flat = values.reshape(len(values), -1)

    def pieces() -> Iterator[np.ndarray]:
        for start in range(0, len(flat), rows):
            yield flat[start : start + rows]
            drop_pages(flat)

    mean = sum(piece.sum(0, dtype=np.float64) for piece in pieces()) / len(flat)
    variance = sum(np.square(piece - mean).sum(0) for piece in pieces()) / len(flat)
    return mean, np.sqrt(variance)


def extremes(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest of each column."""
    low, high = values[0].copy(), values[0].copy()
    for rows in blocks(values):
        low, high = np.minimum(low, values[rows].min(0)), np.maximum(high, values[rows].max(0))
    return low, high
