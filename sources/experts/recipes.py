"""Which policies record a data set of our own, and how many of its steps each: D4RL's recipe for every quality.

random          uniform actions
medium          one policy of about a third of the expert's score
medium-replay   the ladder: checkpoints from untrained to medium in the order of training, equal steps each. D4RL
                keeps what a learner saw on its way to medium, and PPO throws each rollout away, so the checkpoints
                are played again instead
medium-expert   half medium, half expert, one after the other
expert          one policy
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sources.experts.policy import Policy, Uniform, load
from trajectories.catalog import environment as environment_row
from trajectories.errors import UserError

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Strider:
    """The toy's behavior: one speed with a little noise, whatever is observed."""

    speed: float
    noise: float = 0.1

    def draw(self, generator: np.random.Generator, steps: int) -> np.ndarray:
        return generator.standard_normal((steps, 1))

    def act(self, observations: np.ndarray, chance: np.ndarray) -> np.ndarray:
        return np.clip(self.speed + self.noise * chance, -1, 1).astype(np.float32)


TOY = {"medium": (Strider(0.3), Strider(0.9)), "expert": (Strider(0.9),)}


@dataclass(frozen=True)
class Part:
    """A policy that records a share of a data set, and what identifies it."""

    name: str
    identity: bytes
    policy: Callable[[], Policy]  # read when asked for


def recipe(environment: str, quality: str) -> list[Part]:
    """The policies of a data set, in the order in which they record; empty where none were trained.

    Raises:
        UserError: an unknown environment.
    """
    row = environment_row(environment)
    if quality == "random":
        return [Part("random", b"uniform", lambda: Uniform(row.action_shape[0]))]
    if environment == "toy":
        return [
            Part(str(strider), str(strider).encode(), partial(replace, strider)) for strider in TOY.get(quality, ())
        ]
    patterns = {"medium-replay": ["ladder-*"], "medium-expert": ["medium", "expert"]}.get(quality, [quality])
    paths = [sorted((FOLDER / environment).glob(f"{pattern}.safetensors")) for pattern in patterns]
    if not all(paths):
        return []
    return [Part(path.stem, path.read_bytes(), partial(load, path)) for found in paths for path in found]


def available(environment: str, quality: str) -> bool:
    """Whether this data set can be collected here."""
    return bool(recipe(environment, quality))


def policies_digest(environment: str, quality: str) -> str:
    """sha256 of the policies that record a data set: part of its identity.

    Raises:
        UserError: there are none.
    """
    return hashlib.sha256(
        b"".join(hashlib.sha256(part.identity).digest() for part in parts(environment, quality))
    ).hexdigest()


def parts(environment: str, quality: str) -> list[Part]:
    """The recipe of a data set that can be collected.

    Raises:
        UserError: there are no policies for it.
    """
    found = recipe(environment, quality)
    if not found:
        raise UserError(
            f"No behaviour policy of ours records {environment}-{quality}: "
            f"use --source reroll with a D4RL file, or train one with sources/experts/train.py."
        )
    return found
