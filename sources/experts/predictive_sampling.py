"""Planning without training: many futures are simulated, and the first action of the best one is taken.

Source   predictive sampling, Howell et al. 2022, arXiv:2212.00541, section 3.3: candidates are drawn around the last
         plan, which is one of them, and the best replaces it
Differs  plans are kept step by step and the noise alone is interpolated between its knots; candidates differ in how
         much noise they have

The planner simulates the environment's own model, so that it knows whatever was changed in it.

Shapes   N candidates, H steps of a plan, K knots, P positions (qpos), V velocities (qvel), D sensors, A actuators
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np
from mujoco import rollout

STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS  # time, positions, velocities, ...


class Futures(NamedTuple):
    """What came of each candidate, after each of its steps."""

    positions: np.ndarray  # (N, H, P)
    velocities: np.ndarray  # (N, H, V)
    sensors: np.ndarray  # (N, H, D)
    actions: np.ndarray  # (N, H, A)


Objective = Callable[[mujoco.MjModel, Futures], np.ndarray]  # how good each step is, (N, H)


@dataclass(frozen=True)
class Planning:
    """How a task is planned."""

    objective: Objective
    horizon: int  # steps
    knots: int  # of the noise
    candidates: int = 24
    every: int = 1  # steps taken of a plan before the next one is made
    spread: tuple[float, ...] = (0.1, 0.3, 0.6)  # standard deviations of the noise, in turn


class Planner:
    """Plans in one model, episode after episode."""

    def __init__(self, planning: Planning) -> None:
        count, horizon, knots = planning.candidates, planning.horizon, planning.knots
        self._planning = planning
        places = np.linspace(0, horizon - 1, knots)
        self._between = np.stack([np.interp(np.arange(horizon), places, one) for one in np.eye(knots)], 1)  # (H, K)
        self._spread = np.resize(planning.spread, count - 1)[:, None, None]

    def begin(self, model: mujoco.MjModel, substeps: int, generator: np.random.Generator) -> None:
        """A new episode.

        Args:
            model: the environment's, as it is in this episode.
            substeps: ticks of the simulator in a step.
        """
        self._model, self._substeps, self._generator = model, substeps, generator
        self._simulated = mujoco.MjData(model)
        self._state = np.zeros(mujoco.mj_stateSize(model, STATE))
        self._plan = np.zeros((self._planning.horizon, model.nu))
        self._taken = 0  # steps of this plan

    def act(self, data: mujoco.MjData) -> np.ndarray:
        """The next action in the state that the environment is in, (A,)."""
        if self._taken % self._planning.every == 0:
            self._replan(data)
        action = self._plan[self._taken]
        self._taken += 1
        return action

    def _replan(self, data: mujoco.MjData) -> None:
        planning, model = self._planning, self._model
        left = self._plan[self._taken :]
        plan = np.concatenate([left, np.repeat(left[-1:], self._taken, axis=0)])
        knots = self._generator.standard_normal((planning.candidates - 1, planning.knots, model.nu)) * self._spread
        candidates = np.concatenate([plan[None], np.clip(plan + self._between @ knots, -1, 1)])  # (N, H, A)
        mujoco.mj_getState(model, data, self._state, STATE)
        states, sensors = rollout.rollout(
            model,
            self._simulated,
            np.tile(self._state, (planning.candidates, 1)),
            np.repeat(candidates, self._substeps, axis=1),
        )
        last = slice(self._substeps - 1, None, self._substeps)  # tick of each step
        positions, velocities = np.split(states[:, last, 1:], [model.nq], axis=2)
        futures = Futures(positions, velocities[..., : model.nv], sensors[:, last], candidates)
        self._plan = candidates[np.argmax(planning.objective(model, futures).sum(1))]
        self._taken = 0
