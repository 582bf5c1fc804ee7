"""Which records share a cell. Records become rows of cells here, before any number is looked at.

A row    one data set from one source with one content, in one physics, from the same starts. Anything else is another
         row.
A cell   runs of one model in that row whose settings differ in nothing but the seed; each seed once, all with the
         same number of episodes, which stands in the cell: a planner that needs minutes for an episode plays fewer of
         the same episodes. A model whose weights serve several data sets is a column of its own: Gato (3 tasks).
Several settings of one model in one row (more updates, another width) are several cells. The row shows the one with
the most seeds, then updates, then episodes; the others are listed apart. Scores decide nothing.
"""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from report import commands
from report.checks import PROGRAM
from report.statistics import Summary, summarize
from report.store import Record, config_hash, run_hash

LABELS = {"dt": "DT", "tt": "TT", "gato": "Gato", "bc": "BC", "nearest": "Nearest"}  # in the order of the columns
TREATMENTS = {
    "fraction_best": 1.0,
    "delayed_reward": False,
    "demonstrations": 0,
    "fraction_of_expert": 0.0,
}  # options that change what is learned from
SETTLED = {  # options that do not part the runs of a row: the row's key knows what came of them, or they decide nothing
    *("seed", "source", "steps", "data_seed", "target_returns", "evaluate_every", "evaluate_episodes"),
}
MEASURED_IN_CELL = {"target_returns", "episodes", "seeds"}  # of the protocol; of the seeds, the first is the row's


@dataclass(frozen=True)
class Cell:
    """Runs of one model with the same settings, by seed."""

    records: tuple[Record, ...]

    @property
    def first(self) -> Record:
        return self.records[0]

    @property
    def column(self) -> str:
        """Where it stands: its model, and of how many tasks."""
        return self.first.column

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(record.seed for record in self.records)

    @property
    def summary(self) -> Summary:
        """Of the headline: the first target return, fixed before the numbers."""
        return self.summaries[0]

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Of each target return, in the records' order."""
        places = range(len(self.first.evaluations))
        return tuple(summarize([each.evaluations[place].score for each in self.records]) for place in places)

    def returns(self, place: int) -> list[np.ndarray]:
        """Of each run's episodes, (episodes,), of the target return at that place in the records."""
        return [np.asarray(record.evaluations[place].returns) for record in self.records]


@dataclass(frozen=True)
class Row:
    """Cells that may be compared with each other."""

    key: str
    label: str  # of the data set, with what distinguishes it from its neighbors
    cells: dict[str, Cell]  # by column: model, or model (3 tasks)
    others: tuple[Cell, ...]  # the same models with other settings

    @property
    def all_cells(self) -> tuple[Cell, ...]:
        return (*self.cells.values(), *self.others)

    @property
    def first(self) -> Record:
        return next(iter(self.cells.values())).first

    @property
    def seeds(self) -> tuple[int, ...]:
        """Every seed that any of its cells has."""
        return tuple(sorted({seed for cell in self.cells.values() for seed in cell.seeds}))

    @property
    def treatment(self) -> dict[str, Any]:
        """What was done to the data before they were learned from."""
        return _treatment(self.first)

    @property
    def protocol(self) -> str:
        physics = self.first.protocol.physics
        return {"d4rl": "D4RL's physics", "gymnasium": "gymnasium's physics"}.get(physics, physics)


def models(records: Iterable[Record], expected: Sequence[str] = ()) -> list[str]:
    """The table's columns: the models that were run, and those `expected`, in a fixed order."""
    found = {record.column for record in records} | set(expected)
    known = list(LABELS)

    def place(column: str) -> tuple[int, str]:
        model = column.partition(" ")[0]
        return (known.index(model) if model in known else len(known), column)

    return sorted(found, key=place)


def label(column: str) -> str:
    """What a column is called: DT, or Gato (3 tasks)."""
    model, space, tasks = column.partition(" ")
    return LABELS.get(model, model) + space + tasks


def rows(records: Sequence[Record]) -> list[Row]:
    """Arrange the records; the order of the result depends on names alone."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[_row_key(record)].append(record)
    arranged = []
    for key, group in groups.items():
        cells, others = _cells(group)
        ordered = {column: cells[column] for column in models(group)}
        arranged.append(Row(key, _label(group[0], [each[0] for each in groups.values()]), ordered, others))
    return sorted(arranged, key=_order)


def names(table: Sequence[Row]) -> list[str]:
    """A short, unique file name for each row."""
    given: list[str] = []
    for row in table:
        words = [row.label, row.first.source, *(("gymnasium",) if row.first.protocol.physics == "gymnasium" else ())]
        plain = "-".join(re.findall("[a-z0-9-]+", " ".join(words).lower()))[:120]
        given.append(plain if plain not in given else f"{plain}-{_hash(row.key)}")
    return given


def command(record: Record) -> str:
    """What makes this run again."""
    if record.command:
        return record.command
    options = {"model": record.model, "env": record.dataset, "source": record.source, "seed": record.seed}
    options |= {"updates": record.updates, "episodes": record.protocol.episodes}
    return " ".join([PROGRAM, *(f"--{name} {shlex.quote(str(value))}" for name, value in options.items())])


def differences(cell: Cell, other: Cell) -> str:
    """What the settings of `other` have that `cell`'s have not, as "updates 100000, context 50"."""
    before, after = (_flat(settings(each.first)) for each in (cell, other))
    changed = [name for name in sorted(after) if after[name] != before.get(name) and name != "data"]
    return ", ".join(_named(name, after[name]) for name in changed) or "the same again"


def named_settings(cell: Cell) -> set[str]:
    """Each setting of a cell, as "updates 100000"."""
    return {_named(name, value) for name, value in _flat(settings(cell.first)).items()}


def _named(setting: str, value: object) -> str:
    return f"{setting.split('.')[-1]} {value}"


def _order(row: Row) -> tuple[Any, ...]:
    protocol = row.first.protocol
    return (row.first.dataset, row.first.source, row.label, protocol.physics, row.key)


def _hash(key: str) -> str:
    return config_hash({"key": key})[:4]


def _row_key(record: Record) -> str:
    protocol = {name: value for name, value in asdict(record.protocol).items() if name not in MEASURED_IN_CELL}
    seeds = record.protocol.seeds
    protocol["starts"] = seeds[:1] if list(seeds) == list(range(seeds[0], seeds[0] + len(seeds))) else seeds
    known = ["success"] if record.evaluations[0].success else []  # is the score, where it is known
    parts = [record.dataset, record.source, record.digest, protocol, *known, _treatment(record)]
    return json.dumps(parts, sort_keys=True)


def _treatment(record: Record) -> dict[str, Any]:
    run = record.config.get("run", {})
    return {name: run[name] for name, plain in TREATMENTS.items() if run.get(name, plain) != plain}


def _label(record: Record, others: Sequence[Record]) -> str:
    """The data set's name, what was done to the data, and how much there is of them where the name would be ambiguous.

    Args:
        others: of every row one record. If the data differ in more than their amount, their digests are shown.
    """
    words = [record.dataset]
    treatment = _treatment(record)
    if "fraction_best" in treatment:
        words.append(f"best {treatment['fraction_best']:.0%}")
    if "fraction_of_expert" in treatment:
        words.append(f"from {treatment['fraction_of_expert']:.0%} of the expert")
    if "demonstrations" in treatment:
        words.append(f"{treatment['demonstrations']:,} demonstrations")
    if "delayed_reward" in treatment:
        words.append("delayed reward")
    same = (record.dataset, record.source)
    bodies = {other.protocol.physics for other in others if (other.dataset, other.source) == same}
    if len(bodies) > 1 and record.protocol.physics != "d4rl":
        words.append(f"in {record.protocol.physics}'s physics")
    twins = {other.digest: other.data.get("steps") for other in others if (other.dataset, other.source) == same}
    if len(twins) > 1:
        differ = None not in twins.values() and len(set(twins.values())) == len(twins)
        words.append(f"{record.data['steps']:,} steps" if differ else f"({record.digest[:6]})")
    return " ".join(words)


def _cells(group: Sequence[Record]) -> tuple[dict[str, Cell], tuple[Cell, ...]]:
    alike: dict[tuple[str, str, int], list[Record]] = defaultdict(list)
    for record in sorted(group, key=lambda record: (record.seed, record.name)):
        name = run_hash(record.model, settings(record))
        again = 0  # the same run can be there twice, measured more often while training
        while any(record.seed == other.seed for other in alike[record.column, name, again]):
            again += 1
        alike[record.column, name, again].append(record)
    order = sorted(
        (-len(same), -same[0].updates, -same[0].protocol.episodes, len(commands.words(same[0].command)), key)
        for key, same in alike.items()
    )
    cells = [Cell(tuple(alike[key])) for *_, key in order]
    shown: dict[str, Cell] = {}
    for cell in cells:
        shown.setdefault(cell.column, cell)
    return shown, tuple(cell for cell in cells if cell is not shown[cell.column])


def settings(record: Record) -> dict[str, Any]:
    """Everything that parts the runs of one model in one row, but for the seed."""
    run = {name: value for name, value in record.config.get("run", {}).items() if name not in SETTLED}
    return {**record.config, "run": run, "target_returns": list(record.protocol.target_returns)}


def _flat(config: Any, where: str = "") -> dict[str, Any]:
    if not isinstance(config, dict):
        return {where: config}
    return {
        name: leaf for key, value in config.items() for name, leaf in _flat(value, f"{where}.{key}".strip(".")).items()
    }
