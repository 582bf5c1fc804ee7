"""OGBench's cubes: an arm of type UR5e with two fingers carries one cube or two to given places, stacked in one task.

Source   Park et al. 2025, arXiv:2410.20092, by ogbench 1.2.2 (manipspace/envs/cube_env.py). The stand-in for RGB
         stacking, whose own environments cannot be installed: it is another robot with other cubes
Tasks    the five per environment that OGBench evaluates on; an episode's seed draws one, and its start
Differs  from the package: the goal, which it gives beside the observation, is part of it, as the places of the cubes;
         the task is drawn by the seed, and so are the two random actions that a reset takes, which are not even seeded
Copies   share one compiled model of 70 MB: the first takes a second, more of them milliseconds

Observation  joints of the arm (6) and their velocities (6), the fingers' place (3), cosine and sine of their yaw,
             opening and contact, then of each cube place (3), quaternion (4), cosine and sine of its yaw, and last
             where each cube has to go (3): rad, rad/s, 10 cm; (31,) or (43,)
Action       where the fingers move, 1 being 5 cm (3), turn, 0.3 rad, and close; relative to where they are
Reward       1 once all cubes are within 4 cm of their places, which ends the episode; 0 before
"""

import atexit
import copy
import warnings
from typing import Any

import mujoco
import numpy as np
from gymnasium import spaces
from gymnasium.wrappers import TimeLimit

from environments.gymnasium import GymnasiumEnvironments
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

CENTER, SCALE = np.array([0.425, 0.0, 0.0]), 10.0  # of places in observations: compute_observation of cube_env.py
PICTURE = 480  # pixels a side


class CubeEnvironments(GymnasiumEnvironments):
    """E arms; see `environments.interface.Environments`."""

    knows_success = True
    _first: Any = None

    def _make(self, render_mode: str | None) -> Any:
        if self._first is None:
            self._first = _class()(**self._options, width=PICTURE, height=PICTURE)
            self._first.reset(seed=0)  # compiles
            return TimeLimit(self._first, self._row.max_episode_steps)
        another = copy.copy(self._first)
        another._data = mujoco.MjData(another.model)
        return TimeLimit(another, self._row.max_episode_steps)

    @property
    def step_seconds(self) -> float:
        return float(self._first.control_timestep())

    def render(self, index: int) -> np.ndarray:
        """What one copy's camera sees, (480, 480, 3) uint8.

        Raises:
            UserError: nothing here can draw without a screen.
        """
        if self.inside(index)._renderer is None:
            atexit.register(self.close)  # a renderer that is still open when Python ends prints errors
        return super().render(index)

    def close(self) -> None:
        for each in map(self.inside, range(self.count)):
            if each._renderer is not None:
                each._renderer.close()

    def _succeeded(self, info: dict[str, Any], reward: float) -> bool:
        return bool(info["success"])


def _class() -> Any:
    """The package's class with the goal in the observation, and with all chance from the seed.

    Raises:
        UserError: the package is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that there is no screen: the package imports MuJoCo's viewer
            from ogbench.manipspace.envs.cube_env import CubeEnv
    except ImportError as error:
        raise UserError(
            f"OGBench's cubes need ogbench, which is not here ({error}): pip install -r requirements-extra.txt."
        ) from error

    class SeededCubes(CubeEnv):  # type: ignore[misc]
        action_space = spaces.Box(-1, 1, (5,), np.float32)

        def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
            generator = np.random.default_rng(seed)
            self.action_space = spaces.Box(-1, 1, (5,), np.float32, seed=int(generator.integers(1 << 31)))
            task = int(generator.integers(1, self.num_tasks + 1))
            return super().reset(seed=seed, options={"task_id": task})

        @property
        def observation_space(self) -> spaces.Box:
            return spaces.Box(-np.inf, np.inf, self.compute_observation().shape, np.float64)

        def compute_observation(self) -> np.ndarray:
            goals = (self.targets() - CENTER) * SCALE
            return np.concatenate([super().compute_observation(), goals.ravel()])

        def targets(self) -> np.ndarray:
            """Where each cube has to go, (cubes, 3): m."""
            return self._data.mocap_pos[self._cube_target_mocap_ids]

        def render(self) -> np.ndarray:
            self.post_step()  # colors, which are the model's, may be another copy's
            return super().render()

    return SeededCubes


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> CubeEnvironments:
    return CubeEnvironments(row, count, render_mode)
