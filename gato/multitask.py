"""What Gato draws an update from when it learns more than one task.

A task is a set of trajectories or a text. Each sequence of an update belongs to one task, drawn by the tasks' weights
(trajectories/mixture.py); sequences of one task stay together in a batch of their own, since tasks differ in shape.

Shapes   B sequences, L tokens
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, device

from gato.answers import PairBatch
from gato.config import Config
from gato.stream import TokenBlock, TokenSequence, TokenType, build
from trajectories.batch import Batch
from trajectories.errors import UserError
from trajectories.types import Spec

Scores = tuple[Tensor, Tensor, Tensor]


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

    parts: tuple[Batch | PairBatch | TokenSequence, ...]

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


def config_of(config: Config, task: Spec, step_tokens: int) -> Config:
    """A configuration as it is for one task: how many steps its sequences have, and how many of these are a prompt.

    Args:
        step_tokens: tokens of one timestep of the task.
    """
    context = max(1, config.context_tokens // step_tokens) if config.context_tokens else config.context
    instructed = any(part.kind == "text" for part in task.parts)
    prompt = 0 if instructed and not config.prompt_instructed else min(config.prompt_steps, context - 1)
    return replace(config, context=context, prompt_steps=prompt)


def sequences(part: Batch | PairBatch | TokenSequence) -> int:
    """How many sequences there are in one task's part of a batch."""
    return len(part.ids) if isinstance(part, TokenSequence) else len(part.mask)


def mean_over_tasks(parts: Sequence[Batch | PairBatch | TokenSequence], scores: Sequence[Scores]) -> Tensor:
    """The mean of the tasks' mean losses, each weighing as many sequences as it has: no task is drowned by one whose
    actions have more tokens.

    Args:
        scores: of each part the summed loss, correct predictions and number of target tokens.
    """
    all_of_them = sum(map(sequences, parts))
    weighed = [
        loss / count * (sequences(part) / all_of_them) for part, (loss, _, count) in zip(parts, scores, strict=True)
    ]
    return torch.stack(weighed).sum()


def losses_by_task(
    known: Sequence[Spec], parts: Sequence[Batch | PairBatch | TokenSequence], scores: Sequence[Scores]
) -> dict[str, Tensor]:
    """The mean loss of each of several tasks; NaN of those that the update has not drawn."""
    if len(known) < 2:
        return {}
    nothing = scores[0][0].detach().new_full((), torch.nan)
    pairs = zip(parts, scores, strict=True)
    own = {part.task: loss.detach() / count for part, (loss, _, count) in pairs if part.task}
    return {task.name: own.get(task.name, nothing) for task in known}
