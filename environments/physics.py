"""D4RL's physics: the bodies that an old MuJoCo built, in today's MuJoCo.

D4RL's locomotion data were recorded in 2020. Until version 2.1.1 (December 2021) MuJoCo's compiler took a capsule for a
solid cylinder, and so gave every capsule another mass and inertia than today's does. With the old capsules, today's
simulator repeats D4RL's recorded steps to about 1e-6; without, to 1e-2 (Hopper) or 1e-1 (Walker2d, HalfCheetah).

Source   MuJoCo's changelog, version 2.1.1, bug fixes: a capsule had been "approximated by a cylinder, formed by the
         capsule's cylindrical middle section, extended on both ends by half the capsule radius"
         https://mujoco.readthedocs.io/en/stable/changelog.html
Letters  r radius, h half the length of the middle section, H = 2h + r the cylinder's length

The bodies get their inertials before the model is compiled. A compiled model changed in place would keep flags
(sameframe, simple) and constants that the compiler derived from other bodies; HalfCheetah's contacts then go wrong.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np

from trajectories.errors import UserError

PHYSICS = ("d4rl", "gymnasium")


class Inertial(NamedTuple):
    """What a body's geoms weigh together, in the body's frame."""

    mass: float
    center: np.ndarray  # (3,)
    inertia: np.ndarray  # (3, 3), about `center`


def check(physics: str) -> str:
    """`physics` itself.

    Raises:
        UserError: it is none of `PHYSICS`.
    """
    if physics not in PHYSICS:
        raise UserError(f"There is no physics {physics!r}: choose one of {', '.join(PHYSICS)}.")
    return physics


def compile_with_old_capsules(path: Path | str) -> mujoco.MjModel:
    """The model in an MJCF file, each moving body with the mass and inertia that MuJoCo gave it before 2.1.1."""
    spec = mujoco.MjSpec.from_file(str(path))
    today = spec.compile()  # resolves defaults, fromto, angles; only its geoms' frames and sizes are used
    for number, body in enumerate(_depth_first(spec.worldbody)):  # the order of the compiled bodies
        if number == 0 or not body.geoms:  # the world does not move
            continue
        first = today.body_geomadr[number]
        inertial = _combined([_inertial(geom, today, first + place) for place, geom in enumerate(body.geoms)])
        body.mass = inertial.mass
        body.ipos = inertial.center
        i = inertial.inertia
        body.fullinertia = [i[0, 0], i[1, 1], i[2, 2], i[0, 1], i[0, 2], i[1, 2]]
        body.explicitinertial = True
    # The files compute inertias from geoms, which would overrule ours. `settotalmass`, if any, still scales the sum.
    spec.compiler.inertiafromgeom = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE
    return spec.compile()


def _depth_first(body: Any) -> Iterator[Any]:
    yield body
    for child in body.bodies:
        yield from _depth_first(child)


def _inertial(geom: Any, today: mujoco.MjModel, number: int) -> Inertial:
    """One geom's mass and inertia in its body's frame; `number` is the geom's in the compiled model."""
    kind = mujoco.mjtGeom(today.geom_type[number])
    if kind not in SOLIDS:
        raise NotImplementedError(f"the old compiler's {kind.name} is not known here; add it to SOLIDS")
    volume, diagonal = SOLIDS[kind](today.geom_size[number])
    mass = float(geom.density * volume) if math.isnan(geom.mass) else float(geom.mass)
    flat = np.empty(9)
    mujoco.mju_quat2Mat(flat, today.geom_quat[number])
    rotation = flat.reshape(3, 3)
    return Inertial(mass, today.geom_pos[number].copy(), mass * rotation @ np.diag(diagonal) @ rotation.T)


def _combined(parts: list[Inertial]) -> Inertial:
    """Several geoms as one body, by the parallel-axis rule."""
    mass = sum(part.mass for part in parts)
    center = np.sum([part.mass * part.center for part in parts], axis=0) / mass
    inertia = np.zeros((3, 3))
    for part in parts:
        away = part.center - center
        inertia += part.inertia + part.mass * (away @ away * np.eye(3) - np.outer(away, away))
    return Inertial(mass, center, inertia)


def _old_capsule(size: np.ndarray) -> tuple[float, np.ndarray]:
    """Volume, and moments of inertia per unit of mass, of a capsule as a cylinder of length H; (3,)."""
    radius, length = size[0], 2 * size[1] + size[0]
    across = (3 * radius**2 + length**2) / 12
    return math.pi * radius**2 * length, np.array([across, across, radius**2 / 2])


def _sphere(size: np.ndarray) -> tuple[float, np.ndarray]:
    radius = size[0]
    return 4 / 3 * math.pi * radius**3, np.full(3, 2 / 5 * radius**2)


SOLIDS: dict[Any, Callable[[np.ndarray], tuple[float, np.ndarray]]] = {
    mujoco.mjtGeom.mjGEOM_CAPSULE: _old_capsule,
    mujoco.mjtGeom.mjGEOM_SPHERE: _sphere,
}
