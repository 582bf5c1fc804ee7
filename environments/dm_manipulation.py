"""DeepMind's manipulation tasks: a Jaco arm with a hand of three fingers.

Source   github.com/google-deepmind/dm_control (1.0.28), dm_control/manipulation; Tunyasuvunakool et al. 2020,
         Software Impacts 6, "dm_control: Software and tasks for continuous control"
Reward   0 to 1 a step, 250 steps of 0.04 s: an episode earns 0 to 250; no episode ends before that

Observation  as in dm_control.py
Action       velocities that the six joints and three fingers are to have, in units of their highest
"""

from typing import Any

from dm_control import manipulation

from environments.dm_control import ControlSuiteEnvironments
from trajectories.rows import EnvironmentRow


class ManipulationEnvironments(ControlSuiteEnvironments):
    """E copies of one task; see `environments.interface.Environments`."""

    def _load(self, row: EnvironmentRow) -> list[Any]:
        return [manipulation.load(row.options["task"]) for _ in range(self.count)]

    def _seed(self, environment: Any, seed: int) -> None:
        environment.random_state.seed(seed)


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> ManipulationEnvironments:
    return ManipulationEnvironments(row, count)
