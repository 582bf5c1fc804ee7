"""What a family of environments offers to the evaluator and the collector."""

from collections.abc import Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from trajectories.types import Spec


class Step(NamedTuple):
    """One step of E environments; rows of finished episodes hold what they held before, with zero reward."""

    observations: np.ndarray  # (E, *obs)
    rewards: np.ndarray  # (E,) float64
    terminated: np.ndarray  # (E,) bool: the task itself ended
    truncated: np.ndarray  # (E,) bool: the time limit cut the episode off
    success: np.ndarray | None = None  # (E,) bool: the episode has succeeded by now; None: the family knows no success


@runtime_checkable
class Environments(Protocol):
    """E independent copies of one environment, stepped together. Actions are checked and used as they are given."""

    @property
    def spec(self) -> Spec: ...
    @property
    def count(self) -> int: ...

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`, (E,) bool), from that copy's seed; (E, *obs)."""
        ...

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the copies that are `live`, (E,) bool; the others are left alone."""
        ...

    def render(self, index: int) -> np.ndarray:
        """What one copy looks like now, (H, W, 3) uint8, rendered off screen."""
        ...

    def close(self) -> None: ...


class Wrapped:
    """A wrapper that passes every call on; subclasses change some of them."""

    def __init__(self, environments: Environments) -> None:
        self._environments = environments

    @property
    def spec(self) -> Spec:
        return self._environments.spec

    @property
    def count(self) -> int:
        return self._environments.count

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        return self._environments.reset(seeds, only)

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        return self._environments.step(actions, live)

    def render(self, index: int) -> np.ndarray:
        return self._environments.render(index)

    def close(self) -> None:
        self._environments.close()
