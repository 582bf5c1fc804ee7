"""DeepMind's Control Suite: its 28 benchmark tasks, as dm_control plays them from the same seed.

Source   Tassa et al. 2018, arXiv:1801.00690; github.com/google-deepmind/dm_control (1.0.28)
Reward   0 to 1 a step, so that an episode of 1,000 steps earns 0 to 1,000; no episode ends before that

Observation  the parts of the task's dictionary, flattened one after the other in its own order, float32; or with the
             option `pixels`, one picture of so many rows and columns, (H, W, 3) uint8, without shadows and reflections,
             which are most of what drawing costs
Action       [-1, 1], the bounds of all the benchmark's tasks; where others are symmetric, in units of these
Bodies       the option `bodies` has others drawn for each episode (embodiments.py)
"""

import atexit
import copy
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from dm_control import suite

from environments.embodiments import Embodiments
from environments.interface import Step
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

VIDEO = 480  # rows and columns of what `render` draws


class ControlSuiteEnvironments:
    """E copies of one task; see `environments.interface.Environments`."""

    def __init__(self, row: EnvironmentRow, count: int) -> None:
        self.spec = row.spec()
        self.count = count
        self._copies = self._load(row)
        self._bodies = [Embodiments(one.physics.model.ptr, row.options.get("bodies", "")) for one in self._copies]
        self._highest = self._copies[0].action_spec().maximum
        self._cameras: dict[int, Camera] = {}  # by size
        self._pixels = int(row.options.get("pixels", 0))
        self._steps = np.zeros(count, np.int64)  # since each copy's episode began
        self._observations = np.zeros((count, *self.spec.observation_shape), self.spec.observation_dtype)

    @property
    def step_seconds(self) -> float:
        """How long one step lasts, in the simulation's time."""
        return float(self._copies[0].control_timestep())

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), as dm_control does from the same seed; (E, *obs)."""
        for index in range(self.count) if only is None else np.flatnonzero(only).tolist():
            environment = self._copies[index]
            self._bodies[index].draw(environment.physics.data.ptr, int(seeds[index]))
            self._seed(environment, int(seeds[index]))
            self._observations[index] = self._observation(index, environment.reset().observation)
            self._steps[index] = 0
        return self._observations.copy()

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the live copies with (E, A) actions, clipped to [-1, 1].

        Raises:
            UserError: a live copy's action is not a number.
        """
        actions = np.clip(np.asarray(actions, np.float64), -1, 1)
        if actions.shape != (self.count, *self.spec.action_shape):
            raise ValueError(f"actions are {actions.shape}, not {(self.count, *self.spec.action_shape)}")
        if np.isnan(actions[live]).any():
            raise UserError(f"{self.spec.name} was given an action that is not a number: the policy has diverged.")
        rewards = np.zeros(self.count)
        for index in np.flatnonzero(live).tolist():
            step = self._copies[index].step(actions[index] * self._highest)
            rewards[index] = step.reward
            self._observations[index] = self._observation(index, step.observation)
        self._steps += live
        truncated = live & (self._steps >= self.spec.max_episode_steps)
        return Step(self._observations.copy(), rewards, np.zeros(self.count, bool), truncated)

    def inside(self, index: int) -> Any:
        """dm_control's own environment of one copy, for experts that look inside."""
        return self._copies[index]

    def infos(self) -> dict[str, np.ndarray]:
        """Positions and velocities of each copy's joints, (E, P) and (E, V)."""
        data = [one.physics.data for one in self._copies]
        return {"qpos": np.stack([one.qpos for one in data]), "qvel": np.stack([one.qvel for one in data])}

    def render(self, index: int) -> np.ndarray:
        """One copy as its first camera sees it, (480, 480, 3) uint8.

        Raises:
            UserError: nothing here can draw without a screen.
        """
        return self._picture(index, VIDEO)

    def close(self) -> None:
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}

    def _load(self, row: EnvironmentRow) -> list[Any]:
        """dm_control's environments, one for each copy."""
        first = suite.load(row.options["domain"], row.options["task"])
        return [first, *(copy.deepcopy(first) for _ in range(self.count - 1))]

    def _seed(self, environment: Any, seed: int) -> None:
        """Have the next episode drawn from a seed."""
        environment.task._random = np.random.RandomState(seed)

    def _observation(self, index: int, parts: dict[str, Any]) -> np.ndarray:
        if self._pixels:
            return self._picture(index, self._pixels)
        return np.concatenate([np.ravel(part) for part in parts.values()])

    def _picture(self, index: int, size: int) -> np.ndarray:
        physics = self._copies[index].physics
        if size not in self._cameras:
            self._cameras[size] = Camera(physics.model.ptr, size, shadows=size == VIDEO)
        return self._cameras[size].picture(physics.model.ptr, physics.data.ptr)


class Camera:
    """Draws copies of one task off screen, as the first camera of its model sees them."""

    def __init__(self, model: mujoco.MjModel, size: int, shadows: bool) -> None:
        if not shadows:
            model = copy.copy(model)
            model.vis.quality.shadowsize = 0
        try:
            self._renderer = mujoco.Renderer(model, size, size)
        except Exception as error:  # whatever a missing screen or library makes it raise
            raise UserError(
                f"There is neither a screen nor EGL or OSMesa to draw with ({error}): install libegl1 and libgl1."
            ) from error
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[flag] = shadows
        self._options = mujoco.MjvOption()
        self._camera = mujoco.MjvCamera()
        self._camera.type, self._camera.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED, 0
        atexit.register(self.close)  # a renderer that is still open when Python ends prints errors

    def picture(self, model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
        """(H, W, 3) uint8 of one copy, which has a model of its own."""
        every = mujoco.mjtCatBit.mjCAT_ALL
        mujoco.mjv_updateScene(model, data, self._options, None, self._camera, every, self._renderer.scene)
        return self._renderer.render()

    def close(self) -> None:
        self._renderer.close()


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> ControlSuiteEnvironments:
    return ControlSuiteEnvironments(row, count)
