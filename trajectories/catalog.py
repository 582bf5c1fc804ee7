"""Every environment and data set is a row of catalog.toml; an unknown name is answered with the nearest ones.

A new data set is a row there, not a branch here. A number that no source gives is absent from its row, and None here.
"""

import difflib
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from trajectories.errors import UserError
from trajectories.types import Spec

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True)
class EnvironmentRow:
    """An environment: what it looks like, what to ask of it, and the scores between which it is normalised."""

    name: str
    family: str  # the file environments/<family>.py that plays it
    gym_id: str  # gymnasium's name; empty where the family needs none
    horizon: int  # steps
    observation_shape: tuple[int, ...]
    action_shape: tuple[int, ...]  # () for discrete actions
    target_returns: tuple[float, ...]  # in the environment's units, the highest first
    random_score: float  # mean return of random actions, in the environment's units
    expert_score: float
    actions: int | None = None  # how many discrete actions
    observation_dtype: str = "float32"
    zero_columns: int = 0  # trailing columns of recorded observations that are zero throughout and are left out

    def spec(self) -> Spec:
        """What a model is told of this environment."""
        return Spec(
            name=self.name,
            observation_shape=self.observation_shape,
            action_shape=self.action_shape,
            horizon=self.horizon,
            actions=self.actions,
            observation_dtype=self.observation_dtype,
        )


@dataclass(frozen=True)
class DatasetRow:
    """A data set: whose recording it is, where its file lies, and what is published about that file."""

    name: str
    env: str  # the name of its EnvironmentRow
    quality: str  # random, medium, medium-replay, medium-expert, expert
    collected_steps: int  # steps that `--source collected` records unless told otherwise
    file: str | None = None  # D4RL's file name; None: only collected
    path: str | None = None  # where the file lies below D4RL's address
    format: str = "d4rl"  # the file trajectories/formats/<format>.py
    sha256: str | None = None
    steps: int | None = None  # the rest: of D4RL's own file
    episodes: int | None = None
    mean_return: float | None = None
    state_mean: tuple[float, ...] | None = None  # (S,)
    state_std: tuple[float, ...] | None = None  # (S,)

    @property
    def environment(self) -> EnvironmentRow:
        return environment(self.env)

    @property
    def urls(self) -> tuple[str, ...]:
        """D4RL's own server first, then its mirrors; empty where nobody publishes the file."""
        if self.path is None or self.file is None:
            return ()
        return tuple(pattern.format(path=self.path, file=self.file) for pattern in _tables()["d4rl"]["urls"])


def environment(name: str) -> EnvironmentRow:
    """The environment called `name`.

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    return EnvironmentRow(name=name, **_row("env", name, "environment"))


def dataset(name: str) -> DatasetRow:
    """The data set called `name`; D4RL's version suffix is accepted ("hopper-medium-v2").

    Raises:
        UserError: there is none; the message names the nearest ones.
    """
    name = name.removesuffix("-v2") if name not in dataset_names() else name
    return DatasetRow(name=name, **_row("dataset", name, "data set"))


def environment_names() -> tuple[str, ...]:
    return tuple(_tables()["env"])


def dataset_names() -> tuple[str, ...]:
    return tuple(_tables()["dataset"])


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error message about an unknown name: the nearest known ones, or else all of them."""
    known = sorted(known)
    close = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else f"choose one of {', '.join(known)}."


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(FILE.read_text(encoding="utf-8"))


def _row(table: str, name: str, kind: str) -> dict[str, Any]:
    rows = _tables()[table]
    if name not in rows:
        raise UserError(f"There is no {kind} called {name!r}: {nearest(name, rows)}")
    return {key: _frozen(key, value) for key, value in rows[name].items()}


REALS = ("target_returns", "random_score", "expert_score", "mean_return", "state_mean", "state_std")


def _frozen(key: str, value: Any) -> Any:
    """TOML's lists as tuples, and whole numbers as floats where the column holds floats."""
    if isinstance(value, list):
        return tuple(_frozen(key, item) for item in value)
    return float(value) if key in REALS else value
