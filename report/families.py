"""Models compared family by family: robots, games, instructions, manipulation and whatever else was run.

A family's tasks are its data sets; of one with several rows the one with the most runs stands for it. Scores are what
the other tables show: the percentage of episodes that succeeded where the environment knows success, else normalized
between a random policy and an expert. They are averaged within a family and never over families, and a model only over
the tasks that it has run, whose number stands beside.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from report.cell_text import ABSENT, Table, Text
from report.compare import runs, scores
from report.grid import Row, label
from report.score_families import ATARI, is_answered, kind_of
from report.statistics import interquartile_mean
from report.store import Record

TITLES = {
    "mujoco": "D4RL's robots",
    "atari": "Atari",
    "babyai": "BabyAI",
    "metaworld": "Meta-World",
    "dm_control": "DM Control",
    "fetch": "Fetch",
    "dm_manipulation": "DM Control's arm",
    "ogbench": "Stacking (OGBench's cubes)",
    "sokoban": "Sokoban",
    "modular": "Modular robots",
    "procgen": "Procgen",
    "pairs": "Pictures and questions",
    "text": "Text",
}
LEVELS = (50, 80, 100)  # percent of the expert's score: Gato's figure 5 (Reed et al. 2022, arXiv:2205.06175)


@dataclass(frozen=True)
class Family:
    """Rows of one family, a task each."""

    name: str
    rows: tuple[Row, ...]

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name)

    def scores(self, column: str) -> list[np.ndarray]:
        """What a model scored on the tasks that it has run: (seeds,) each."""
        return [scores(row, column) for row in self.rows if column in row.cells]

    def shares(self, column: str) -> list[float]:
        """Its mean score on each of these tasks as a percentage of the expert's."""
        return [100 * scores(row, column).mean() / expert(row.first) for row in self.rows if column in row.cells]


def family(record: Record) -> str:
    """The family of a record's task; those from before it was recorded are D4RL's robots or Atari's games."""
    return record.family or ("atari" if kind_of(record) is ATARI else "mujoco")


def random(record: Record) -> float:
    """What random actions score."""
    return 100 * record.references.get("random_success", 0.0)


def expert(record: Record) -> float:
    """What the expert scores; 100 where its success is not known."""
    return 100 * (record.references.get("expert_success") or 1.0)


def families(arranged: Sequence[Row]) -> list[Family]:
    """The families that were run, each with its tasks, in the order of `TITLES`."""
    chosen: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in arranged:
        tasks, task = chosen[family(row.first)], row.first.dataset
        if not row.treatment and (task not in tasks or runs(row) > runs(tasks[task])):
            tasks[task] = row
    return [Family(name, tuple(chosen[name].values())) for name in ordered(chosen) if chosen[name]]


def ordered(names: Iterable[str]) -> list[str]:
    """Families in the order of `TITLES`, others behind them."""
    known = list(TITLES)
    return sorted(names, key=lambda name: (known.index(name) if name in known else len(known), name))


def by_family(arranged: Sequence[Row], columns: Sequence[str]) -> Table:
    """A line for each family, a column for each model; empty where one family alone was run."""
    found = families(arranged)
    lines = []
    for each in found if len(found) > 1 else ():
        line = [Text(each.title), *(_over(each, column) for column in columns)]
        line += [_mean(map(expert, _firsts(each))), _mean(map(random, _firsts(each)))]
        lines.append((*line, Text(str(len(each.rows)), value=len(each.rows))))
    return Table(
        title="By family",
        notes=(
            "Interquartile mean of the scores of all runs of a family's tasks, each task's as other tables show it: "
            "percentage of successful episodes, or normalized score; of what is answered, the percentage of right "
            "answers, and of text that of 8 bits a byte which is saved. Below it how many tasks the model has run; "
            "only models that have run the same ones can be compared. No number here is a mean over families.",
        ),
        header=("Family", *map(label, columns), "Expert", "Random", "Tasks"),
        rows=tuple(lines),
        numbers=1,
        models=tuple(columns),
        figure="families",
    )


def reached(arranged: Sequence[Row], columns: Sequence[str]) -> Table:
    """How many tasks of all families a model plays about as well as the expert."""
    found = [each for each in families(arranged) if not is_answered(each.rows[0].first)]  # these have no expert
    lines = []
    for column in columns if len(found) > 1 else ():
        shares = np.array([share for each in found for share in each.shares(column)])
        counts = [int((shares >= level).sum()) for level in LEVELS]
        cells = [Text(f"{count} of {len(shares)}", value=count) for count in counts]
        lines.append((Text(label(column)), Text(str(len(shares)), value=len(shares)), *cells))
    return Table(
        title="Tasks at the expert's level",
        notes=(
            "Tasks on which a model's mean score is at least this share of the expert's, of those that it has run.",
        ),
        header=("Model", "Tasks", *(f"{level}%" for level in LEVELS)),
        rows=tuple(lines),
        numbers=1,
    )


def _firsts(each: Family) -> list[Record]:
    return [row.first for row in each.rows]


def _mean(values: "map[float]") -> Text:
    mean = float(np.mean(list(values)))
    return Text(f"{mean:.1f}", value=mean)


def _over(each: Family, column: str) -> Text:
    """A model's interquartile mean over a family."""
    found = each.scores(column)
    if not found:
        return Text(ABSENT)
    mean = float(interquartile_mean(np.concatenate(found)))
    return Text(
        f"{mean:.1f}", (f"{len(found)} of {len(each.rows)} tasks",), few=len(found) < len(each.rows), value=mean
    )
