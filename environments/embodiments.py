"""Bodies that differ from episode to episode: a MuJoCo model's parameters, each multiplied by a number drawn by chance.

Source   Gato's "DM Control Suite random small" and "random large" (Reed et al. 2022, arXiv:2205.06175, appendix on the
         Control Suite): gear of actuators, range, stiffness and damping of joints, size and density of geoms; factors
         from [0.9, 0.95] and [1.05, 1.1], or from [0.6, 0.8] and [1.2, 1.4]
Differs  the compiled model is changed in place, so that a body's mass and inertia follow its density and not its size;
         only what moves is changed, and not the floor or a target; one factor for each actuator, joint, geom and body.
         The boxes in which MuJoCo looks for contacts grow with geoms, and those of several geoms as far as any may

A planner that simulates the changed model plays it as well as before; a trained policy knows nothing of it.
"""

import mujoco
import numpy as np

from trajectories.errors import UserError

FACTORS = {"small": ((0.9, 0.95), (1.05, 1.1)), "large": ((0.6, 0.8), (1.2, 1.4))}
WIDER = max(max(each) for each in FACTORS["large"])
CHANGED = (
    *("actuator_gear", "jnt_range", "jnt_stiffness", "dof_damping", "geom_size", "geom_rbound", "geom_aabb"),
    *("body_mass", "body_inertia"),
)


class Embodiments:
    """The bodies of one copy of a task, which owns its model."""

    def __init__(self, model: mujoco.MjModel, bodies: str) -> None:
        if bodies and bodies not in FACTORS:
            raise UserError(f"There are no bodies {bodies!r}: choose one of {', '.join(FACTORS)}, or leave them out.")
        self._model = model
        self._factors = FACTORS.get(bodies)
        self._original = {name: getattr(model, name).copy() for name in CHANGED} if bodies else {}
        if bodies:
            model.bvh_aabb[:, 3:] = model.bvh_aabb[:, 3:] * WIDER + model.geom_rbound.max()

    def draw(self, data: mujoco.MjData, seed: int) -> None:
        """Change the model to what this seed draws, from what it was at first; without an option, leave it alone."""
        if self._factors is None:
            return
        model, generator = self._model, np.random.default_rng(seed)
        moving = model.body_weldid > 0
        joints, bodies = model.njnt, model.nbody

        def factors(count: int) -> np.ndarray:
            low, high = np.array(self._factors)[generator.integers(2, size=count)].T
            return generator.uniform(low, high)[:, None]

        of_joint = {name: factors(joints) for name in ("jnt_range", "jnt_stiffness", "dof_damping")}
        of_joint["dof_damping"] = of_joint["dof_damping"][model.dof_jntid]
        size = np.where(moving[model.geom_bodyid, None], factors(model.ngeom), 1)
        density = np.where(moving[:, None], factors(bodies), 1)
        box = np.hstack([np.ones((model.ngeom, 3)), np.repeat(size, 3, axis=1)])  # its center, and half of its sides
        scales = {"actuator_gear": factors(model.nu), "geom_size": size, "geom_rbound": size, **of_joint}
        scales |= {"body_mass": density, "body_inertia": density, "geom_aabb": box}
        for name, original in self._original.items():
            rows = original.reshape(len(original), -1) * scales[name]
            getattr(model, name)[:] = rows.reshape(original.shape)
        mujoco.mj_setConst(model, data)
