"""MuJoCo locomotion: Hopper, Walker2d, HalfCheetah and Ant of gymnasium's v4, many copies stepped together.

Source   https://gymnasium.farama.org/environments/mujoco/ (v4, to whose rewards D4RL's scores belong)
Bodies   D4RL's by default (see physics.py), or gymnasium's own
Differs  one compiled model serves all copies, and rewards and terminations are computed for all copies at once, which a
         test holds to gymnasium's own `step`; actions outside [-1, 1] are clipped before the control cost is charged

Shapes   E copies, P positions (qpos), V velocities (qvel), A actuators
Units    m, rad, m/s, rad/s; a step lasts `frame_skip` ticks of the simulator, 8 ms (Hopper, Walker2d) or 50 ms
Ant      without contact forces, which are zero in D4RL's files and cost nothing there
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from gymnasium.envs.mujoco import MujocoEnv
from gymnasium.envs.mujoco.ant_v4 import AntEnv
from gymnasium.envs.mujoco.half_cheetah_v4 import HalfCheetahEnv
from gymnasium.envs.mujoco.hopper_v4 import HopperEnv
from gymnasium.envs.mujoco.walker2d_v4 import Walker2dEnv

from environments.physics import check, compile_with_old_capsules
from environments.simulated import SimulatedEnvironments
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow


@dataclass(frozen=True)
class Robot:
    """What distinguishes one gymnasium environment from another, in the terms of its v4 source file."""

    simulator: type[MujocoEnv]
    control_cost: float  # per squared unit of action
    alive: float  # reward for each step
    velocity_limit: float  # observed velocities are clipped here
    healthy: Callable[[np.ndarray, np.ndarray], np.ndarray]  # (E, P), (E, V) -> (E,) bool
    unseen: int = 1  # leading positions that are not observed
    # The body whose x is rewarded; None: the first position. They are not the same: MuJoCo moves bodies at the
    # beginning of a tick, so that after it they are where the last stage of Ant's Runge-Kutta step had them. D4RL's Ant
    # rewards were recorded so, and are repeated to 4e-6 only if the step before is simulated too.
    followed: str | None = None


def _hopper_is_healthy(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    within = (np.abs(positions[:, 2:]) < 100).all(1) & (np.abs(velocities) < 100).all(1)
    return within & (positions[:, 1] > 0.7) & (np.abs(positions[:, 2]) < 0.2)


def _walker_is_healthy(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    return (positions[:, 1] > 0.8) & (positions[:, 1] < 2) & (np.abs(positions[:, 2]) < 1)


def _ant_is_healthy(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    finite = np.isfinite(positions).all(1) & np.isfinite(velocities).all(1)
    return finite & (positions[:, 2] >= 0.2) & (positions[:, 2] <= 1)


def _always(positions: np.ndarray, velocities: np.ndarray) -> np.ndarray:
    return np.ones(len(positions), bool)


ROBOTS = {
    "Hopper-v4": Robot(HopperEnv, control_cost=1e-3, alive=1, velocity_limit=10, healthy=_hopper_is_healthy),
    "Walker2d-v4": Robot(Walker2dEnv, control_cost=1e-3, alive=1, velocity_limit=10, healthy=_walker_is_healthy),
    "Ant-v4": Robot(
        AntEnv, control_cost=0.5, alive=1, velocity_limit=np.inf, healthy=_ant_is_healthy, unseen=2, followed="torso"
    ),
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
    return compiled_by(compile_with_old_capsules, plain, **options)


def compiled_by(compiler: Callable[[str], mujoco.MjModel], plain: type[MujocoEnv], **options: Any) -> MujocoEnv:
    """One gymnasium environment, in the model that `compiler` makes of its MJCF file's path."""
    return type(f"Other{plain.__name__}", (_Compiled, plain), {"compiler": staticmethod(compiler)})(**options)


class _Compiled:
    """Mixed into one of gymnasium's classes: the same, with a model of its own."""

    compiler: Callable[[str], mujoco.MjModel]
    fullpath: str
    width: int
    height: int

    def _initialize_simulation(self) -> tuple[mujoco.MjModel, mujoco.MjData]:
        model = self.compiler(self.fullpath)
        model.vis.global_.offwidth = max(model.vis.global_.offwidth, self.width)
        model.vis.global_.offheight = max(model.vis.global_.offheight, self.height)
        return model, mujoco.MjData(model)


class MujocoEnvironments(SimulatedEnvironments):
    """E copies of one robot; see `environments.interface.Environments`."""

    camera = "track"

    def __init__(self, row: EnvironmentRow, count: int, physics: str = "d4rl") -> None:
        self._simulator = self._simulated(row, physics)
        self._robot = ROBOTS[row.gym_id]
        self.physics = physics
        super().__init__(row.spec(), self._simulator.model, self._simulator.frame_skip, count)

    def set_state(self, copy: int, positions: np.ndarray, velocities: np.ndarray) -> None:
        """Put one copy into a recorded state, (P,) and (V,), at the beginning of an episode."""
        mujoco.mj_resetData(self._model, self._copies[copy])
        self._simulator.data = self._copies[copy]
        self._simulator.set_state(positions, velocities)  # type: ignore[no-untyped-call]
        self._began(copy)

    def _simulated(self, row: EnvironmentRow, physics: str) -> MujocoEnv:
        """Gymnasium's own environment, which begins episodes."""
        return simulator(row.gym_id, physics)

    def _begin(self, copy: int, seed: int) -> None:
        """As gymnasium does from the same seed."""
        self._simulator.data = self._copies[copy]
        self._simulator.reset(seed=seed)

    def _place(self) -> np.ndarray:
        if self._robot.followed is None:
            return self.positions[:, 0].copy()
        body = self._model.body(self._robot.followed).id
        return np.array([copy.xpos[body, 0] for copy in self._copies])

    def _judged(self, actions: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        forward = (self._place() - before) / self.step_seconds
        rewards = forward + self._robot.alive - self._robot.control_cost * np.square(actions).sum(1)
        return rewards, ~self._robot.healthy(self.positions, self.velocities)

    def _observations(self) -> np.ndarray:
        limit = self._robot.velocity_limit
        observations = np.concatenate(
            [self.positions[:, self._robot.unseen :], np.clip(self.velocities, -limit, limit)], axis=1
        )
        return observations.astype(self.spec.observation_dtype)


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> MujocoEnvironments:
    return MujocoEnvironments(row, count, physics)
