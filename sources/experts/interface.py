"""What a scripted expert offers to the collector: it acts in one environment, which it may look inside.

A family's experts are the file experts/<family>.py, which has

    VERSION                 raised by hand when what its experts do changes: part of the data's identity
    has_expert(row)         whether there is one for an environment; imports no simulator
    expert(row) -> Expert   the expert of an environment
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol

import numpy as np

from trajectories.errors import UserError
from trajectories.rows import EnvironmentRow


class GaveUp(Exception):  # no error: the episode is dropped and counted, and the next one begins
    """The expert cannot go on in this episode."""


class Expert(Protocol):
    """Plays one episode after another in one environment."""

    def begin(self, environment: Any, observation: np.ndarray, generator: np.random.Generator) -> None:
        """A new episode.

        Args:
            environment: the package's own environment (`Environments.inside`).
            observation: (*obs), the first.
            generator: for its noise; of this episode alone.
        """
        ...

    def act(self, environment: Any, observation: np.ndarray) -> np.ndarray | int:
        """An action in the project's units: floats in [-1, 1], or the number of a discrete action.

        Raises:
            GaveUp: it cannot go on.
        """
        ...


def has_expert(row: EnvironmentRow) -> bool:
    """Whether an expert of ours demonstrates this task."""
    name = f"sources.experts.{row.family}"
    family = import_module(name) if find_spec(name) else None
    return hasattr(family, "expert") and bool(family.has_expert(row))  # type: ignore[union-attr]


def version(row: EnvironmentRow) -> str:
    """What identifies the expert: its family and version."""
    return f"{row.family} {import_module(f'sources.experts.{row.family}').VERSION}"


def expert(row: EnvironmentRow) -> Expert:
    """The expert of a task.

    Raises:
        UserError: there is none.
    """
    if not has_expert(row):
        raise UserError(f"There is no expert of {row.name} here: give data of your own with --path.")
    found: Expert = import_module(f"sources.experts.{row.family}").expert(row)
    return found
