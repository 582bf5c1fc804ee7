"""What the tables say, before it is Markdown, HTML or CSV: every number is derived from the records here."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from results.grid import Cell, Row, command, differences, label, missing, models, rows, settings
from results.published import Published, published
from results.store import Record, config_hash

ABSENT = "—"
MARK = "†"


@dataclass(frozen=True)
class Text:
    """A table's cell: the number, what must be read with it, and what a page has room for besides."""

    main: str
    small: tuple[str, ...] = ()
    roomy: tuple[str, ...] = ()


@dataclass(frozen=True)
class Table:
    title: str
    notes: tuple[str, ...]
    header: tuple[str, ...]
    rows: tuple[tuple[Text, ...], ...]
    numbers: int  # columns from here on are numbers


@dataclass(frozen=True)
class Report:
    """All tables, and the commands of the runs that are missing from them."""

    tables: tuple[Table, ...]
    short: Table  # for the README
    missing: tuple[str, ...]


def report(records: Sequence[Record], expected: Sequence[str] = ()) -> Report:
    """Everything that the records say. `expected` models get a column though nobody has run them."""
    arranged, columns = rows(records), models(records, expected)
    tables = [scores(arranged, columns, published_for(columns, headline=True))]
    for table in (other_targets(arranged), other_settings(arranged), published_scores(arranged)):
        tables += [table] if table.rows else []
    absent = [f"{row.label}, {row.first.source}: `{line}`" for row, _, _, line in missing(arranged, columns)]
    return Report(tuple(tables), tables[0], tuple(absent))


def published_for(columns: Sequence[str], headline: bool) -> list[Published]:
    """Others' columns for these models, in the models' order."""
    wanted = [column for column in published() if column.model in columns and (column.headline or not headline)]
    return sorted(wanted, key=lambda column: columns.index(column.model))


def scores(arranged: Sequence[Row], columns: Sequence[str], others: Sequence[Published]) -> Table:
    """The main table: a row for each data set and source, a column for each model."""
    lines = []
    for row in arranged:
        line = [Text(row.label), Text(row.first.source, (row.protocol,)), behaviour(row)]
        line += [measured(row.cells[model]) if model in row.cells else Text(ABSENT) for model in columns]
        lines.append((*line, *(quoted(column, row) for column in others)))
    return Table(
        title="Scores",
        notes=(
            "Normalised score: 0 is a random policy, 100 an expert (D4RL's reference returns). Mean ± standard "
            "deviation over seeds (n − 1), at the first target return of the protocol, last checkpoint; with several "
            "seeds also the interquartile mean (IQM) with its 95% bootstrap interval. One seed has neither.",
            "Behaviour: the mean of the episodes that were learnt from.",
            *marks(arranged, others),
        ),
        header=("Data set", "Source", "Behaviour", *map(label, columns), *(column.label for column in others)),
        rows=tuple(lines),
        numbers=2,
    )


def marks(arranged: Sequence[Row], others: Sequence[Published]) -> tuple[str, ...]:
    """The footnote of the published columns, where one is needed."""
    marked = any(row.first.source != column.source and row.first.dataset in column.scores
                 for row in arranged for column in others)  # fmt: skip
    return (f"{MARK} published for D4RL's own file: this row's data come from elsewhere.",) if marked else ()


def measured(cell: Cell, place: int = 0) -> Text:
    """A model's score at the target return in that place."""
    summary = cell.at(place)
    if summary.seeds == 1:
        return Text(f"{summary.mean:.1f}", ("1 seed",), (f"± {spread(cell, place):.1f} over episodes",))
    return Text(
        f"{summary.mean:.1f} ± {summary.std:.1f}",
        (f"IQM {summary.iqm:.1f} [{summary.low:.1f}, {summary.high:.1f}]", f"{summary.seeds} seeds"),
    )


def spread(cell: Cell, place: int) -> float:
    """Standard deviation of the score over one run's episodes, averaged over the runs. Not a deviation over seeds."""
    each = [record.protocol.score(record.evaluations[place].returns).std() for record in cell.records]
    return float(np.mean(each))


def behaviour(row: Row) -> Text:
    seen = row.first.behaviour
    return Text(f"{seen.normalised:.1f}", (), (f"{seen.episodes} episodes", f"best {seen.best:.0f}"))


def quoted(column: Published, row: Row) -> Text:
    text = column.cell(row.first.dataset)
    return Text(text if text == ABSENT or row.first.source == column.source else f"{text} {MARK}")


def other_targets(arranged: Sequence[Row]) -> Table:
    """What the models do when they are asked for the other returns of the protocol."""
    lines = []
    for row in arranged:
        for model, cell in row.cells.items():
            for place, evaluation in list(enumerate(cell.first.evaluations))[1:]:
                mean = np.mean([np.mean(record.evaluations[place].returns) for record in cell.records])
                line = (row.label, row.first.source, label(model), target(evaluation.target_return), f"{mean:.0f}")
                lines.append((*map(Text, line), measured(cell, place)))
    return Table(
        title="Other target returns",
        notes=("The same runs asked for less. Return in the environment's units, mean over episodes and seeds.",),
        header=("Data set", "Source", "Model", "Asked", "Return", "Score"),
        rows=tuple(lines),
        numbers=3,
    )


def other_settings(arranged: Sequence[Row]) -> Table:
    """Runs that are not in the main table because another setting of the same model is."""
    lines = [
        (Text(row.label), Text(row.first.source), Text(label(cell.column)),
         Text(differences(row.cells[cell.column], cell)), measured(cell))
        for row in arranged
        for cell in row.others
    ]  # fmt: skip
    return Table(
        title="Other settings",
        notes=("Where a model was run with several settings, the first table shows the one with the most seeds, then "
               "the most updates. These are the others, with what differs.",),
        header=("Data set", "Source", "Model", "Settings", "Score"),
        rows=tuple(lines),
        numbers=4,
    )  # fmt: skip


def published_scores(arranged: Sequence[Row]) -> Table:
    """Every published number for the data sets at hand."""
    datasets = sorted({row.first.dataset for row in arranged})
    columns = [column for column in published() if any(name in column.scores for name in datasets)]
    return Table(
        title="Published",
        notes=(
            "On D4RL's own files, as printed there.",
            *(column.note for column in columns),
        ),
        header=("Data set", *(column.label for column in columns)),
        rows=tuple((Text(name), *(Text(column.cell(name)) for column in columns)) for name in datasets if columns),
        numbers=1,
    )


def target(value: float | None) -> str:
    return "nothing" if value is None else f"{value:g}"


CSV_COLUMNS = (
    "dataset", "source", "digest", "physics", "environment", "checkpoint", "model", "settings", "updates", "parameters",
    "target_return", "headline", "seeds", "seed_list", "episodes", "score_mean", "score_std_over_seeds", "score_iqm",
    "score_iqm_low", "score_iqm_high", "score_std_over_episodes", "return_mean", "length_mean", "behaviour_return",
    "behaviour_score", "train_seconds", "command",
)  # fmt: skip


def long_csv(records: Sequence[Record]) -> str:
    """One line for each cell and target return, with everything that the other tables round or leave out."""
    others = published()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(f"published_{column.id}" for column in others)])
    for row in rows(records):
        for cell in (*row.cells.values(), *row.others):
            for place in range(len(cell.first.evaluations)):
                beside = [(*column.scores.get(row.first.dataset, ()), "")[0] for column in others]
                writer.writerow([*csv_line(row, cell, place), *beside])
    return text.getvalue()


def csv_line(row: Row, cell: Cell, place: int) -> list[str | int | float]:
    first, summary = cell.first, cell.at(place)
    evaluations = [record.evaluations[place] for record in cell.records]
    headline = place == 0 and row.cells[cell.column] is cell
    return [
        row.label, first.source, first.digest, first.protocol.physics, first.protocol.environment,
        first.protocol.checkpoint, cell.column, config_hash(settings(first))[:8], first.updates, first.parameters,
        target(evaluations[0].target_return), "yes" if headline else "no",
        summary.seeds, " ".join(map(str, cell.seeds)), len(evaluations[0].returns),
        *map(number, (summary.mean, summary.std, summary.iqm, summary.low, summary.high, spread(cell, place))),
        number(float(np.mean([np.mean(each.returns) for each in evaluations]))),
        number(float(np.mean([np.mean(each.lengths) for each in evaluations]))),
        number(first.behaviour.mean), number(first.behaviour.normalised),
        number(float(np.mean([record.seconds.get("train", 0) for record in cell.records]))), command(first),
    ]  # fmt: skip


def number(value: float | None) -> str:
    """Enough digits to compute with, few enough to be the same on every machine."""
    return "" if value is None else f"{value:.3f}"
