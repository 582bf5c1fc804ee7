"""MuJoCo locomotion: Hopper, Walker2d and HalfCheetah of gymnasium's v4, many copies stepped together.

Source   https://gymnasium.farama.org/environments/mujoco/ (v4, to whose rewards D4RL's scores belong)
Bodies   D4RL's by default (see physics.py), or gymnasium's own
Differs  one compiled model serves all copies, and rewards and terminations are computed for all copies at once, which a
         test holds to gymnasium's own `step`; actions outside [-1, 1] are clipped before the control cost is charged

Shapes   E copies, P positions (qpos), V velocities (qvel), A actuators
Units    m, rad, m/s, rad/s; a step lasts `frame_skip` ticks of the simulator, 8 ms (Hopper, Walker2d) or 50 ms
"""

import atexit
import os
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.envs.mujoco.half_cheetah_v4 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v4 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v4 import Walker2dEnv

from environments.interface import Step
from environments.physics import check, compile_with_old_capsules
from trajectories.catalog import EnvironmentRow
from trajectories.errors import UserError


@dataclass(frozen=True)
class Robot:
    """What distinguishes one gymnasium environment from another, in the terms of its v4 source file."""

    simulator: type[MujocoEnv]
    control_cost: float  # per squared unit of action
    alive: float  # reward for each step
    velocity_limit: float  # observed velocities are clipped here
    healthy: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (E, P), (E, V) -> (E,) bool


def _hopper_is_healthy(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    within = (np.abs(positions[:, 2:]) < 100).all(1) & (np.abs(velocities) < 100).all(1)
    return within & (positions[:, 1] > 0.7) & (np.abs(positions[:, 2]) < 0.2)


def _walker_is_healthy(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    return (positions[:, 1] > 0.8) & (positions[:, 1] < 2) & (np.abs(positions[:, 2]) < 1)


def _always(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    return np.ones(len(positions), bool)


ROBOTS = {
    "Hopper-v4": Robot(HopperEnv, control_cost=1e-3, alive=1, velocity_limit=10, healthy=_hopper_is_healthy),
    "Walker2d-v4": Robot(Walker2dEnv, control_cost=1e-3, alive=1, velocity_limit=10, healthy=_walker_is_healthy),
    "HalfCheetah-v4": Robot(HalfCheetahEnv, control_cost=0.1, alive=0, velocity_limit=np.inf, healthy=_always),
}


def simulator(gym_id: str, physics: str = "d4rl", **options: Any) -> MujocoEnv:
    """One gymnasium environment in the given physics, without a time limit.

    Raises:
        UserError: an unknown robot or physics.
    """
    if gym_id not in ROBOTS:
        raise UserError(f"There is no robot {gym_id!r}: choose one of {', '.join(ROBOTS)}.")
    plain = ROBOTS[gym_id].simulator
    if check(physics) == "gymnasium":
        return plain(**options)
    return type(f"{plain.__name__}WithOldCapsules", (_OldCapsules, plain), {})(**options)


class _OldCapsules:
    """Mixed into one of gymnasium's classes: the same, compiled with the old capsules."""

    fullpath: str
    width: int
    height: int

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = compile_with_old_capsules(self.fullpath)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, self.width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, self.height)
        return model, mujoco.MjData(model)


class MujocoEnvironments:
    """E copies of one robot; see `environments.interface.Environments`.

    Stepping releases Python's lock while MuJoCo works, so that `threads` share the copies; results do not depend on it.
    """

    def __init__(self, row: EnvironmentRow, count: int, physics: str = "d4rl", threads: int = 1) -> None:
        self._simulator = simulator(row.gym_id, physics)
        self._robot = ROBOTS[row.gym_id]
        self._model = self._simulator.model
        self._copies = [mujoco.MjData(self._model) for _ in range(count)]
        # MuJoCo's own memory, seen as arrays: reading one costs a fifth of asking for the attribute each time.
        self._memory = [(copy.ctrl, copy.qpos, copy.qvel) for copy in self._copies]
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        self._threads = threads
        self._renderer: mujoco.Renderer | None = None
        self.count = count
        self.physics = physics
        self.positions = np.zeros((count, self._model.nq))  # (E, P) float64
        self.velocities = np.zeros((count, self._model.nv))  # (E, V) float64
        self._steps = np.zeros(count, np.int64)  # since each copy's episode began
        self.spec = row.spec()

    def reset(self, seeds: Sequence[int], only: np.ndarray | None = None) -> np.ndarray:
        """Begin an episode in each copy (or where `only`), as gymnasium does from the same seed; (E, *obs) float32."""
        for copy in range(self.count) if only is None else np.flatnonzero(only).tolist():
            self._simulator.data = self._copies[copy]
            self._simulator.reset(seed=int(seeds[copy]))
            self._began(copy)
        return self._observations()

    def set_state(self, copy: int, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Put one copy into a recorded state, (P,) and (V,), at the beginning of an episode."""
        mujoco.mj_resetData(self._model, self._copies[copy])
        self._simulator.data = self._copies[copy]
        self._simulator.set_state(positions, velocities)  # type: ignore[no-untyped-call]
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
        before = self.positions[:, 0].copy()
        self._advance(actions, np.flatnonzero(live))
        self._steps += live
        duration = self._model.opt.timestep * self._simulator.frame_skip
        forward = (self.positions[:, 0] - before) / duration
        rewards = forward + self._robot.alive - self._robot.control_cost * np.square(actions).sum(1)
        terminated = live & ~self._robot.healthy(self.positions, self.velocities)
        return Step(
            observations=self._observations(),
            rewards=np.where(live, rewards, 0.0),
            terminated=terminated,
            truncated=live & ~terminated & (self._steps >= self.spec.horizon),
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
            atexit.register(self.close)  # a renderer that is still open when Python ends complains at length
        self._renderer.update_scene(self._copies[index], camera="track")
        return self._renderer.render()

    def close(self) -> None:
        if self._renderer is not None:
            self._renderer.close()
        if self._pool is not None:
            self._pool.shutdown()

    def _began(self, copy: int) -> None:
        _, self.positions[copy], self.velocities[copy] = self._memory[copy]
        self._steps[copy] = 0

    def _observations(self) -> np.ndarray:
        limit = self._robot.velocity_limit
        seen = np.concatenate([self.positions[:, 1:], np.clip(self.velocities, -limit, limit)], axis=1)
        return seen.astype(self.spec.observation_dtype)

    def _advance(self, actions: np.ndarray, copies: np.ndarray) -> None:
        if self._pool is None:
            self._advance_each(actions, copies)
        else:
            shares = np.array_split(copies, self._threads)
            list(self._pool.map(self._advance_each, [actions] * self._threads, shares))

    def _advance_each(self, actions: np.ndarray, copies: np.ndarray) -> None:
        for copy in copies.tolist():
            control, position, velocity = self._memory[copy]
            control[:] = actions[copy]
            mujoco.mj_step(self._model, self._copies[copy], nstep=self._simulator.frame_skip)
            self.positions[copy] = position
            self.velocities[copy] = velocity


def create(row: EnvironmentRow, count: int, physics: str, threads: int) -> MujocoEnvironments:
    return MujocoEnvironments(row, count, physics, threads)
