"""Models compared family by family: robots, games, instructions, manipulation and whatever else was run.

A family's tasks are its data sets, of one source and one physics; of one with several rows the one with the most runs
stands for it. Scores are what the other tables show: the percentage of episodes that succeeded where the environment
knows success, else normalized between a random policy and an expert. They are averaged within a family and never over
families or sources, and a model only over the tasks that it has run, whose number stands beside.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from report.cell_text import ABSENT, Table, Text
from report.compare import runs, scores
from report.grid import Row, label
from report.score_families import ATARI, SUCCESS, is_answered, kind_of, source_place
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
BOUNDED = {"dm_control", "dm_manipulation", "procgen"}  # families whose 0 and 100 are no policies of ours
ROUNDING = 1e-9  # of a share
LEVELS = (50, 80, 100)  # percent of the expert's score: Gato's figure 5 (Reed et al. 2022, arXiv:2205.06175)


@dataclass(frozen=True)
class Family:
    """Rows of one family, a task each."""

    name: str
    rows: tuple[Row, ...]
    where: str = ""  # source and physics, where the family was run in several

    @property
    def title(self) -> str:
        return TITLES.get(self.name, self.name) + (f", {self.where}" if self.where else "")

    def scores(self, column: str) -> list[np.ndarray]:
        """What a model scored on the tasks that it has run: (seeds,) each."""
        return [scores(row, column) for row in self.rows if column in row.cells]

    def shares(self, column: str) -> list[float]:
        """Its mean score on each of these tasks as a percentage of the expert's; of 100 where that is not known."""
        run = [row for row in self.rows if column in row.cells]
        return [100 * scores(row, column).mean() / (expert(row.first) or 100.0) for row in run]

    def reference(self, of: Callable[[Record], float | None]) -> float | None:
        """The interquartile mean over the tasks of what random actions or the expert score; None if it is not known."""
        each = [value for row in self.rows if (value := of(row.first)) is not None]
        return float(interquartile_mean(np.array(each))) if len(each) == len(self.rows) else None


def family(record: Record) -> str:
    """The family of a record's task; those from before it was recorded are D4RL's robots or Atari's games."""
    return record.family or ("atari" if kind_of(record) is ATARI else "mujoco")


def random(record: Record) -> float | None:
    """What random actions score; None where that is not known, or nothing is played."""
    return _reference(record, "random_success", 0.0)


def expert(record: Record) -> float | None:
    """What the expert scores; None where that is not known, or nothing is played."""
    return _reference(record, "expert_success", 100.0)


def _reference(record: Record, name: str, normalized: float) -> float | None:
    """In percent of successful episodes, where the record has it; or else normalized."""
    if is_answered(record):
        return None
    if kind_of(record) is not SUCCESS:
        return normalized if record.family not in BOUNDED else None
    found = record.references.get(name)
    return None if found is None else 100 * found


def families(arranged: Sequence[Row]) -> list[Family]:
    """The families that were run, each with its tasks, in the order of `TITLES`; one for each source and physics."""
    chosen: dict[str, dict[tuple[str, str], dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in (row for row in arranged if not row.treatment):
        where = (row.first.source, row.first.protocol.physics)
        tasks, task = chosen[family(row.first)][where], row.first.dataset
        if task not in tasks or runs(row) > runs(tasks[task]):
            tasks[task] = row
    return [
        Family(name, tuple(tasks.values()), _where(where, chosen[name]))
        for name in ordered(chosen)
        for where, tasks in sorted(chosen[name].items(), key=lambda item: (source_place(item[0][0]), item[0]))
    ]


def _where(one: tuple[str, str], all_: Iterable[tuple[str, str]]) -> str:
    """What a source and physics are called beside the others; nothing where there is but one."""
    physics = {"d4rl": "", "gymnasium": " in gymnasium's physics"}.get(one[1], f" in {one[1]}")
    alone = len({each[1] for each in all_ if each[0] == one[0]}) == 1
    return "" if len(list(all_)) == 1 else one[0] + ("" if alone else physics)


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
        line += [_shown(each.reference(expert)), _shown(each.reference(random))]
        lines.append((*line, Text(str(len(each.rows)), value=len(each.rows))))
    return Table(
        title="By family",
        notes=(
            "Interquartile mean of the scores of all runs of a family's tasks, each task's as other tables show it: "
            "percentage of successful episodes, or normalized score; of what is answered, the percentage of right "
            "answers, and of text that of 8 bits a byte which is saved; likewise of the expert and of random actions, "
            "where these are known. Below it how many tasks the model has run; "
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
        counts = [int((shares >= level - ROUNDING).sum()) for level in LEVELS]
        cells = [Text(f"{count} of {len(shares)}", value=count) for count in counts]
        lines.append((Text(label(column)), Text(str(len(shares)), value=len(shares)), *cells))
    return Table(
        title="Tasks at the expert's level",
        notes=(
            "Tasks on which a model's mean score is at least this share of the expert's, of those that it has run; a "
            "data set from two sources is two tasks.",
        ),
        header=("Model", "Tasks", *(f"{level}%" for level in LEVELS)),
        rows=tuple(lines),
        numbers=1,
    )


def _shown(value: float | None) -> Text:
    return Text(ABSENT) if value is None else Text(f"{value:.1f}", value=value)


def _over(each: Family, column: str) -> Text:
    """A model's interquartile mean over a family."""
    found = each.scores(column)
    if not found:
        return Text(ABSENT)
    mean = float(interquartile_mean(np.concatenate(found)))
    return Text(
        f"{mean:.1f}", (f"{len(found)} of {len(each.rows)} tasks",), few=len(found) < len(each.rows), value=mean
    )
