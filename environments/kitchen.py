"""Kitchen: a Franka arm with four things to do; a step earns 1 for each that it completes.

Source   https://robotics.farama.org/envs/franka_kitchen/ (gymnasium-robotics 1.4.2), after Gupta et al. 2019,
         arXiv:1910.11956
Differs  from gymnasium-robotics: shows what D4RL recorded. From D4RL: see the rows in catalog.toml

Observation  9 joints of the robot, 21 numbers of the kitchen, then the goal of these 30: 0 where there is no goal
             (d4rl/kitchen/kitchen_envs.py)
Action       velocities of the 9 joints, [-1, 1]
"""

from typing import Any

import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from trajectories.rows import EnvironmentRow

ROBOT, KITCHEN = slice(0, 9), slice(18, 39)  # of FrankaKitchen's own 59 numbers, velocities being the rest
GOALS = {  # places among D4RL's 30 numbers, and the goal there
    "bottom burner": (11, (-0.88, -0.01)),
    "top burner": (15, (-0.92, -0.01)),
    "light switch": (17, (-0.69, -0.05)),
    "slide cabinet": (19, (0.37,)),
    "hinge cabinet": (20, (0.0, 1.45)),
    "microwave": (22, (-0.75,)),
    "kettle": (23, (-0.23, 0.75, 1.62, 0.99, 0.0, 0.0, -0.06)),
}


def goal(tasks: tuple[str, ...]) -> np.ndarray:
    """The tasks' goal for the 30 numbers, (30,)."""
    goal = np.zeros(30)
    for task in tasks:
        first, values = GOALS[task]
        goal[first : first + len(values)] = values
    return goal


class KitchenEnvironments(GymnasiumEnvironments):
    """E kitchens; see `environments.interface.Environments`."""

    def __init__(self, row: EnvironmentRow, count: int, render_mode: str | None = None) -> None:
        tasks = row.options["tasks"]
        self._goal = goal(tasks)
        super().__init__(row, count, render_mode, {"tasks_to_complete": list(tasks)})

    def _observation(self, copy: int, observation: Any) -> np.ndarray:
        state = observation["observation"]
        return np.concatenate([state[ROBOT], state[KITCHEN], self._goal])


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> KitchenEnvironments:
    return KitchenEnvironments(row, count, render_mode)
