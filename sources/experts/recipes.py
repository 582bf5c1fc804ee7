"""Which policies record a data set of our own, and how many of its steps each: D4RL's recipe for every quality.

random          uniform actions
medium          the snapshot of a training that earns what D4RL's medium policy earned
expert          its best snapshot, or the policy of another training where it did not come so far
medium-expert   half medium, half expert, one after the other
medium-replay   what the learner's replay buffer held when it had come to medium: uniform actions at first, then of each
                snapshot as many steps as training took until the next
full-replay     likewise when it had come to expert, and of that the last million steps
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sources.experts import snapshots
from sources.experts.policy import Policy, Uniform, load
from sources.experts.snapshots import Snapshots
from trajectories.catalog import environment as environment_row
from trajectories.errors import UserError

FOLDER = Path(__file__).parent
REPLAY = {"medium-replay": "medium", "full-replay": "expert"}  # up to which snapshot
BUFFER = 1_000_000  # steps; D4RL's learner kept no more, and its full-replay files hold as many


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
    policy: Callable[[], Policy]  # read when it is needed
    steps: int = 1  # its share of the data set, in proportion to the others'


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
    trained = snapshots.read(environment)
    return _of_training(trained, quality, row.action_shape[0]) if trained else []


def _of_training(trained: Snapshots, quality: str, action_size: int) -> list[Part]:
    """The recipe of what a training's snapshots record; empty if it never came so far."""

    def part(taken: int, steps: int) -> Part:
        return Part(f"after {taken}", trained.identity(taken), partial(trained.policy, taken), steps)

    if quality not in REPLAY:
        levels = ["medium", "expert"] if quality == "medium-expert" else [quality]
        return [_chosen(trained, level) for level in levels if level in trained.card]
    if "file" in trained.card.get(REPLAY[quality], {"file": ""}):  # it never came there
        return []
    played = trained.intervals(trained.card[REPLAY[quality]]["steps"], BUFFER)
    warmup = trained.card["settings"][0]["warmup"] if played[0][0] == 0 else 0
    uniform = Part("random", b"uniform", lambda: Uniform(action_size), warmup)
    (first, steps), *others = played
    return [*([uniform] if warmup else []), part(first, steps - warmup), *(part(*one) for one in others)]


def _chosen(trained: Snapshots, level: str) -> Part:
    """The policy of medium or expert: a snapshot, or a file of its own."""
    chosen = trained.card[level]
    if "file" in chosen:
        path = FOLDER / chosen["file"]
        return Part(level, path.read_bytes(), partial(load, path))
    return Part(level, trained.identity(chosen["steps"]), partial(trained.policy, chosen["steps"]))


def available(environment: str, quality: str) -> bool:
    """Whether this data set can be collected here."""
    return bool(recipe(environment, quality))


def policies_digest(environment: str, quality: str) -> str:
    """sha256 of the policies that record a data set: part of its identity.

    Raises:
        UserError: there are none.
    """
    found = parts(environment, quality)
    shares = b"".join(part.steps.to_bytes(8) for part in found if plays_whole_episodes(quality))
    return hashlib.sha256(b"".join(hashlib.sha256(part.identity).digest() for part in found) + shares).hexdigest()


def plays_whole_episodes(quality: str) -> bool:
    """Whether an episode is played to its end though its policy's steps are over: no learner resets for a snapshot."""
    return quality in REPLAY


def parts(environment: str, quality: str) -> list[Part]:
    """The recipe of a data set that can be collected.

    Raises:
        UserError: there are no policies for it.
    """
    found = recipe(environment, quality)
    if not found:
        raise UserError(
            f"No behavior policy of ours records {environment}-{quality}: "
            f"use --source reroll with a D4RL file, or train one with sources/experts/train.py."
        )
    return found
