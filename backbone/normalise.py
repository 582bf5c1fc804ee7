"""Observations to zero mean and unit deviation, by the data set's own figures, kept in the model."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from trajectories.store import release


class Normalise(nn.Module):
    """(x - mean) / deviation, per number of an observation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def calibrate(self, observations: np.ndarray) -> None:
        """Take mean and deviation of (N, *obs) observations; the deviation is kept above zero as kzl does."""
        mean, deviation = moments(observations)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(deviation + 1e-6))  # kzl gym/experiment.py:82

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


def moments(observations: np.ndarray, rows: int = 2**18) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of each number, (S,) float64, taken `rows` at a time so that memory maps stay on disk."""
    flat = observations.reshape(len(observations), -1)

    def pieces() -> Iterator[np.ndarray]:
        for start in range(0, len(flat), rows):
            yield flat[start : start + rows]
            release(flat)

    mean = sum(piece.sum(0, dtype=np.float64) for piece in pieces()) / len(flat)
    variance = sum(np.square(piece - mean).sum(0) for piece in pieces()) / len(flat)
    return mean, np.sqrt(variance)
