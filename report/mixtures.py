"""Sets of weights that have learned several tasks, compared: what else was learned, by which weights, in which size.

A mixture is the records of one run, or of runs that differ in the seed only. Two are compared over the tasks that both
have, family by family: an ablation is another run of the same suite (--without pairs text, --task-weights, --width).
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from report.cell_text import ABSENT, Table, Text
from report.families import TITLES, family, ordered
from report.grid import Row, settings
from report.statistics import interquartile_mean
from report.store import Record, config_hash
from trajectories.names import file_name

UNNAMED = {"env", "task_weights"}  # settings that have other words
PLAIN = {"episodes", "precision", "evaluate_every"}  # that say nothing of what was learned


@dataclass(frozen=True)
class Mixture:
    """One set of weights for each seed, and its scores."""

    label: str
    first: Record
    scores: dict[str, dict[str, np.ndarray]]  # by family and task: (seeds,)
    tokens: int
    parameters: int

    def over(self, name: str, tasks: Sequence[str]) -> float | None:
        """The interquartile mean over some tasks of a family; None where it has none of them."""
        found = [scores for task, scores in self.scores.get(name, {}).items() if task in tasks]
        return float(interquartile_mean(np.concatenate(found))) if found else None


@dataclass(frozen=True)
class MixtureComparison:
    """Mixtures that share most of their tasks; the first one is what the others are compared with."""

    mixtures: tuple[Mixture, ...]
    tasks: dict[str, tuple[str, ...]]  # by family: those of the first that at least one other has

    @property
    def families(self) -> list[str]:
        return ordered(self.tasks)


def compared(arranged: Sequence[Row]) -> list[MixtureComparison]:
    """Mixtures of at least three tasks, each beside those that have half of its tasks."""
    found = sorted(_mixtures(arranged), key=lambda each: (-len(_tasks(each)), each.first.name))
    groups: list[list[Mixture]] = []
    for each in found:
        alike = (group for group in groups if 2 * len(_tasks(group[0]) & _tasks(each)) > len(_tasks(group[0])))
        near = next(alike, None)
        groups.append([each]) if near is None else near.append(each)
    return [_compared(group) for group in groups if len(group) > 1]


def mixtures_name(each: MixtureComparison) -> str:
    """The name of its figure."""
    return file_name(f"mixtures-{each.mixtures[0].first.name.partition('/')[0]}")


def table(found: Sequence[MixtureComparison]) -> Table:
    """A line for each mixture, a column for each family."""
    families = list(dict.fromkeys(name for each in found for name in each.families))
    lines = [
        (
            *(Text(mixture.label), Text(str(len(_tasks(mixture))), value=len(_tasks(mixture)))),
            Text(f"{mixture.parameters / 1e6:.1f}M", value=mixture.parameters),
            *(_cell(mixture.over(name, each.tasks.get(name, ()))) for name in families),
        )
        for each in found
        for mixture in each.mixtures
    ]
    return Table(
        title="One set of weights, other mixtures",
        notes=(
            "Interquartile mean of the scores of each family's tasks, over the tasks that mixtures below each other "
            "share. The first line is the mixture of the most tasks; the others are named by what differs from it.",
        ),
        header=("Mixture", "Tasks", "Parameters", *(TITLES.get(name, name) for name in families)),
        rows=tuple(lines),
        numbers=1,
    )


def _mixtures(arranged: Sequence[Row]) -> list[Mixture]:
    """Every mixture of at least three tasks, without a name yet."""
    runs: dict[str, list[Record]] = defaultdict(list)
    for row in arranged:
        for record in (each for cell in row.all_cells for each in cell.records):
            if len(record.tasks) > 2 and not row.treatment:
                alike = {**settings(record), "target_returns": None, "tasks": record.tasks}
                runs[config_hash({**alike, "source": record.config["run"].get("source")})].append(record)
    found = []
    for records in runs.values():
        scores: dict[str, dict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        for record in sorted(records, key=lambda record: (record.seed, record.name)):  # a seed once, by the first run
            scores[family(record)][record.dataset].setdefault(record.seed, record.evaluations[0].score)
        kept = {name: {task: np.array([*own[task].values()]) for task in own} for name, own in scores.items()}
        first = min(records, key=lambda record: (record.seed, record.dataset))
        found.append(Mixture("", first, kept, first.tokens, first.parameters))
    return found


def _compared(group: Sequence[Mixture]) -> MixtureComparison:
    """A group with its names and the tasks that are compared.

    The first has the most tasks; of several, it is the one that differs least from all others: an ablation changes one
    thing of it.
    """
    most = [each for each in group if len(_tasks(each)) == len(_tasks(group[0]))]
    first = min(most, key=lambda each: sum(len(differences(each, other)) for other in group if other is not each))
    others = [each for each in group if each is not first]
    named = [Mixture(f"all {len(_tasks(first))} tasks", *_rest(first))]
    named += [Mixture(", ".join(differences(first, each)) or "again", *_rest(each)) for each in others]
    elsewhere = set().union(*map(_tasks, others))
    tasks = {name: tuple(task for task in own if task in elsewhere) for name, own in first.scores.items()}
    return MixtureComparison(tuple(named), {name: own for name, own in tasks.items() if own})


def differences(first: Mixture, other: Mixture) -> list[str]:
    """What another mixture has that the first has not, as "without Text", "equal weights", "width 128"."""
    here, there = ({name for name in each.scores if each.scores[name]} for each in (first, other))
    words = [f"without {TITLES.get(name, name)}" for name in first.scores if name not in there]
    words += [f"with {TITLES.get(name, name)}" for name in other.scores if name not in here]
    kept = set().union(*(first.scores[name] for name in here & there))
    if fewer := len({task for task in kept if task not in _tasks(other)}):
        words.append(f"{fewer} tasks fewer")
    before, after = (_settings(each.first) for each in (first, other))
    weights = [_weights(each.first) for each in (first, other)]
    if any(weights[0].get(task) != share for task, share in weights[1].items()):
        words.append("equal weights" if len(set(weights[1].values())) == 1 else "other weights")
    return words + [f"{name} {value}" for name, value in after.items() if value != before.get(name)]


def _weights(record: Record) -> dict[str, float]:
    given = record.config.get("run", {}).get("task_weights") or [1.0] * len(record.tasks)
    return dict(zip(record.tasks, map(float, given), strict=False))


def _settings(record: Record) -> dict[str, Any]:
    """The settings that decide what was learned, by name."""
    run = {name: value for name, value in settings(record)["run"].items() if name not in UNNAMED | PLAIN}
    return {**run, **record.config.get("model", {})}


def _tasks(mixture: Mixture) -> set[str]:
    return {task for own in mixture.scores.values() for task in own}


def _rest(mixture: Mixture) -> tuple[Record, dict[str, dict[str, np.ndarray]], int, int]:
    return mixture.first, mixture.scores, mixture.tokens, mixture.parameters


def _cell(value: float | None) -> Text:
    return Text(ABSENT) if value is None else Text(f"{value:.1f}", value=value)
