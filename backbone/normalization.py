"""Observations to zero mean and unit deviation, by the data set's own figures, kept in the model.

Differs  kzl divides by the deviation + 1e-6 (gym/experiment.py:82 at e2d82e6), whatever it is. A number that never
         moves in the data (a goal, a mass, a joint that is fixed) and is 0.0001 off in play is then 100 deviations off,
         and actions are lost. Such a number is divided by 1 here
"""

import numpy as np
import torch
from torch import Tensor, nn

from trajectories.statistics import moments

CONSTANT = 1e-5  # in units, or in parts of the mean; the least of D4RL's numbers that move is a door's latch, at 1e-3


class Normalize(nn.Module):
    """(x - mean) / deviation, per number of an observation."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("deviation", torch.ones(size))

    def calibrate(self, observations: np.ndarray) -> None:
        """Take mean and deviation of (N, *obs) observations; 1 is the deviation of a number that is constant.

        Where these are fewer numbers, the rest is one-hot (flatten.py) and stays as it is.
        """
        mean, deviation = moments(observations)
        scale = np.where(is_constant(mean, deviation), 1.0, deviation + 1e-6)
        self.mean[: len(mean)] = torch.from_numpy(mean)
        self.deviation[: len(mean)] = torch.from_numpy(scale)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation


def is_constant(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Whether a number of this mean and standard deviation never moves but for rounding: nothing to divide by."""
    return std <= CONSTANT * np.maximum(np.abs(mean), 1.0)
