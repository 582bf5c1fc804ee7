"""What a model makes of a few demonstrations of a task: experiments/adapt.py measures it, Gato's figure 9 shows it.

Records of runs with --demonstrations are arranged by task and by what the model began with; a line is one kind of
start, measured with several numbers of demonstrations. Where a kind was run with several settings, the one with the
most runs is shown; scores decide nothing.
"""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from report.cell_text import ABSENT, Table, Text
from report.families import expert
from report.grid import Row, label, settings
from report.store import Record, config_hash
from trajectories.names import file_name

AMOUNT = "demonstrations"


@dataclass(frozen=True)
class Line:
    """One kind of start."""

    start: str  # "from scratch"
    scores: dict[int, np.ndarray]  # by the number of demonstrations, ascending: (seeds,) each


@dataclass(frozen=True)
class Adaptation:
    """One task, learned from a few of its demonstrations."""

    first: Record
    lines: tuple[Line, ...]
    expert: float  # what the expert scores

    @property
    def name(self) -> str:
        """The task, its source, and which demonstrations of it where they are not the usual ones."""
        return ", ".join([self.first.dataset, self.first.source, *self.draw])

    @property
    def draw(self) -> tuple[str, ...]:
        """By which seed its demonstrations were drawn, unless by the usual one."""
        return (f"data seed {seed}",) if (seed := _drawn_by(self.first)) else ()

    @property
    def amounts(self) -> tuple[int, ...]:
        """Every number of demonstrations that anything was measured with."""
        return tuple(sorted({amount for line in self.lines for amount in line.scores}))


def is_few(row: Row) -> bool:
    """Whether its runs learned from a few demonstrations, and stand in a table of their own."""
    return set(row.treatment) == {AMOUNT}


def adaptations(arranged: Sequence[Row]) -> list[Adaptation]:
    """Every task that was learned from a few demonstrations, in the rows' order."""
    tasks: dict[str, list[Record]] = defaultdict(list)
    for row in filter(is_few, arranged):
        for record in (each for cell in row.all_cells for each in cell.records):
            alike = [*json.loads(row.key)[:-1], _drawn_by(record)]  # the key's last is the treatment
            tasks[json.dumps(alike)].append(record)
    return [Adaptation(records[0], _lines(records), expert(records[0]) or 100.0) for records in tasks.values()]


def adaptation_name(each: Adaptation) -> str:
    """The name of its figure."""
    first, drawn = each.first, "".join(f"-{words.replace(' ', '-')}" for words in each.draw)
    return file_name(f"adaptation-{first.dataset}-{first.source}-{first.digest[:4]}{drawn}")


def table(found: Sequence[Adaptation]) -> Table:
    """A line for each task and kind of start, a column for each number of demonstrations."""
    amounts = sorted({amount for each in found for amount in each.amounts})
    lines = [
        (
            Text(each.first.dataset, each.draw),
            Text(each.first.source),
            Text(line.start),
            *(_cell(line, count) for count in amounts),
        )
        for each in found
        for line in each.lines
    ]
    return Table(
        title="From a few demonstrations",
        notes=(
            "Score after learning from so many demonstrations, the same ones for every start: percentage of successful "
            "episodes, or normalized score; mean ± standard deviation over seeds. Measured by "
            "`python experiments/adapt.py`.",
            "Prompted: the weights are as they were, and the demonstrations are its prompt only. Nearest: nothing is "
            "learned either; what was done in the most similar recorded step is done.",
        ),
        header=("Data set", "Source", "Start", *(f"{amount:,}" for amount in amounts)),
        rows=tuple(lines),
        numbers=3,
        keys=tuple(each.first.dataset for each in found for _ in each.lines),
    )


def start_of(record: Record, starts: Mapping[str, str]) -> str:
    """What a run began with: from scratch, from 27 tasks, 27 tasks, prompted; a model without starts by its name.

    Args:
        starts: what runs have learned, by their folders' names.
    """
    began = _began(record)
    if not began:
        return "from scratch" if record.model == "gato" else label(record.model)
    others = starts[began]
    return f"from {others}" if record.updates else f"{others}, prompted"


def named_starts(runs: Iterable[str]) -> dict[str, str]:
    """What each of several runs has learned, by its folder's name; with the end of the name where two have learned the
    same."""
    learned = {run: learned_before(run) for run in runs}
    often = Counter(learned.values())
    return {run: words if often[words] == 1 else f"{words} ({run[-8:]})" for run, words in learned.items()}


def learned_before(run: str) -> str:
    """What a run has learned, by its folder's name: "27 tasks", or "dmc-walker-walk"."""
    task = re.sub(r"-(dqn-replay|[^-]+)-s\d+-[0-9a-f]{8}$", "", run).partition("-")[2]
    several = re.fullmatch(r"(\d+)-tasks", task)
    return f"{several[1]} tasks" if several else task or run


def _began(record: Record) -> str:
    """The name of the run that it began with; "" where there is none."""
    return str(record.config.get("run", {}).get("start", ""))


def _drawn_by(record: Record) -> int:
    """The seed by which its demonstrations were drawn."""
    seed = record.config.get("run", {}).get("data_seed", 0)
    return seed if isinstance(seed, int) else 0  # a record may be a stranger's


def _lines(records: Sequence[Record]) -> tuple[Line, ...]:
    """The kinds of start: those of several tasks first, then those of one, scratch, and other models."""
    kinds: dict[str, dict[str, list[Record]]] = defaultdict(lambda: defaultdict(list))
    starts = named_starts({_began(record) for record in records if _began(record)})
    for record in records:
        kinds[start_of(record, starts)][_settings(record)].append(record)
    chosen = {start: max(sorted(alike.items()), key=lambda item: len(item[1]))[1] for start, alike in kinds.items()}
    return tuple(Line(start, _scores(chosen[start])) for start in sorted(chosen, key=_order))


def _order(start: str) -> tuple[int, str]:
    several = start.removeprefix("from ")[:1].isdigit()
    return (0 if several else 1 if start.startswith("from ") and start != "from scratch" else 2, start)


def _settings(record: Record) -> str:
    """All that distinguishes its settings but the number of demonstrations and the seed."""
    alike = settings(record)
    return config_hash({**alike, "run": {key: value for key, value in alike["run"].items() if key != AMOUNT}})


def _scores(records: Sequence[Record]) -> dict[int, np.ndarray]:
    """Each seed once: a run can be there twice, measured more often while training."""
    scores: dict[int, dict[int, float]] = defaultdict(dict)
    for record in sorted(records, key=lambda record: record.seed):
        scores[int(record.config["run"][AMOUNT])].setdefault(record.seed, record.evaluations[0].score)
    return {amount: np.array(list(scores[amount].values())) for amount in sorted(scores)}


def _cell(line: Line, amount: int) -> Text:
    if amount not in line.scores:
        return Text(ABSENT)
    scores = line.scores[amount]
    mean, count = float(scores.mean()), len(scores)
    spread = f" ± {scores.std(ddof=1):.1f}" if count > 1 else ""
    return Text(f"{mean:.1f}{spread}", (f"{count} seed{'s' * (count > 1)}",), value=mean)
