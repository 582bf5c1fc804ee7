"""Experts of the Control Suite: controllers, planners, and policies trained here.

A planner and a controller read the model as it is in the episode, and play other bodies as well
(environments/embodiments.py); a policy was trained in the original one. Planners' and controllers' actions get noise
(scripted.py), a policy's are sampled from it, so that models which learn from the data see how to recover.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sources.experts.interface import Expert
from sources.experts.scripted import Scripted
from sources.experts.trained import Trained
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

VERSION = 1
TRAINED = Path(__file__).with_name("dmc")  # policies, a file each


def has_expert(row: EnvironmentRow) -> bool:
    """Whether an expert of ours plays it."""
    return _name(row) in EXPERTS or _weights(row).is_file()


def expert(row: EnvironmentRow) -> Expert:
    """The expert of a task: in the original body its policy, where one was trained.

    Raises:
        UserError: there is none, or its policy cannot be read.
    """
    trained = _weights(row).is_file()
    if trained and not (row.options.get("bodies") and _name(row) in EXPERTS):
        return TrainedOnNumbers(_weights(row), row.max_episode_steps)
    if _name(row) not in EXPERTS:
        raise UserError(f"There is no expert of {row.name}: choose one of {', '.join(EXPERTS)}.")
    return EXPERTS[_name(row)]()


class Planned(Scripted):
    """Predictive sampling."""

    def __init__(self, objective: str, **planning: Any) -> None:
        from sources.experts import objectives, predictive_sampling

        plan = predictive_sampling.Planning(getattr(objectives, objective), **planning)
        self._planner = predictive_sampling.Planner(plan)

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        super().begin(environment, observation, generator)
        physics = environment.physics
        self._planner.begin(physics.model.ptr, round(environment.control_timestep() / physics.timestep()), generator)

    def chosen(self, physics: Any) -> np.ndarray:
        return self._planner.act(physics.data.ptr)


class Balanced(Scripted):
    """A pole's controllers."""

    def __init__(self, swing: str) -> None:
        from sources.experts import poles

        self._controller = poles.PoleController(getattr(poles, swing))

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        super().begin(environment, observation, generator)
        self._controller.begin(environment.physics.model.ptr)

    def chosen(self, physics: Any) -> np.ndarray:
        return self._controller.act(physics.data.ptr)


class Reaching(Scripted):
    """The arm's controller."""

    def chosen(self, physics: Any) -> np.ndarray:
        from sources.experts.reaching import reacher

        return reacher(physics.model.ptr, physics.data.ptr)


class TrainedOnNumbers(Trained):
    """A policy that reads the task's numbers, also where a picture is observed."""

    def numbers(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        parts = environment.task.get_observation(environment.physics)
        return np.concatenate([np.ravel(part) for part in parts.values()])


EXPERTS: dict[str, Callable[[], Expert]] = {
    "pendulum-swingup": lambda: Balanced("PENDULUM"),
    "reacher-easy": Reaching,
    "reacher-hard": Reaching,
    "point_mass-easy": lambda: Planned("point_mass", horizon=40, knots=4, candidates=16, every=2),
    "ball_in_cup-catch": lambda: Planned("ball_in_cup", horizon=40, knots=6, candidates=16, every=4),
    "walker-stand": lambda: Planned("walker_stand", horizon=32, knots=5, candidates=16, every=2),
    "cartpole-balance": lambda: Balanced("CARTPOLE"),
    "cartpole-balance_sparse": lambda: Balanced("CARTPOLE"),
    "cartpole-swingup": lambda: Balanced("CARTPOLE"),
    "cartpole-swingup_sparse": lambda: Balanced("CARTPOLE"),
}


def _name(row: EnvironmentRow) -> str:
    return f"{row.options['domain']}-{row.options['task']}"


def _weights(row: EnvironmentRow) -> Path:
    return TRAINED / f"{_name(row)}.safetensors"
