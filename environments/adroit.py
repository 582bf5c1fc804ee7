"""Adroit: a hand of 24 joints turns a pen, opens a door, drives a nail or moves a ball.

Source   https://robotics.farama.org/envs/adroit_hand/ (gymnasium-robotics 1.4.2), after Rajeswaran et al. 2018,
         arXiv:1709.10087
Differs  from gymnasium-robotics: episodes end after D4RL's horizon, and where the pen is dropped, as they did in D4RL
         (d4rl/hand_manipulation_suite/pen_v0.py). From D4RL: see the rows in catalog.toml
"""

from typing import Any

import numpy as np

from environments.gymnasium import GymnasiumEnvironments
from environments.interface import Step
from trajectories.rows import EnvironmentRow

DROPPED = 0.075  # m; a pen below this height lies beside the hand


class AdroitEnvironments(GymnasiumEnvironments):
    """E hands; see `environments.interface.Environments`."""

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        step = super().step(actions, live)
        if self.spec.name != "pen":
            return step
        dropped = np.array([self._height(copy.unwrapped) < DROPPED for copy in self._copies])
        return step._replace(terminated=live & dropped, truncated=step.truncated & ~dropped)

    def infos(self) -> dict[str, np.ndarray]:
        """The simulator's state before the next step, as D4RL records it."""
        states = [copy.unwrapped.data for copy in self._copies]
        return {"qpos": np.array([state.qpos for state in states]), "qvel": np.array([state.qvel for state in states])}

    def _height(self, hand: Any) -> float:
        return float(hand.data.xpos[hand.obj_body_id][2])


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> AdroitEnvironments:
    return AdroitEnvironments(row, count, render_mode)
