"""Numbers in prose, filled in from the records: <!--number: hopper-medium, reroll, dt-->60.6 ± 3.6<!--/-->

A marker says which number stands between it and its end, in the words of the tables:

    ROW, SOURCE, MODEL                 the score of a cell, as its table shows it
    ROW, SOURCE, MODEL, STATISTIC      another number of the cell: interval, lowest, return, return at 90, time ...
                                       of a Gato under several prompts, score after best
    ROW, SOURCE, MODEL with SETTING    the same of the cell that has it, shown or not: gato with vectors embedded
    ROW, SOURCE, behavior              the score of the recorded episodes; then return, best or episodes
    ROW, PUBLISHED                     a score of published.toml, by the column's id
    SUITE, SOURCE, MODEL               the interquartile mean over a suite, with its interval; then iqm, or within ID
    SUITE, SOURCE, MODEL over MODEL    the probability of improvement; then interval
    ratio of WHAT                      a row of the figures in benchmarks/*.json; likewise ours, peer

ROW is the label of a row, "pong 500,000 steps". What the records cannot give is a dash, and is named on stderr. No line
may begin with a marker: Markdown would end the paragraph there.
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from report.cell_text import ABSENT, behavior, mean_return, measured
from report.compare import SuiteComparison, improvements, summaries
from report.grid import Cell, Row, named_settings
from report.prompts import Ablation
from report.published import published
from report.store import Record, leave_out
from report.table import Report
from trajectories.errors import UserError

MARKED = re.compile(r"<!--number: (?P<marker>.+?)-->(?P<text>.*?)<!--/-->", re.DOTALL)
FIGURES = Path(__file__).resolve().parent.parent / "benchmarks"
CELL: dict[str, Callable[[Cell], str]] = {
    "score": lambda cell: measured(cell).main,
    "mean": lambda cell: f"{cell.summary.mean:.1f}",
    "interval": lambda cell: _interval((cell.summary.low, cell.summary.high)),
    "lowest": lambda cell: f"{min(_scores(cell)):.1f}",
    "highest": lambda cell: f"{max(_scores(cell)):.1f}",
    "return": lambda cell: f"{mean_return(cell):.1f}",
    "best": lambda cell: f"{max(returns.max() for returns in cell.returns(0)):,.0f}",
    "median": lambda cell: f"{np.median(np.concatenate(cell.returns(0))):,.0f}",
    "won": lambda cell: str(sum(int((returns > 0).sum()) for returns in cell.returns(0))),
    "seeds": lambda cell: str(len(cell.records)),
    "episodes": lambda cell: str(len(cell.first.evaluations[0].returns)),
    "updates": lambda cell: f"{cell.first.updates:,}",
    "parameters": lambda cell: f"{cell.first.parameters / 1e6:.1f}",
    "time": lambda cell: _time(cell, "train"),
    "time of evaluation": lambda cell: _time(cell, "evaluate"),
    "gigabytes": lambda cell: f"{max(record.peak_memory_mb for record in cell.records) / 1000:.1f}",
}
BEHAVIOR: dict[str, Callable[[Row], str]] = {
    "score": lambda row: behavior(row).main,
    "return": lambda row: f"{row.first.behavior.mean:.1f}",
    "best": lambda row: f"{row.first.behavior.best:,.0f}",
    "episodes": lambda row: f"{row.first.behavior.episodes:,}",
}


@dataclass(frozen=True)
class Numbers:
    """Where the numbers come from: the report, the runs under several prompts, and the benchmarks' figures."""

    report: Report
    prompted: Sequence[tuple[Record, Ablation]] = ()
    figures: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # rows by what they measure

    def filled(self, page: str, name: str, written: Callable[[str], str] = str) -> str:
        """The page, called `name` in messages, with every marked number as the records give it.

        Args:
            written: how its language writes a number and its unit, "9 min".

        Raises:
            UserError: a marker has no end.
        """

        def number(match: re.Match[str]) -> str:
            marker = match["marker"]
            try:
                text = written(self.number(marker))
            except (KeyError, StopIteration, ValueError):
                leave_out(f"{name}: the records give no number for `{marker}`: correct the marker or make the run.")
                text = ABSENT
            return f"<!--number: {marker}-->{text}<!--/-->"

        if page.count("<!--number:") != len(MARKED.findall(page)):
            raise UserError(f"{name}: one of its `<!--number: ...-->` has no `<!--/-->` after it: correct the markers.")
        return MARKED.sub(number, page)

    def number(self, marker: str) -> str:
        """One number.

        Raises:
            KeyError, StopIteration, ValueError: there is no such row, model, column or statistic.
        """
        side, of, what = marker.partition(" of ")
        if of and side in ("ratio", "ours", "peer"):
            value = self.figures[what][side]
            return f"{value:.3g}" if isinstance(value, float | int) else str(value)
        place, *rest = marker.split(", ")
        if len(rest) == 1:
            return next(column for column in published() if column.id == rest[0] and place in column.scores).cell(place)
        source, model, *words = rest
        statistic = ", ".join(words) or "score"
        for row in self.report.rows:
            if (row.label, row.first.source) == (place, source):
                if model == "behavior":
                    return BEHAVIOR[statistic](row)
                return self._cell(row, _found(row, model), statistic)
        suite = next(each for each in self.report.comparisons if (each.suite, each.source) == (place, source))
        return _over(suite, model, statistic)

    def _cell(self, row: Row, cell: Cell, statistic: str) -> str:
        kind, _, argument = statistic.rpartition(" ")
        if kind in ("score at", "return at"):
            targets = [each.target_return for each in cell.first.evaluations]
            at = next(place for place, target in enumerate(targets) if target == float(argument))
            return measured(cell, at).main if kind == "score at" else f"{mean_return(cell, at):.1f}"
        if kind == "seed":
            return f"{next(each.evaluations[0].score for each in cell.records if str(each.seed) == argument):.1f}"
        if kind == "less":
            return f"{_less(row, cell, argument):+.1f}"
        if kind in ("score after", "return after"):
            record, ablation = next(each for each in self.prompted if each[0] in cell.records)
            returns = np.array(next(each.played.returns for each in ablation.prompted if each.prompt == argument))
            return f"{(record.protocol.score(returns) if kind == 'score after' else returns).mean():.1f}"
        return CELL[statistic](cell)


def _found(row: Row, words: str) -> Cell:
    """The cell of a model; with a setting, the one that has it, whichever the table shows.

    Raises:
        KeyError, ValueError: there is none, or with the setting more than one.
    """
    model, _, setting = words.partition(" with ")
    if not setting:
        return row.cells[model]
    (found,) = (cell for cell in row.all_cells if cell.column == model and setting in named_settings(cell))
    return found


def read_figures(folder: Path = FIGURES) -> dict[str, Mapping[str, object]]:
    """The rows of the benchmarks' figures, by what they measure."""
    pages = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    parts = [part for page in pages for part in (page["parts"].values() if "parts" in page else (page,))]
    return {str(row["what"]): row for part in parts for row in part["rows"]}


def _over(suite: SuiteComparison, model: str, statistic: str) -> str:
    """A number of a model, or of one model over another, over a suite."""
    first, over, second = model.partition(" over ")
    if over:
        pair = next(each for each in improvements(suite) if (each.first, each.second) == (first, second))
        if statistic == "score":
            return f"{pair.probability:.0%}"
        return {"interval": "[{:.0%}, {:.0%}]".format(*pair.interval)}[statistic]
    kind, _, argument = statistic.partition(" ")
    if kind == "within":
        return f"{max(abs(_less(row, row.cells[model], argument)) for row in suite.rows):.1f}"
    total = next(each for each in summaries(suite) if each.column == model)
    iqm = f"{total.iqm:.1f}"
    return {"score": f"{iqm} {_interval(total.interval)}", "iqm": iqm, "runs": str(total.runs)}[statistic]


def _less(row: Row, cell: Cell, column: str) -> float:
    """The mean score of a cell less that of a published column."""
    theirs = next(each for each in published() if each.id == column)
    return cell.summary.mean - theirs.scores[row.first.dataset][0]


def _scores(cell: Cell) -> list[float]:
    return [record.evaluations[0].score for record in cell.records]


def _interval(ends: tuple[float | None, float | None] | None) -> str:
    return ABSENT if ends is None or None in ends else "[{:.1f}, {:.1f}]".format(*ends)


def _time(cell: Cell, part: str) -> str:
    seconds = float(np.mean([record.seconds.get(part, 0.0) for record in cell.records]))
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
