"""Suites, as data: experiments/suites.toml. A grid runs each of its data sets, `run.py --suite` all of them at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from backbone.options import as_option, read_tables
from trajectories.catalog import dataset
from trajectories.errors import UserError, did_you_mean

EXAMPLES: dict[str, Any] = {
    **{"models": ("dt",), "envs": ("hopper-medium",), "seeds": (0,), "source": "auto", "preset": "default"},
    "options": {"dt": {"updates": 100}},
    "weights": {"hopper-medium": 1.0},
}
FILE = Path(__file__).parents[1] / "experiments" / "suites.toml"


@dataclass(frozen=True)
class Suite:
    """What a suite runs.

    Raises:
        UserError: it weighs a data set that it does not have.
    """

    models: tuple[str, ...]
    envs: tuple[str, ...]
    seeds: tuple[int, ...]
    source: str = "auto"
    preset: str = "default"
    options: dict[str, dict[str, Any]] = field(default_factory=dict)  # of experiments/run.py, by model
    weights: dict[str, float] = field(
        default_factory=dict
    )  # how often each is drawn where all are learned at once; else 1

    def __post_init__(self) -> None:
        for name in self.weights:
            if name not in self.envs:
                raise UserError(f"A suite weighs {name}, which is none of its envs: {did_you_mean(name, self.envs)}")

    @property
    def task_weights(self) -> tuple[float, ...]:
        """How often each of `envs` is drawn: 1 where it has no weight."""
        return tuple(self.weights.get(name, 1.0) for name in self.envs)

    def without(self, families: Sequence[str]) -> "Suite":
        """The suite less its tasks of some families: text, pairs, atari, babyai, ...

        Raises:
            UserError: it has none of such a family, or no others.
        """
        family = {name: dataset(name).environment.family for name in self.envs}
        for name in families:
            if name not in family.values():
                raise UserError(f"--without {name}: the suite has {', '.join(dict.fromkeys(family.values()))}.")
        left = tuple(name for name in self.envs if family[name] not in families)
        if not left:
            raise UserError(f"--without {' '.join(families)} leaves no task of the suite: leave fewer families out.")
        return replace(self, envs=left, weights={name: self.weights[name] for name in self.weights if name in left})


def suites(path: Path = FILE) -> dict[str, Suite]:
    """Every suite by its name, in the file's order.

    Raises:
        UserError: the file cannot be read, or a suite has something that no suite has.
    """
    found = {}
    for name, row in read_tables(path).items():
        values = {key: as_option(value) for key, value in row.items()}
        try:
            found[name] = Suite(**values)
        except TypeError:
            known = ", ".join(field.name for field in fields(Suite))
            raise UserError(
                f"{path.name}: [{name:.40}] is no suite: it needs models, envs and seeds, of {known}."
            ) from None
        for key, value in values.items():
            if not alike(value, EXAMPLES[key]):
                given = f"{path.name}: [{name:.40}] has {key} = {value!s:.40}"
                raise UserError(f"{given}: give something like {EXAMPLES[key]!r}.")
    return found


def alike(value: Any, example: Any) -> bool:
    """Whether a value is of an example's kind; what is in a list or a table, too."""
    if type(value) is not type(example):
        return False
    if isinstance(example, dict):
        kinds = (dict,) if isinstance(next(iter(example.values())), dict) else (float, int)
        return all(isinstance(one, kinds) for one in value.values())
    return not isinstance(example, tuple) or all(type(one) is type(example[0]) for one in value)


def find(name: str, path: Path = FILE) -> Suite:
    """The suite called `name`.

    Raises:
        UserError: there is no such suite.
    """
    known = suites(path)
    if name not in known:
        raise UserError(f"There is no suite called {name!r}: {did_you_mean(name, list(known))}")
    return known[name]
