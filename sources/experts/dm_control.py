"""Experts of the Control Suite: planners, a pole's controllers, and policies trained here.

A planner and a controller read the model as it is in the episode, and play other bodies as well
(environments/embodiments.py); a policy was trained in the original one. Planners' and controllers' actions get normal
noise of standard deviation NOISE, a policy's are sampled from it: models that learn from the data see how to recover.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sources.experts.interface import Expert
from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow

VERSION = 1
NOISE = 0.1
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
        return Trained(_weights(row))
    if _name(row) not in EXPERTS:
        raise UserError(f"There is no expert of {row.name}: choose one of {', '.join(EXPERTS)}.")
    return EXPERTS[_name(row)]()


class Planned:
    """Predictive sampling, with noise."""

    def __init__(self, objective: str, **planning: Any) -> None:
        from sources.experts import objectives, predictive_sampling

        plan = predictive_sampling.Planning(getattr(objectives, objective), **planning)
        self._planner = predictive_sampling.Planner(plan)

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        physics = environment.physics
        substeps = round(environment.control_timestep() / physics.timestep())
        self._generator = generator
        self._planner.begin(physics.model.ptr, substeps, generator)

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        return _noisy(self._planner.act(environment.physics.data.ptr), self._generator)


class Balanced:
    """A pole's controllers, with noise."""

    def __init__(self, swing: str) -> None:
        from sources.experts import poles

        self._controller = poles.PoleController(getattr(poles, swing))

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._generator = generator
        self._controller.begin(environment.physics.model.ptr)

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        return _noisy(self._controller.act(environment.physics.data.ptr), self._generator)


class Trained:
    """A policy trained by train.py, its actions sampled."""

    def __init__(self, weights: Path) -> None:
        from sources.experts.policy import load

        self._policy = load(weights)

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        self._chance = iter(self._policy.draw(generator, int(environment._step_limit)))

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray:
        parts = environment.task.get_observation(environment.physics)  # numbers, also where a picture is observed
        numbers = np.concatenate([np.ravel(part) for part in parts.values()])
        return self._policy.act(numbers[None], next(self._chance)[None])[0]


EXPERTS: dict[str, Callable[[], Expert]] = {
    "pendulum-swingup": lambda: Balanced("PENDULUM"),
    "reacher-easy": lambda: Planned("reacher", horizon=30, knots=4, candidates=16, every=2),
    "reacher-hard": lambda: Planned("reacher", horizon=30, knots=4, candidates=16, every=2),
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


def _noisy(action: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return np.clip(action + NOISE * generator.standard_normal(action.shape), -1, 1)
