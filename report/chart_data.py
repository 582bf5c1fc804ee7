"""The page's charts: what they draw, as JSON (curves, distributions, asked and achieved, score against compute,
profiles), and the places in the page where page.js draws it.

The same records give the same JSON on every machine: numbers are rounded before they are written. Curves are thinned
to POINTS rows; a run's tokens are spread evenly over its updates, since each draws as many windows.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import numpy as np

from report.compare import SuiteComparison, profiles
from report.curve import LOSS, Curves, return_column
from report.figures import asked_returns, recorded_returns
from report.grid import Cell, Row, label
from report.store import Record
from report.table import Report

POINTS = 80  # of a curve
BINS = 48  # of a distribution
INKS = {"bc", "dt", "tt", "gato", "gato-tasks"}  # of models that page.css has a color for
AXES = {"learning": ("updates", "tokens", "seconds"), "compute": ("seconds", "tokens", "parameters")}

Thinned = Mapping[str, Mapping[str, Any]]  # curves by run


def data(report: Report, curves: Thinned, suites: Mapping[str, Sequence[str]]) -> str:
    """Everything that report/page.js draws."""
    content = {
        "suites": {name: list(datasets) for name, datasets in suites.items()},
        "runs": curves,
        "rows": [row_data(row) for row in report.rows],
        "profiles": [profile(ladder) for ladder in drawn(report)],
    }
    return json.dumps(content, separators=(",", ":"), allow_nan=False, ensure_ascii=False).replace("<", "\\u003c")


def chart(kind: str, title: str, columns: Sequence[str] = (), note: str = "", **values: str) -> str:
    """A place for page.js to draw in, with its legend and, where there is a choice, its axis."""
    axes = "".join(f"<option>{axis}</option>" for axis in AXES.get(kind, ()))
    choose = f"<label>over<select>{axes}</select></label>" if axes else ""
    legend = "".join(
        f'<span><i style="background:var(--{ink(name)})"></i>{escape(label(name))}</span>' for name in columns
    )
    attributes = "".join(f' data-{name}="{escape(value)}"' for name, value in values.items())
    small = f"<small>{escape(note)}</small>" if note else ""
    key = f'<div class="legend">{legend}</div>' if legend else ""
    return (
        f"<figure><figcaption><span>{escape(title)}</span>{choose}{small}</figcaption>{key}"
        f'<div data-chart="{kind}"{attributes}></div></figure>'
    )


def drawn(report: Report) -> list[SuiteComparison]:
    """The ladders that have a profile."""
    return [ladder for ladder in report.ladders if ladder.complete]


def ink(column: str) -> str:
    """The name of a column's color in page.css."""
    model, _, tasks = column.partition(" ")
    name = f"{model}-tasks" if tasks else model
    return name if name in INKS else "other"


def thinned(report: Report, curves: Curves) -> Thinned:
    """The curve of every run in the report."""
    records = (record for row in report.rows for cell in row.all_cells for record in cell.records)
    return {record.name: thin(record, curves.get(record.name, {})) for record in records}


def thin(record: Record, table: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """A run's curve, thinned; where returns were measured, these rows are kept."""
    if not table:
        return {}
    returns = table.get(return_column(record.evaluations[0].target_return))
    keep = np.unique(np.linspace(0, len(table["update"]) - 1, POINTS).round().astype(int))
    if returns is not None:
        keep = np.union1d(keep, np.flatnonzero(~np.isnan(returns)))
    columns = {"update": table["update"], "seconds": table.get("seconds"), "loss": table.get(f"{LOSS}total")}
    columns["return"] = returns
    found = {name: rounded(column[keep]) for name, column in columns.items() if column is not None}
    return {**found, "tokens": number(record.tokens / max(1, record.updates))}


def row_data(row: Row) -> dict[str, Any]:
    """One row of the table."""
    asked = [asked_data(cell) for cell in row.cells.values() if len(asked_returns(cell)) > 1]
    return {
        "levels": [{"y": number(y), "name": name} for name, y in row.first.behaviour.levels],
        "models": [
            {
                "label": label(column),
                "ink": ink(column),
                "runs": [record.name for record in cell.records],
                "compute": [compute(record) for record in cell.records],
            }
            for column, cell in row.cells.items()
        ],
        "asked": [series for both in asked for series in both],
        **ridges(row),
    }


def compute(record: Record) -> dict[str, Any]:
    """What a run cost and what came of it. Seconds are of whatever machine it ran on, which the title names."""
    score = number(record.evaluations[0].normalised)
    return {
        "seconds": number(max(1e-3, record.seconds.get("train", 0.0))),
        "tokens": max(1, record.tokens),
        "parameters": record.parameters,
        "score": score,
        "title": f"{label(record.column)}, seed {record.seed}: {score}; {record.device}, {record.threads} threads",
    }


def asked_data(cell: Cell) -> tuple[dict[str, Any], dict[str, Any]]:
    """A dot for each run, a line through their means, a band for the middle half of episodes."""
    dots, line, band = [], [], []
    for target, place in sorted(asked_returns(cell).items()):
        each = cell.returns(place)
        low, high = np.quantile(np.concatenate(each), [0.25, 0.75])
        means = [number(float(returns.mean())) for returns in each]
        dots += [[number(target), mean] for mean in means]
        line.append([number(target), number(float(np.mean(means)))])
        band.append([number(target), number(low), number(high)])
    colour = ink(cell.column)
    return {"ink": colour, "points": line, "band": band}, {"ink": colour, "points": dots, "line": False, "dots": True}


def ridges(row: Row) -> dict[str, Any]:
    """Histograms over one set of edges: the recorded behavior, then each model at each target return."""
    named = [("behaviour", "behaviour", recorded_returns(row), row.first.behaviour.mean)]
    for column, cell in row.cells.items():
        for place, evaluation in enumerate(cell.first.evaluations):
            returns = np.concatenate(cell.returns(place))
            asked = "" if evaluation.target_return is None else f" {evaluation.target_return:g}"
            named.append((f"{label(column)}{asked}", ink(column), returns, float(returns.mean())))
    named = [each for each in named if len(each[2])]
    low, high = min(each[2].min() for each in named), max(each[2].max() for each in named)
    spare = 0.02 * (high - low) + 1e-6
    edges = np.linspace(low - spare, high + spare, BINS + 1)
    drawn = [
        {"name": name, "ink": colour, "counts": np.histogram(returns, edges)[0].tolist(), "mean": number(mean),
         "score": f"{float(row.first.protocol.score(mean)):.1f}"}
        for name, colour, returns, mean in named
    ]  # fmt: skip
    return {"edges": rounded(edges), "ridges": drawn}


def profile(ladder: SuiteComparison) -> dict[str, Any]:
    """Performance profiles: a line for each model, a band where there is an interval."""
    series = []
    for each in profiles(ladder):
        points = np.stack([each.levels, each.share], axis=1)
        band = np.empty((0, 3)) if each.interval is None else np.stack([each.levels, *each.interval], axis=1)
        lines = {"points": list(map(rounded, points)), "band": list(map(rounded, band))}
        series.append({"ink": ink(each.column), **lines})
    return {"series": series}


def rounded(values: np.ndarray) -> list[float | None]:
    return [number(float(value)) if np.isfinite(value) else None for value in values]


def number(value: float) -> float:
    """Four digits: more than a chart shows, and the same on every machine."""
    return float(f"{value:.4g}")
