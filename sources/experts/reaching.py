"""Arms that are drawn to a target, by the Jacobian of what has to reach it.

Reacher   its transpose turns a force towards the target into torques (Jacobian transpose control, Khatib 1987, IEEE
          Journal on Robotics and Automation 3(1), without the arm's inertia)
Jaco      its damped inverse turns a velocity towards the target into those of the joints (Wampler 1986, IEEE Trans.
          on Systems, Man, and Cybernetics 16(1): damped least squares)
"""

import mujoco
import numpy as np

STIFFNESS = 150.0  # action per m2: lever times distance
DAMPING = 0.2  # action per rad/s of a joint
APPROACH = 5.0  # m/s per m of distance
REGULARIZATION = 0.05  # m: below such levers, joints are spared
HAND, TARGET = "jaco_arm/jaco_hand/pinchsite", "target_site"


def reacher(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """The next action of the Control Suite's arm of two joints, (2,)."""
    finger, target = model.geom("finger").id, model.geom("target").id
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jacGeom(model, data, jacobian, None, finger)
    torques = jacobian.T @ (data.geom_xpos[target] - data.geom_xpos[finger])
    return np.clip(STIFFNESS * torques - DAMPING * data.qvel, -1, 1)


def jaco(model: mujoco.MjModel, data: mujoco.MjData) -> np.ndarray:
    """The next action of the Jaco arm, the fingers at rest, (9,)."""
    hand, target = model.site(HAND).id, model.site(TARGET).id
    jacobian = np.zeros((3, model.nv))
    mujoco.mj_jacSite(model, data, jacobian, None, hand)
    joints = np.arange(6)
    arm = jacobian[:, joints]
    towards = APPROACH * (data.site_xpos[target] - data.site_xpos[hand])
    action = np.zeros(model.nu)
    action[joints] = arm.T @ np.linalg.solve(arm @ arm.T + REGULARIZATION**2 * np.eye(3), towards)
    return np.clip(action / model.actuator_ctrlrange[:, 1], -1, 1)
