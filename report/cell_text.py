"""A table and its cells: what is written of a model's runs, of a behavior and of a published number."""

from dataclasses import dataclass

import numpy as np

from report.grid import Cell, Row
from report.published import Published
from report.score_families import D4RL, SUCCESS, kind_of, unscored

ABSENT = "—"
MARK = "†"


@dataclass(frozen=True)
class Text:
    """A table's cell: the number, what must be read with it, and what a page has room for besides."""

    main: str
    small: tuple[str, ...] = ()
    roomy: tuple[str, ...] = ()
    bold: bool = False
    value: float | None = None  # by which a page sorts


@dataclass(frozen=True)
class Table:
    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    numbers: int  # columns from here on are numbers
    keys: tuple[str, ...] = ()  # the data set of each row, by which a page filters


def measured(cell: Cell, place: int = 0, bold: bool = False) -> Text:
    """A model's score at the target return in that place."""
    summary = cell.summaries[place]
    episodes = f"{len(cell.first.evaluations[place].returns)} episodes"
    kind = kind_of(cell.first)
    digits = ".2f" if kind is SUCCESS else ".1f"
    points = (f"return {mean_return(cell, place):{digits}}",) if kind is not D4RL else ()
    if summary.seeds == 1:
        spare = (f"± {spread(cell, place):.1f} over episodes",) if kind is not SUCCESS else ()
        return Text(f"{summary.mean:.1f}", (*points, f"1 seed × {episodes}"), spare, value=summary.mean)
    return Text(
        f"{summary.mean:.1f} ± {summary.std:.1f}",
        (
            *points,
            f"IQM {summary.iqm:.1f} [{summary.low:.1f}, {summary.high:.1f}]",
            f"{summary.seeds} seeds × {episodes}",
        ),
        bold=bold,
        value=summary.mean,
    )


def mean_return(cell: Cell, place: int = 0) -> float:
    """Over episodes, then over runs, in the environment's units."""
    return float(np.mean([returns.mean() for returns in cell.returns(place)]))


def spread(cell: Cell, place: int) -> float:
    """Standard deviation of the score over one run's episodes, averaged over the runs. Not a deviation over seeds."""
    each = [record.protocol.score(record.evaluations[place].returns).std() for record in cell.records]
    return float(np.mean(each))


def behavior(row: Row) -> Text:
    recorded = row.first.behavior
    text = (f"{recorded.episodes} episodes", f"best {recorded.best:.0f}")
    if kind_of(row.first) is SUCCESS:
        return _success(row)
    if recorded.normalized is None:
        return Text(ABSENT, (unscored(row.first),), text)
    return Text(f"{recorded.normalized:.1f}", (), text, value=recorded.normalized)


def _success(row: Row) -> Text:
    """The share of the recorded episodes that succeeded, where that is known."""
    share = row.first.recorded_success
    points = (f"return {row.first.behavior.mean:.2f}",)
    return Text(ABSENT, points) if share is None else Text(f"{100 * share:.1f}", points, value=100 * share)


def quoted(column: Published, row: Row) -> Text:
    text, name = column.cell(row.first.dataset), row.first.dataset
    if not comparable(column, row):
        return Text(ABSENT)
    points = (f"return {' ± '.join(map(str, column.returns[name]))}",) if column.of_games else ()
    return Text(text if row.first.source == column.source else f"{text} {MARK}", points, value=column.scores[name][0])


def comparable(column: Published, row: Row) -> bool:
    """Whether a published column has a number for this data set, treated as the row treats it."""
    treatment = row.treatment
    same = treatment.get("fraction_best", 1.0) == column.fraction_best and "delayed_reward" not in treatment
    return same and row.first.dataset in column.scores


def target(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"
