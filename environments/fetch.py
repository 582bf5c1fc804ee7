"""Fetch: a robot's arm reaches for a place, pushes a block to it, or carries it there.

Source   https://robotics.farama.org/envs/fetch/ (gymnasium-robotics 1.4.2), after Plappert et al. 2018,
         arXiv:1802.09464
Reward   -1 where the goal is farther than 5 cm away, else 0; the task never ends before its 50 steps
Success  `info["is_success"]` of any step. The paper counts the last one: here who leaves the goal again has succeeded

Observation  the package's `observation` (10 numbers, 25 where there is a block), then what is to be at the goal (3) and
             the goal (3): m, m/step, rad
Action       where the gripper moves, 1 being 5 cm (3), and how it opens (1), which reach and push do without
"""

from typing import Any

from environments.gymnasium import GymnasiumEnvironments
from trajectories.rows import EnvironmentRow


class FetchEnvironments(GymnasiumEnvironments):
    """E robots; see `environments.interface.Environments`."""

    knows_success = True

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return bool(info["is_success"])


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> FetchEnvironments:
    return FetchEnvironments(row, count, render_mode)
