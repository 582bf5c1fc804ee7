"""What the planner strives for in tasks of the Control Suite: each task's reward, made dense where it is 0 or 1.

Source   the formulas of dm_control 1.0.28's suite/, whose lengths and sizes are read off the model
Shapes   N candidates, H steps; each function gives (N, H)
"""

import mujoco
import numpy as np
from dm_control.utils.rewards import tolerance

from sources.experts.predictive_sampling import Futures

STAND_HEIGHT = 1.2  # m, of the walker's torso


def point_mass(model: mujoco.MjModel, futures: Futures) -> np.ndarray:
    """The reward, less the distance."""
    distance = np.hypot(futures.positions[..., 0], futures.positions[..., 1])
    size = model.geom("target").size[0]
    small = tolerance(futures.actions, margin=1, value_at_margin=0, sigmoid="quadratic").mean(-1)
    near: np.ndarray = tolerance(distance, (0, size), size) * (4 + small) / 5
    return near - 5 * distance


def ball_in_cup(model: mujoco.MjModel, futures: Futures) -> np.ndarray:
    """The ball in the cup, less its distance."""
    cup, ball = futures.positions[..., :2], futures.positions[..., 2:]
    target = model.site("target")
    offset = (ball + model.body("ball").pos[[0, 2]]) - (cup + model.body("cup").pos[[0, 2]] + target.pos[[0, 2]])
    inside = (np.abs(offset) < target.size[[0, 2]] - model.geom("ball").size[0]).all(-1)
    return inside - 2 * np.hypot(offset[..., 0], offset[..., 1])


def walker_stand(model: mujoco.MjModel, futures: Futures) -> np.ndarray:
    """The reward for a high and upright torso."""
    height = futures.positions[..., 0] + model.body("torso").pos[2]
    standing = tolerance(height, (STAND_HEIGHT, np.inf), STAND_HEIGHT / 2)
    upright = (1 + np.cos(futures.positions[..., 2])) / 2
    reward: np.ndarray = (3 * standing + upright) / 4
    return reward
