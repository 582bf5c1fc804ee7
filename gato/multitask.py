"""What Gato draws an update from when it learns more than one task.

A task is a set of trajectories or a text. Each sequence of an update belongs to one task, drawn by the tasks' weights
(trajectories/mixture.py); sequences of one task stay together in a batch of their own, since tasks differ in shape.

Shapes   B sequences, L tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import device

from gato.stream import TokenBlock, TokenSequence, TokenType, build
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Spec


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text as one long row of ids."""

    name: str
    ids: np.ndarray  # (n,)

    def sample(self, rng: np.random.Generator, size: int, length: int) -> TokenSequence:
        """Pieces of `length` tokens, one timestep each."""
        length = min(length, len(self.ids))
        begin = rng.integers(len(self.ids) - length + 1, size=size)
        ids = torch.from_numpy(self.ids[begin[:, None] + np.arange(length)]).long()
        block = TokenBlock(TokenType.TEXT, ids[:, None])
        ones = torch.ones(size, 1, dtype=torch.bool)
        return build([block], ones, torch.zeros(size, 1, dtype=torch.long))


@dataclass(frozen=True)
class MixedBatch:
    """The sequences of one update, task by task."""

    parts: tuple[Batch | TokenSequence, ...]

    def to(self, where: device | str) -> "MixedBatch":
        return MixedBatch(tuple(part.to(where) for part in self.parts))


def tasks(spec: Spec | Sequence[Spec] | None) -> tuple[Spec, ...]:
    """One or several specs as a tuple.

    Raises:
        UserError: two of them have one name, by which batches and players identify them.
    """
    if spec is None:
        return ()
    several = (spec,) if isinstance(spec, Spec) else tuple(spec)
    names = [each.name for each in several]
    if twice := {name for name in names if names.count(name) > 1}:
        raise UserError(f"Two tasks are called {min(twice)!r}: give each spec the name of its data set.")
    return several
