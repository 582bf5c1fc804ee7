"""Published scores, read from published.toml: what others measured, each with its source."""

import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

FILE = Path(__file__).with_suffix(".toml")


@dataclass(frozen=True, kw_only=True)
class Published:
    """One column of published numbers."""

    id: str
    label: str
    model: str  # of ours that it stands beside; empty: none
    source: str  # of the data that it learned from
    paper: str
    url: str
    error: str  # what follows the ±
    checkpoint: str
    scores: dict[str, list[float]]  # data set -> [normalized mean] or [normalized mean, error]
    headline: bool = False  # stands in the short tables
    fraction_best: float = 1.0  # of the trajectories, that it learned from
    target_return: str = ""
    returns: dict[str, list[float]] = field(default_factory=dict)  # Atari: in points, likewise
    references: dict[str, list[float]] = field(default_factory=dict)  # returns that it normalizes as 0 and 100

    @property
    def note(self) -> str:
        """Where the column comes from, in a sentence."""
        deviation = "no error stated" if self.error == "none stated" else f"± is the {self.error}"
        targets = f"; target return {self.target_return}" if self.target_return else ""
        return f"{self.label}: {self.paper}; {deviation}; checkpoint: {self.checkpoint}{targets}."

    @property
    def of_games(self) -> bool:
        """Whether it is a column of Atari's table."""
        return bool(self.returns)

    def normalized(self, dataset: str, mean_return: float) -> float:
        """A mean return of ours as this column normalizes its own."""
        random, expert = self.references[dataset]
        return 100 * (mean_return - random) / (expert - random)

    def cell(self, dataset: str) -> str:
        """What the column prints for a data set: as published, or a dash."""
        if dataset not in self.scores:
            return "—"
        return " ± ".join(f"{value:.1f}" for value in self.scores[dataset])


@cache
def published() -> tuple[Published, ...]:
    """All columns, in the file's order."""
    return tuple(Published(**column) for column in tomllib.loads(FILE.read_text(encoding="utf-8"))["column"])
