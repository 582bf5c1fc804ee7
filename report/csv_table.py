"""results/table.csv: one line for each cell and target return, with everything that the other tables round or drop."""

import csv
import io
import re
from collections.abc import Sequence

import numpy as np

from report.cell_text import behavior_score, spread, target
from report.dataframe import mean_of
from report.grid import Cell, Row, command, settings
from report.published import published
from report.store import run_hash

CSV_COLUMNS = (
    "dataset", "source", "digest", "physics", "environment", "checkpoint", "model", "settings", "updates", "parameters",
    "target_return", "headline", "seeds", "seed_list", "episodes", "score_mean", "score_std_over_seeds", "score_iqm",
    "score_iqm_low", "score_iqm_high", "score_std_over_episodes", "return_mean", "length_mean", "success",
    "behavior_return", "behavior_score", "train_seconds", "command",
)  # fmt: skip


def long_csv(rows: Sequence[Row]) -> str:
    """The whole file."""
    others = published()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*CSV_COLUMNS, *(f"published_{column.id}" for column in others)])
    for row in rows:
        for cell in row.all_cells:
            for place in range(len(cell.first.evaluations)):
                beside = [(*column.scores.get(row.first.dataset, ()), "")[0] for column in others]
                writer.writerow([*map(inert, csv_line(row, cell, place)), *beside])
    return text.getvalue()


def csv_line(row: Row, cell: Cell, place: int) -> list[str | int | float]:
    first, summary = cell.first, cell.summaries[place]
    evaluations = [record.evaluations[place] for record in cell.records]
    headline = place == 0 and row.cells[cell.column] is cell
    return [
        row.label, first.source, first.digest, first.protocol.physics, first.protocol.environment,
        first.protocol.checkpoint, cell.column, run_hash(first.model, settings(first))[:8],
        first.updates, first.parameters, target(evaluations[0].target_return), "yes" if headline else "no",
        summary.seeds, " ".join(map(str, cell.seeds)), len(evaluations[0].returns),
        *map(number, (summary.mean, summary.std, summary.iqm, summary.low, summary.high, spread_of(cell, place))),
        number(float(np.mean([mean_of(first, each) for each in evaluations]))),
        number(float(np.mean([np.mean(each.lengths) for each in evaluations]))),
        number(float(np.mean([np.mean(each.success) for each in evaluations])) if evaluations[0].success else None),
        number(first.behavior.mean), number(behavior_score(row)),
        number(float(np.mean([record.seconds.get("train", 0) for record in cell.records]))), command(first),
    ]  # fmt: skip


def spread_of(cell: Cell, place: int) -> float:
    """Standard deviation of the score over one run's episodes; of success that of what succeeded and what did not."""
    succeeded = [record.evaluations[place].success for record in cell.records]
    return float(np.mean([100 * np.std(each) for each in succeeded])) if succeeded[0] else spread(cell, place)


def inert(cell: str | int | float) -> str | int | float:
    """A cell that no spreadsheet takes for a formula: a text that begins like one gets an apostrophe before it."""
    formula = isinstance(cell, str) and re.match(r"[=+@＝＋＠\t\r]|[-－](?!\d)", cell)
    return f"'{cell}" if formula else cell


def number(value: float | None) -> str:
    """Enough digits to compute with, few enough to be the same on every machine."""
    return "" if value is None else f"{value:.3f}"
