"""Copies of one compiled MuJoCo model, stepped together: what every family of MuJoCo environments shares.

They are stepped one after the other: threads that share them gain nothing, since a step is over in 50 microseconds, and
to hand on Python's lock takes as long. Processes share a long recording instead (sources/collect.py).

Shapes   E copies, P positions (qpos), V velocities (qvel), A actuators
"""

import atexit
import os
import sys
from collections.abc import Sequence

import mujoco
import numpy as np

from environments.interface import Step
from trajectories.errors import UserError
from trajectories.types import Spec


class SimulatedEnvironments:
    """E copies of one model; a family defines starts, observations, rewards and ends.

    See `environments.interface.Environments`.
    """

    camera: str | int = -1  # free, where the model has no camera of its own

    def __init__(self, spec: Spec, model: mujoco.MjModel, frame_skip: int, count: int) -> None:
        self.spec = spec
        self.count = count
        self.positions = np.zeros((count, model.nq))  # (E, P) float64
        self.velocities = np.zeros((count, model.nv))  # (E, V) float64
        self._model = model
        self._frame_skip = frame_skip
        self._copies = [mujoco.MjData(model) for _ in range(count)]
        # Views of MuJoCo's own memory: reading one takes a fifth of the time of getting the attribute.
        self._memory = [(copy.ctrl, copy.qpos, copy.qvel) for copy in self._copies]
        self._renderer: mujoco.Renderer | None = None
        self._steps = np.zeros(count, np.int64)  # since each copy's episode began

    @property
    def step_seconds(self) -> float:
        """How long one step lasts, in the simulation's time."""
        return float(self._model.opt.timestep * self._frame_skip)

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), from that copy's seed; (E, *obs)."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            self._begin(copy, int(seeds[copy]))
            self._began(copy)
        return self._observations()

    def set_state(self, copy: int, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Put one copy into a recorded state, (P,) and (V,), at the beginning of an episode."""
        data = self._copies[copy]
        mujoco.mj_resetData(self._model, data)
        data.qpos[:], data.qvel[:] = positions, velocities
        mujoco.mj_forward(self._model, data)
        self._began(copy)

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
        before = self._place()
        self._advance(actions, np.flatnonzero(live))
        self._steps += live
        rewards, ended = self._judged(actions, before)
        terminated = live & ended
        return Step(
            observations=self._observations(),
            rewards=np.where(live, rewards, 0.0),
            terminated=terminated,
            truncated=live & ~terminated & (self._steps >= self.spec.max_episode_steps),
        )

    def infos(self) -> dict[str, np.ndarray]:
        """The simulator's whole state before the next step, as D4RL records it."""
        return {"qpos": self.positions, "qvel": self.velocities}

    def render(self, index: int) -> np.ndarray:
        """One copy as its own camera sees it, (480, 480, 3) uint8.

        Raises:
            UserError: nothing here can draw without a screen.
        """
        if sys.platform == "linux" and not os.environ.keys() & {"MUJOCO_GL", "DISPLAY"}:
            raise UserError("There is neither a screen nor EGL or OSMesa to draw with: install libegl1 and libgl1.")
        if self._renderer is None:
            self._renderer = mujoco.Renderer(self._model, height=480, width=480)
            atexit.register(self.close)  # a renderer that is still open when Python ends prints errors
        self._renderer.update_scene(self._copies[index], camera=self.camera)
        return self._renderer.render()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()

    def _begin(self, copy: int, seed: int) -> None:
        """Put one copy at the start that the seed draws."""
        raise NotImplementedError

    def _place(self) -> np.ndarray:
        """What a reward compares with its own value after the step, (E, ...)."""
        return self.positions[:, 0].copy()

    def _judged(self, actions: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What each copy has earned in this step and whether its task has ended: (E,) float64, (E,) bool."""
        raise NotImplementedError

    def _observations(self) -> np.ndarray:
        raise NotImplementedError

    def _began(self, copy: int) -> None:
        _, self.positions[copy], self.velocities[copy] = self._memory[copy]
        self._steps[copy] = 0

    def _advance(self, actions: np.ndarray, copies: np.ndarray) -> None:
        for copy in copies.tolist():
            control, position, velocity = self._memory[copy]
            control[:] = actions[copy]
            mujoco.mj_step(self._model, self._copies[copy], nstep=self._frame_skip)
            self.positions[copy] = position
            self.velocities[copy] = velocity
