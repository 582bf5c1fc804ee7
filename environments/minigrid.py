"""MiniGrid: four rooms, observed through a window of 7 x 7 cells.

Source   https://minigrid.farama.org (minigrid 3.2.0); D4RL's goal and time limit by its row in catalog.toml
Reward   1 - 0.9 x steps / 100 for reaching the goal, which ends the episode with success

Observation  7 x 7 cells, each (object, color, state), row by row: (147,) whole numbers. D4RL recorded neither the
             direction, which the view shows, nor the mission, which never changes; Minari's data sets hold both, and
             are played by environments/gymnasium.py
Action       turn left, turn right, forward, pick up, drop, toggle, done
"""

from typing import Any

import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from trajectories.rows import EnvironmentRow


class RoomEnvironments(GymnasiumEnvironments):
    """E worlds; see `environments.interface.Environments`."""

    knows_success = True

    def _observation(self, copy: int, observation: Any) -> np.ndarray:
        return np.asarray(observation["image"], np.int64).reshape(-1)

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return reward > 0


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> RoomEnvironments:
    return RoomEnvironments(row, count, render_mode)
