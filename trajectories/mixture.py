"""Several data sets for one set of weights, and how often each is drawn from."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from trajectories.errors import UserError
from trajectories.pairs import Pairs
from trajectories.text import Text
from trajectories.types import Spec, Trajectories

Task = Trajectories | Pairs | Text  # a data set


@dataclass(frozen=True, eq=False)
class Mixture:
    """Tasks and how often each is drawn; equally often without `weights`.

    A part is a data set: trajectories, pairs or text; or anything else that the model knows how to draw from (Gato: ids
    of a text). A task has the name of its data set, since two data sets may be recorded in one environment; so have its
    spec and every batch.

    Raises:
        UserError: there are no parts, two of them have one name, or the weights are not one number for each.
    """

    parts: tuple[Any, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.parts:
            raise UserError("A mixture of 0 tasks has nothing to learn from: name at least one data set.")
        names = [part.origin.name for part in self.tasks]
        for name in names:
            if names.count(name) > 1:
                raise UserError(f"A mixture has {name} {names.count(name)} times: weigh a data set by its weight.")
        if self.weights and (len(self.weights) != len(self.parts) or min(self.weights) < 0 or sum(self.weights) <= 0):
            raise UserError(
                f"Weights {self.weights} do not fit {len(self.parts)} tasks: give one positive number each."
            )
        object.__setattr__(self, "parts", tuple(map(_named, self.parts)))

    @property
    def trajectories(self) -> tuple[Trajectories, ...]:
        return tuple(part for part in self.parts if isinstance(part, Trajectories))

    @property
    def tasks(self) -> tuple[Task, ...]:
        """The parts that are data sets."""
        return tuple(part for part in self.parts if isinstance(part, Task))

    @property
    def spec(self) -> tuple[Spec, ...]:
        """What the tasks look like to a model, each by its data set's name: `Gato(config, mixture.spec)`."""
        return tuple(part.spec for part in self.tasks)

    def __len__(self) -> int:
        return sum(len(part) for part in self.trajectories)

    def counts(self, rng: np.random.Generator, size: int, draws: int = 0) -> np.ndarray:
        """How many of `size` sequences each part gives, drawn by the weights.

        Args:
            draws: of a part, each of which gives an equal share of the sequences; 0: one for each sequence. Few draws
                make an update of few tasks, each a larger batch, and every part still gives its share in the long run.
        """
        weights = np.asarray(self.weights or [1.0] * len(self.parts))
        draws = min(draws, size) or size
        drawn = rng.choice(len(self.parts), draws, p=weights / weights.sum()) if draws < size else None
        if drawn is None:
            return rng.multinomial(size, weights / weights.sum())
        shares = np.diff(np.arange(draws + 1) * size // draws)
        return np.bincount(drawn, shares, len(self.parts)).astype(np.int64)


def _named(part: Any) -> Any:
    """Trajectories whose spec is called what the data set is called; anything else as it is."""
    if not isinstance(part, Trajectories):
        return part
    return replace(part, spec=replace(part.spec, name=part.origin.name))
