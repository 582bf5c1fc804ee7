"""A table and its cells: what is written of a model's runs, of a behavior and of a published number."""

import re
from dataclasses import dataclass

import numpy as np

from report.grid import Cell, Row
from report.published import Published
from report.score_families import ANSWERED, D4RL, SUCCESS, is_answered, kind_of, unscored
from report.store import Evaluation, Record

ABSENT = "—"
MARK = "†"
UNITS = {  # of what is answered, by its measure: how much of what, and in what things
    "questions": ("% of {:,} questions", "pictures"),
    "captions": ("% of {:,} captions", "pictures"),
    "text": ("bits a byte of {:,}", "documents"),
}


@dataclass(frozen=True)
class Text:
    """A table's cell: the number, what must be read with it, and what a page has room for besides."""

    main: str
    small: tuple[str, ...] = ()
    roomy: tuple[str, ...] = ()
    bold: bool = False
    few: bool = False  # of one seed: it cannot be compared with those of several
    value: float | None = None  # by which a page sorts


@dataclass(frozen=True)
class Table:
    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    numbers: int  # columns from here on are numbers
    keys: tuple[str, ...] = ()  # the data set of each row, by which a page filters
    kind: str = ""  # of a table of scores: the title of its family of scores, without the source
    models: tuple[str, ...] = ()  # the columns of models, from the second on
    figure: str = ""  # that shows the same

    @property
    def slug(self) -> str:
        """The title as an anchor or a label: scores-reroll."""
        return "-".join(re.findall("[a-z0-9]+", self.title.lower()))


def measured(cell: Cell, place: int = 0, bold: bool = False) -> Text:
    """A model's score at the target return in that place."""
    summary = cell.summaries[place]
    episodes = len(cell.first.evaluations[place].returns)
    kind = kind_of(cell.first)
    if kind is ANSWERED:
        return _answered(cell, place, bold)
    digits = ".2f" if kind is SUCCESS else ".1f"
    points = (f"return {mean_return(cell, place):{digits}}",) if kind is not D4RL else ()
    if summary.seeds == 1:
        spare = (f"± {spread(cell, place):.1f} over episodes",) if kind is not SUCCESS else ()
        return Text(f"{summary.mean:.1f}", (*points, f"1 seed × {episodes}"), spare, few=True, value=summary.mean)
    iqm = "" if summary.seeds < 4 else f"IQM {summary.iqm:.1f} "  # of fewer it is the mean
    return Text(
        f"{summary.mean:.1f} ± {summary.std:.1f}",
        (*points, f"{iqm}[{summary.low:.1f}, {summary.high:.1f}]", f"{summary.seeds} seeds × {episodes}"),
        bold=bold,
        value=summary.mean,
    )


def _answered(cell: Cell, place: int, bold: bool) -> Text:
    """What was answered: a percentage, or of text bits for each byte."""
    record, summary = cell.first, cell.summaries[place]
    played = record.evaluations[place]
    unit, things = UNITS.get(record.protocol.environment, UNITS["text"])
    seeds = f"{summary.seeds} seed{'s' if summary.seeds > 1 else ''} × {len(played.returns)} {things}"
    spread = "" if summary.std is None else f" ± {answered(record, summary.std, difference=True)}"
    main = f"{answered(record, summary.mean)}{spread}"
    ends = [answered(record, end) for end in (summary.low, summary.high) if end is not None]
    interval = (f"[{', '.join(sorted(ends, key=float))}]",) if ends else ()
    small = (unit.format(sum(played.lengths)), *interval, seeds)
    return Text(main, small, bold=bold, few=summary.seeds == 1, value=summary.mean)


def sentence(record: Record, played: Evaluation) -> str:
    """What was answered, in words."""
    unit, things = UNITS.get(record.protocol.environment, UNITS["text"])
    value, amount = answered(record, played.normalized), unit.format(sum(played.lengths))
    return f"{value}{'' if amount[:1] == '%' else ' '}{amount} in {len(played.returns):,} {things}"


def answered(record: Record, score: float, difference: bool = False) -> str:
    """A score as it is shown: of text the bits for each byte that it means."""
    if record.family != "text":
        return f"{score:.1f}"
    protocol = record.protocol
    bits = (protocol.expert_score - protocol.random_score) * score / 100
    return f"{abs(bits) if difference else bits + protocol.random_score:.3f}"


def mean_return(cell: Cell, place: int = 0) -> float:
    """Over episodes, then over runs, in the environment's units."""
    return float(np.mean([returns.mean() for returns in cell.returns(place)]))


def spread(cell: Cell, place: int) -> float:
    """Standard deviation of the score over one run's episodes, averaged over the runs. Not a deviation over seeds."""
    each = [record.protocol.score(record.evaluations[place].returns).std() for record in cell.records]
    return float(np.mean(each))


def behavior(row: Row) -> Text:
    recorded = row.first.behavior
    if is_answered(row.first):
        return _references(row.first)
    text = (f"{recorded.episodes} episodes", f"best {recorded.best:.0f}")
    if kind_of(row.first) is SUCCESS:
        return _success(row)
    if recorded.normalized is None:
        return Text(ABSENT, (unscored(row.first),), text)
    return Text(f"{recorded.normalized:.1f}", (), text, value=recorded.normalized)


def behavior_score(row: Row) -> float | None:
    """What the recorded episodes score, where that is known and is the same measure as the models'."""
    if kind_of(row.first) is SUCCESS:
        share = None if row.treatment else row.first.recorded_success  # of some episodes alone it is not known
        return None if share is None else 100 * share
    return row.first.behavior.normalized


def _references(record: Record) -> Text:
    """What a model has to beat; the first reference is the one that counts."""
    shown = [
        (name, f"{value:.3f}" if record.family == "text" else f"{100 * value:.1f}")
        for name, value in record.references.items()
    ]
    if not shown:
        return Text(ABSENT)
    (first, value), *others = shown
    return Text(value, (first, *(f"{name} {other}" for name, other in others)), value=record.behavior.normalized)


def _success(row: Row) -> Text:
    """The share of the recorded episodes that succeeded, where that is known."""
    share, points = behavior_score(row), (f"return {row.first.behavior.mean:.2f}",)
    return Text(ABSENT, points) if share is None else Text(f"{share:.1f}", points, value=share)


def quoted(column: Published, row: Row) -> Text:
    text, name = column.cell(row.first.dataset), row.first.dataset
    if not comparable(column, row):
        return Text(ABSENT)
    points = (f"return {' ± '.join(map(str, column.returns[name]))}",) if column.of_games else ()
    return Text(text if row.first.source == column.source else f"{text} {MARK}", points, value=column.scores[name][0])


def comparable(column: Published, row: Row) -> bool:
    """Whether a published column has a number for this data set, treated as the row treats it."""
    treatment = row.treatment
    same = treatment.get("fraction_best", 1.0) == column.fraction_best and set(treatment) <= {"fraction_best"}
    return same and row.first.dataset in column.scores


def target(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"
