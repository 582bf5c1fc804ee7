"""Modular RL: gymnasium's Hopper, Walker2d and HalfCheetah with limbs removed.

Source   Huang et al. 2020, arXiv:2007.04976, whose 38 bodies are these robots with some of their limbs; the bodies here
         are gymnasium's own MJCF files without the limbs that a row's option `removed` names, and all that hangs on
         them, with their motors
Reward   as gymnasium's v4 of the whole robot, and its ends: Hopper has to stay above 0.7 m, Walker2d above 0.8 m
Differs  the paper observes each limb by itself and trains one policy for all bodies; here a body is a task, observed as
         gymnasium does: positions but x, then velocities, float32
Bodies   gymnasium's physics, whatever --physics is; a HalfCheetah weighs 14 kg with any limbs, as its file says
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

import mujoco
from gymnasium.envs.mujoco import MujocoEnv

from environments.mujoco import ROBOTS, MujocoEnvironments, compiled_by
from trajectories.errors import UserError, did_you_mean
from trajectories.rows import EnvironmentRow


class ModularEnvironments(MujocoEnvironments):
    """E copies of one body; see `environments.interface.Environments`."""

    def __init__(self, row: EnvironmentRow, count: int) -> None:
        super().__init__(row, count, "gymnasium")
        model, unobserved = self._model, self._robot.unseen
        actual = (model.nq - unobserved + model.nv,), (model.nu,)
        if actual != (row.observation_shape, row.action_shape):
            raise UserError(
                f"{row.name} observes {actual[0][0]} numbers and takes {actual[1][0]} actions: correct its row's "
                f"observation_shape = {list(row.observation_shape)} and action_shape = {list(row.action_shape)}."
            )

    def inside(self, index: int) -> MujocoEnv:
        """Gymnasium's own environment in one copy's state, for experts that look inside."""
        self._simulator.data = self._copies[index]
        return self._simulator

    def _simulated(self, row: EnvironmentRow, physics: str) -> MujocoEnv:
        return compiled_by(without(row.options.get("removed", ())), ROBOTS[row.gym_id].simulator)


def without(removed: Sequence[str]) -> Callable[[str], mujoco.MjModel]:
    """Compiles an MJCF file without these bodies, what hangs on them, and their motors.

    Raises (when it compiles):
        UserError: one of them is no limb of this robot, or is gone with another one.
    """

    def compiled(path: str) -> mujoco.MjModel:
        root = ElementTree.fromstring(Path(path).read_text(encoding="utf-8"))
        torso = next(root.iter("body"))
        for name in removed:
            limbs = {limb.attrib["name"]: (body, limb) for body in torso.iter("body") for limb in body.findall("body")}
            if name not in limbs:
                raise UserError(f"{Path(path).stem} has no limb {name!r} to remove: {did_you_mean(name, limbs)}")
            body, limb = limbs[name]
            body.remove(limb)
        joints = {joint.get("name") for joint in torso.iter("joint")}
        motors = next(root.iter("actuator"))
        for motor in motors.findall("motor"):
            if motor.get("joint") not in joints:
                motors.remove(motor)
        return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))

    return compiled


def create(row: EnvironmentRow, count: int, physics: str, render_mode: str | None = None) -> ModularEnvironments:
    return ModularEnvironments(row, count)
