"""Data sets that are answered, not played: the rows of answered.toml, and those of the user's own files.

A task without an environment has a row like one that has: its family is `pairs` or `text`, and its scores lie between
0 and 100 as all do. A share of right answers is its percentage; of text, 100 are no bits at all and 0 are 8 bits for
each byte.
"""

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from trajectories.pairs import EPISODE
from trajectories.rows import DatasetRow, EnvironmentRow
from trajectories.types import ANSWERED

FILE = Path(__file__).with_name("answered.toml")
SIDE = 64  # pixels of a side of every picture: 16 of Gato's patches
LAYOUTS = {  # of files, and what they hold: the functions of formats/pairs.py and formats/text.py
    **dict.fromkeys(("coco-captions", "conceptual-captions", "vqa", "webdataset", "jat-pairs"), "pairs"),
    **dict.fromkeys(("tux-paint", "emoji", "easy-vqa"), "pairs"),
    **dict.fromkeys(("text", "kjv", "jat-text"), "text"),
}
BYTE = 8.0  # bits


@dataclass(frozen=True)
class Package:
    """A file that a package manager fetches."""

    manager: str  # pip, apt, npm
    name: str
    version: str
    size: int  # bytes
    sha256: str

    def __str__(self) -> str:
        return f"{self.manager} {self.name} {self.version}"

    @property
    def folder(self) -> str:
        """What it is called in the cache."""
        return f"{self.manager}-{self.name}-{self.version}"


@dataclass(frozen=True)
class AnsweredRow(DatasetRow):
    """A data set that is answered; `environment` has what a model is given, and nothing to play."""

    layout: str = ""  # of LAYOUTS
    about: str = ""
    license: str = ""
    package: Package | None = None  # None: files of the user's own
    inside: str = "."  # where the files lie in the package

    @property
    def kind(self) -> str:
        """pairs or text."""
        return LAYOUTS[self.layout]


@cache
def answered_rows() -> dict[str, AnsweredRow]:
    """Every data set of answered.toml by its name."""
    rows = {}
    for name, table in tomllib.loads(FILE.read_text(encoding="utf-8")).items():
        package = Package(**table.pop("package"))
        rows[name] = AnsweredRow(name, task(name, LAYOUTS[table["layout"]]), package=package, **table)
    return rows


def own_row(name: str, layout: str) -> AnsweredRow:
    """Files of the user's own, in one of LAYOUTS."""
    return AnsweredRow(name, task(name, LAYOUTS[layout]), layout=layout)


def task(name: str, kind: str) -> EnvironmentRow:
    """What stands in place of an environment."""
    assert kind in ANSWERED
    pairs = kind == "pairs"
    return EnvironmentRow(
        name=name,
        family=kind,
        gym_id="",
        max_episode_steps=EPISODE if pairs else 1,
        observation_shape=(SIDE, SIDE, 3) if pairs else (),
        observation_dtype="uint8" if pairs else "float32",
        action_shape=(),
        target_returns=(),
        random_score=0.0 if pairs else BYTE,
        expert_score=1.0 if pairs else 0.0,
    )
