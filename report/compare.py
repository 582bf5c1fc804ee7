"""Models compared over several data sets, with the statistics of rliable.

Source    Agarwal et al. 2021, "Deep RL at the Edge of the Statistical Precipice", arXiv:2108.13264
Rows      of one suite that share source and physics are compared. Tasks are data sets; a run has one score.
          A model is compared only on tasks that it has run; how many these are stands beside every number.
Ranked    are models that have run every task, with several seeds and as many as at least one other model.
Bold      is a score whose interval lies above every other's in its row. Where one of the others has a single seed it
          has no interval, and nothing is bold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from report.grid import Row, models
from report.score_families import source_place
from report.statistics import (
    bootstrap_interval,
    improvement_interval,
    interquartile_mean,
    performance_profile,
    probability_of_improvement,
    profile_interval,
)
from trajectories.names import file_name

TIE = 1e-9  # a probability as near to one half as rounding leaves it
Tasks = dict[str, np.ndarray]  # a model's scores by row: (seeds,) each


@dataclass(frozen=True)
class SuiteComparison:
    """The rows of a suite in which runs may be compared."""

    suite: str
    source: str
    physics: str
    rows: tuple[Row, ...]
    size: int  # data sets of the suite, run or not

    @property
    def name(self) -> str:
        return f"{self.suite}, {self.source}"

    @property
    def columns(self) -> list[str]:
        return models(record for row in self.rows for cell in row.cells.values() for record in cell.records)

    @property
    def complete(self) -> list[str]:
        """The models that have run every task."""
        return [column for column in self.columns if len(self.tasks(column)) == len(self.rows)]

    @property
    def ranked(self) -> list[str]:
        """The models that may be ranked: complete, and with no fewer seeds than the others."""
        seeds = {column: self.seeds(column) for column in self.complete}
        second = sorted(seeds.values())[-2:-1]  # one model that was run more often than all others hides none of them
        found = [column for column, number in seeds.items() if second and number >= max(2, *second)]
        return found if len(found) > 1 else []  # one alone is no ranking

    def tasks(self, column: str) -> Tasks:
        """What a model scored, wherever it was run."""
        return {row.key: scores(row, column) for row in self.rows if column in row.cells}

    def seeds(self, column: str) -> int:
        """How many seeds a model has on the task where it has the fewest."""
        return min(map(len, self.tasks(column).values()))


@dataclass(frozen=True)
class Aggregate:
    """One model over the tasks of a comparison."""

    column: str
    tasks: int
    runs: int
    mean: float
    iqm: float
    interval: tuple[float, float] | None  # none where a task has one seed: there is nothing to draw again
    ranked: bool = False
    bold: bool = False


@dataclass(frozen=True)
class Profile:
    """The share of a model's runs above each level: a step function, which falls at the levels and nowhere else."""

    column: str
    levels: np.ndarray  # (L,)
    share: np.ndarray  # (L,)
    interval: np.ndarray | None  # (2, L)


@dataclass(frozen=True)
class Improvement:
    """How likely a run of `first` beats a run of `second` on the same task."""

    first: str
    second: str
    tasks: int
    probability: float
    interval: tuple[float, float]


def comparisons(table: Sequence[Row], suites: Mapping[str, Sequence[str]]) -> list[SuiteComparison]:
    """The suites of which two data sets or more have been run; one that adds nothing to a smaller one is left out.

    Where a data set has several rows, of other contents, the one with the most runs stands for it.
    """
    found: dict[tuple[str, ...], SuiteComparison] = {}
    for suite, datasets in sorted(suites.items(), key=lambda item: (len(item[1]), item[0])):
        for source, physics in sorted({(row.first.source, row.first.protocol.physics) for row in table}):
            chosen: dict[str, Row] = {}
            for row in table:
                name, here = row.first.dataset, (row.first.source, row.first.protocol.physics)
                if here != (source, physics) or row.treatment or name not in datasets:
                    continue
                if name not in chosen or runs(row) > runs(chosen[name]):
                    chosen[name] = row
            if len(chosen) > 1:
                rows = tuple(chosen[name] for name in datasets if name in chosen)
                found.setdefault(
                    tuple(sorted(row.key for row in rows)), SuiteComparison(suite, source, physics, rows, len(datasets))
                )
    return list(found.values())


def leading(compared: Sequence[SuiteComparison]) -> SuiteComparison | None:
    """The comparison that a reader sees first: with a ranking if one has it, `reroll` first, then the most runs."""
    order = [(bool(each.ranked), -source_place(each.source), sum(map(runs, each.rows))) for each in compared]
    return compared[order.index(max(order))] if order else None


def runs(row: Row) -> int:
    """How many a row's cells hold."""
    return sum(len(cell.records) for cell in row.cells.values())


def scores(row: Row, column: str) -> np.ndarray:
    """A model's headline scores in a row, one a seed."""
    return np.array([record.evaluations[0].score for record in row.cells[column].records])


def bold_model(row: Row) -> str | None:
    """The model that may be printed in bold: its interval lies above every other's."""
    intervals = {
        column: None if cell.summary.low is None or cell.summary.high is None else (cell.summary.low, cell.summary.high)
        for column, cell in row.cells.items()
    }
    return dominant(intervals)


def dominant(intervals: Mapping[str, tuple[float, float] | None]) -> str | None:
    """Whose interval lies above all others, if there are others and all have one."""
    known = {name: interval for name, interval in intervals.items() if interval is not None}
    if len(known) < max(2, len(intervals)):
        return None
    best = max(known, key=lambda name: known[name][0])
    return best if all(known[best][0] > high for name, (_, high) in known.items() if name != best) else None


def summaries(comparison: SuiteComparison) -> list[Aggregate]:
    """Each model over the tasks that it has run: the ranked ones by their interquartile means, then the others."""
    found, ranked = [], comparison.ranked
    for column in comparison.columns:
        tasks = list(comparison.tasks(column).values())
        pooled = np.concatenate(tasks)
        interval = bootstrap_interval(tasks) if has_intervals(tasks) else None
        mean = float(np.mean([task.mean() for task in tasks]))
        iqm = float(interquartile_mean(pooled))
        found.append(Aggregate(column, len(tasks), len(pooled), mean, iqm, interval, column in ranked))
    best = dominant({each.column: each.interval for each in found if each.column in comparison.complete})
    ordered = sorted(found, key=lambda each: (not each.ranked, -each.iqm if each.ranked else 0.0))
    return [replace(each, bold=each.column == best) for each in ordered]


def profiles(comparison: SuiteComparison) -> list[Profile]:
    """Of the models that have run every task of the comparison."""
    complete = {column: list(comparison.tasks(column).values()) for column in comparison.complete}
    if not complete:
        return []
    everything = np.concatenate([task for tasks in complete.values() for task in tasks])
    levels = np.unique([everything.min() - 0.05 * np.ptp(everything) - 1e-9, *everything])
    return [
        Profile(
            column,
            levels,
            performance_profile(tasks, levels),
            profile_interval(tasks, levels) if has_intervals(tasks) else None,
        )
        for column, tasks in complete.items()
    ]


def improvements(comparison: SuiteComparison) -> list[Improvement]:
    """Each pair of ranked models once, the likelier winner first."""
    found = []
    for pair in combinations(sorted(comparison.ranked), 2):
        one, other = (list(comparison.tasks(column).values()) for column in pair)
        (first, second), better = pair, probability_of_improvement(one, other) > 0.5 - TIE
        if not better:
            first, second, one, other = second, first, other, one
        probability, interval = probability_of_improvement(one, other), improvement_interval(one, other)
        found.append(Improvement(first, second, len(one), probability, interval))
    return found


def has_intervals(tasks: Sequence[np.ndarray]) -> bool:
    """Whether every task has several seeds, without which there is no interval."""
    return all(len(task) > 1 for task in tasks)


def comparison_name(comparison: SuiteComparison) -> str:
    """A suite's rows of one source and physics, as a file's name."""
    physics = "" if comparison.physics == "d4rl" else f"-{comparison.physics}"
    return file_name(f"{comparison.suite}-{comparison.source}{physics}")
