"""Toy: a walk along a line, for tests and for a first command that takes seconds.

Each step moves a point by the action and earns the action, so that the return is the speed of the point: slow
behavior earns about 6, fast about 18, and a model with either target return visibly reaches it.

Observation  (position / horizon, elapsed share of the episode), the start being drawn from [-1, 1]
Action       one number, clipped to [-1, 1]
"""

from collections.abc import Sequence

import numpy as np

from environments.interface import Step
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow
from trajectories.types import Spec


class ToyEnvironments:
    """E points, stepped as one array; see `environments.interface.Environments`."""

    def __init__(self, spec: Spec, count: int) -> None:
        self.spec = spec
        self.count = count
        self._positions = np.zeros(count)
        self._steps = np.zeros(count, np.int64)

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), from a start that its seed draws; (E, 2) float32."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            self._positions[copy] = np.random.default_rng(int(seeds[copy])).uniform(-1, 1)
            self._steps[copy] = 0
        return self._observations()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Move the live points by their (E, 1) actions, clipped to [-1, 1]; only the time limit ends an episode.

        Raises:
            UserError: a live point's action is not a number.
        """
        if np.isnan(actions[live]).any():
            raise UserError(f"{self.spec.name} was given an action that is not a number: the policy has diverged.")
        moves = np.where(live, np.clip(actions[:, 0], -1, 1).astype(np.float64), 0.0)
        self._positions += moves
        self._steps += live
        return Step(
            observations=self._observations(),
            rewards=moves,
            terminated=np.zeros(self.count, bool),
            truncated=live & (self._steps >= self.spec.max_episode_steps),
        )

    def infos(self) -> dict[str, np.ndarray]:
        """No simulator stands behind this environment."""
        return {}

    def render(self, index: int) -> np.ndarray:
        """The line from -horizon to horizon with the point on it, (64, 256, 3) uint8."""
        picture = np.full((64, 256, 3), 255, np.uint8)
        picture[31:33] = 200
        center = int(np.clip((self._positions[index] / self.spec.max_episode_steps + 1) * 128, 4, 251))
        picture[28:36, center - 4 : center + 4] = (200, 60, 40)
        return picture

    def close(self) -> None:
        """Nothing is held."""

    def _observations(self) -> np.ndarray:
        max_episode_steps = self.spec.max_episode_steps
        return np.stack([self._positions / max_episode_steps, self._steps / max_episode_steps], axis=1).astype(
            np.float32
        )


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> ToyEnvironments:
    return ToyEnvironments(row.spec(), count)
