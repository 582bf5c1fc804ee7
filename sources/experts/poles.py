"""Poles that are swung up and held there, by two textbook controllers: energy shaping, and a regulator near the top.

Source   energy shaping, Åström and Furuta 2000, Automatica 36(2), "Swinging up a pendulum by energy control"; the
         linear-quadratic regulator (Kalman 1960) of the model linearized at the top
Both read the model as it is in the episode, whose pole and motor may have been changed. In some of the `large` bodies
the motor is too weak to lift the pole at all.

Angles   rad, 0 upright; the hinge is the last joint
Energy   of the pole, in units of its weight times the length to its center; 0 stands, -2 hangs
"""

import copy
from dataclasses import dataclass

import mujoco
import numpy as np

ANGLE_COST, OTHER_COST = 10.0, 0.1  # of the regulator; an action of 1 costs 1


@dataclass(frozen=True)
class Swing:
    """How a pole is swung up, and when the regulator takes over."""

    pole: str  # its body
    position_cost: tuple[float, ...]  # of the joints before the hinge
    catch_angle: float  # rad: below it, if the regulator needs no more than `catch_action`
    catch_action: float = 3.0
    pump: float = 1.0  # action per energy that is missing and rad/s
    centering: tuple[float, float] = (0.0, 0.0)  # action per m and m/s of the cart, while swinging


CARTPOLE = Swing("pole_1", (1.0,), catch_angle=0.35, centering=(0.4, 0.3))
PENDULUM = Swing("pole", (), catch_angle=0.5, pump=20.0)


class PoleController:
    """Controls one model, episode after episode."""

    def __init__(self, swing: Swing) -> None:
        self._swing = swing

    def begin(self, model: mujoco.MjModel) -> None:
        """A new episode, with the model as it is now."""
        size = model.nv
        costs = [*self._swing.position_cost, ANGLE_COST, *[OTHER_COST] * size]
        self._gains = _regulator(model, np.diag(costs))
        pole = model.body(self._swing.pole)
        arm = pole.ipos[2]
        weight = pole.mass[0] * -model.opt.gravity[2] * arm  # N m
        self._inertia = (pole.inertia[1] + pole.mass[0] * arm**2) / weight

    def act(self, data: mujoco.MjData) -> np.ndarray:
        """The next action, (1,)."""
        swing = self._swing
        positions, velocities = data.qpos.copy(), data.qvel
        positions[-1] = (positions[-1] + np.pi) % (2 * np.pi) - np.pi
        angle, spin = positions[-1], velocities[-1]
        held = -self._gains @ np.concatenate([positions, velocities])
        if abs(angle) < swing.catch_angle and abs(held) < swing.catch_action:
            return np.clip([held], -1, 1)
        missing = 1 - np.cos(angle) - self._inertia * spin**2 / 2
        if len(positions) == 1:  # a motor in the hinge
            return np.clip([swing.pump * missing * spin], -1, 1)
        pumped = -swing.pump * missing * np.cos(angle) * spin  # a cart that moves away from under the pole
        return np.clip([pumped - swing.centering[0] * positions[0] - swing.centering[1] * velocities[0]], -1, 1)


def _regulator(model: mujoco.MjModel, costs: np.ndarray) -> np.ndarray:
    """Gains that hold the upright state against positions and velocities, (2V,)."""
    from scipy.linalg import solve_discrete_are  # dm_control brings it

    model = copy.copy(model)
    model.opt.integrator = mujoco.mjtIntegrator.mjINT_EULER  # MuJoCo does not differentiate Runge-Kutta steps
    data = mujoco.MjData(model)  # upright and at rest
    of_state, of_action = np.zeros((2 * model.nv, 2 * model.nv)), np.zeros((2 * model.nv, 1))
    mujoco.mjd_transitionFD(model, data, 1e-6, True, of_state, of_action, None, None)
    value = solve_discrete_are(of_state, of_action, costs, np.eye(1))
    gains: np.ndarray = np.linalg.solve(np.eye(1) + of_action.T @ value @ of_action, of_action.T @ value @ of_state)[0]
    return gains
