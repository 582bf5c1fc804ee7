"""The expert of dm_control's manipulation tasks: the Jaco arm reaches a place by inverse kinematics, with noise."""

from typing import Any

import numpy as np

from sources.experts.interface import Expert
from sources.experts.scripted import Scripted
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

VERSION = 1
TASK = "reach_site_features"


def has_expert(row: EnvironmentRow) -> bool:
    """Whether an expert of ours plays it."""
    return bool(row.options["task"] == TASK)


def expert(row: EnvironmentRow) -> Expert:
    """The expert of a task.

    Raises:
        UserError: there is none.
    """
    if not has_expert(row):
        raise UserError(f"There is no expert of {row.name}: choose {TASK}.")
    return Reaching()


class Reaching(Scripted):
    """The arm's controller."""

    def chosen(self, physics: Any) -> np.ndarray:
        from sources.experts.reaching import jaco

        return jaco(physics.model.ptr, physics.data.ptr)
