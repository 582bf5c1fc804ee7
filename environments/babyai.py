"""BabyAI: an instruction, and a grid of rooms, doors, keys, balls and boxes to carry it out in.

Source   Chevalier-Boisvert et al. 2019, arXiv:1810.08272, by minigrid 3.2.0
Reward   1 - 0.9 x steps / limit for carrying out the mission, which ends the episode; 0 where it can no longer be
         carried out, which ends it, too, or when the limit is reached
Success  a reward

Observation  parts: the direction, the 7 x 7 cells before the agent, each (object, color, state), and the mission
Action       turn left, turn right, forward, pick up, drop, toggle, done
"""

import io
from collections.abc import Sequence
from contextlib import redirect_stdout
from typing import Any

import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from trajectories.rows import EnvironmentRow


class BabyAIEnvironments(GymnasiumEnvironments):
    """E levels; see `environments.interface.Environments`."""

    knows_success = True

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        with redirect_stdout(io.StringIO()):  # which draws were rejected
            return super().reset(seeds, only)

    def _make(self, render_mode: str | None) -> Any:
        with redirect_stdout(io.StringIO()):
            return super()._make(render_mode)

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return reward > 0


def create(
    row: EnvironmentRow, count: int, physics: str, threads: int, render_mode: str | None = None
) -> BabyAIEnvironments:
    return BabyAIEnvironments(row, count, render_mode)
