"""Experts that are small policies trained here: FOLDER/NAME.safetensors, with its card (.json) and its curve (.csv)."""

from pathlib import Path
from typing import Any

import numpy as np

from sources.experts.policy import load


class Trained:
    """A policy trained by train.py; see `sources.experts.interface.Expert`.

    Args:
        weights: the policy's file.
        steps: the longest episode's.
        noise: actions have a share of the policy's own noise that each episode draws evenly from [0, noise]; None: all
            of it.

    Raises:
        UserError: the file is missing or damaged.
    """

    def __init__(self, weights: Path, steps: int, noise: float | None = None) -> None:
        self._policy, self._steps, self._noise = load(weights), steps, noise

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        share = 1.0 if self._noise is None else generator.uniform(0, self._noise)
        self._chance = iter(share * self._policy.draw(generator, self._steps))

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        return self._policy.act(self.numbers(environment, observation)[None], next(self._chance)[None])[0]

    def numbers(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        """What the policy reads, (S,)."""
        return observation
