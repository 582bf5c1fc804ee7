"""The figures of a row of the table: how its models learnt, what their episodes came to, what they made of being asked.

learning-<row>   return while training (where it was measured) and each model's loss, over updates
episodes-<row>   the returns of all evaluation episodes, beside those of the recorded behaviour
asked-<row>      the return that was asked for against the return that came of it
                 (return_conditioning: the same, of the row where a model was asked for most, if for more than two)

Colours are Okabe and Ito's, which colour-blind readers can tell apart. The same records give the same SVG.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from report.curve import LOSS, RETURN, Curves, return_column
from report.grid import Cell, Row, label, names, rows
from report.store import Record
from trajectories.atomic import atomic_file

COLOURS = {"bc": "#D55E00", "dt": "#0072B2", "tt": "#009E73", "gato": "#AA4499"}
BEHAVIOUR = "#6B7280"
FORMATS = ("png", "svg")
OURS = re.compile(r"((learning|episodes|asked)-.*|return_conditioning)\.(png|svg)")  # what `draw` may remove
Several = Sequence[Mapping[str, np.ndarray]]  # curves of one model, by seed
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#9CA3AF",
    "axes.labelcolor": "#374151",
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#E5E7EB",
    "grid.linewidth": 0.8,
    "text.color": "#111827",
    "xtick.color": "#4B5563",
    "ytick.color": "#4B5563",
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "svg.hashsalt": "trajectories",  # the same ids in every run
    "svg.fonttype": "none",
    "savefig.dpi": 160,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "savefig.facecolor": "white",
}


def draw(folder: Path, curves: Curves, records: Sequence[Record]) -> list[Path]:
    """Draw every figure into `folder`, as PNG and SVG, and remove those of rows that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = plan(curves, records)
    for old in folder.iterdir():
        if OURS.fullmatch(old.name) and old.stem not in wanted:
            old.unlink()
    drawn = []
    with plt.rc_context(STYLE):
        for name, make in wanted.items():
            figure = make()
            for kind in FORMATS:
                metadata = {"Date": None} if kind == "svg" else {"Software": None}
                with atomic_file(folder / f"{name}.{kind}") as fresh:
                    figure.savefig(fresh, format=kind, metadata=metadata, bbox_inches="tight", pad_inches=0.15)
                drawn.append(folder / f"{name}.{kind}")
            plt.close(figure)
    return drawn


def paths(folder: Path, curves: Curves, records: Sequence[Record]) -> list[Path]:
    """The files that `draw` writes."""
    return [folder / f"{name}.{kind}" for name in plan(curves, records) for kind in FORMATS]


def plan(curves: Curves, records: Sequence[Record]) -> dict[str, Callable[[], Figure]]:
    """Each figure's name, and what draws it."""
    wanted: dict[str, Callable[[], Figure]] = {}
    table = rows(records)
    for row, name in zip(table, names(table), strict=True):
        if any(curves.get(record.name) for cell in row.cells.values() for record in cell.records):
            wanted[f"learning-{name}"] = partial(learning, row, curves)
        wanted[f"episodes-{name}"] = partial(episodes, row)
        if any(len(asked_returns(cell)) > 1 for cell in row.cells.values()):
            wanted[f"asked-{name}"] = partial(asked, row)
    asks = [max(len(asked_returns(cell)) for cell in row.cells.values()) for row in table]
    if max(asks, default=0) > 2:
        wanted["return_conditioning"] = partial(asked, table[asks.index(max(asks))])
    return wanted


# ---- how its models learned ------------------------------------------------------------------------------------------


def learning(row: Row, every: Curves) -> Figure:
    """A panel for the return while training, where anybody measured it, and one for each model's loss."""
    named = {model: [every.get(record.name) for record in cell.records] for model, cell in row.cells.items()}
    curves = {model: known for model, several in named.items() if (known := [curve for curve in several if curve])}
    measured = any(name.startswith(RETURN) for several in curves.values() for curve in several for name in curve)
    ratios = [1.7] * measured + [1.0] * len(curves)
    figure, panels = plt.subplots(
        1, len(ratios), figsize=(2.9 * sum(ratios) + 0.6, 3.5), squeeze=False, width_ratios=ratios, layout="constrained"
    )
    seeds = max(map(len, curves.values()), default=0)
    title = f"{heading(row)}: learning" + (f", mean and range of {seeds} seeds" if seeds > 1 else "")
    figure.suptitle(title, x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    places = iter(panels[0])
    if measured:
        returns_while_learning(next(places), row, curves)
    for (model, several), axes in zip(curves.items(), places, strict=True):
        band(axes, several, f"{LOSS}total", colour(model))
        axes.set_title(f"{label(model)}: loss", color=colour(model))
        logarithmic(axes)
        over_updates(axes)
    return figure


def returns_while_learning(axes: Axes, row: Row, curves: Mapping[str, Several]) -> None:
    ends = []
    for model, several in curves.items():
        column = return_column(row.cells[model].first.evaluations[0].target_return)
        end = band(axes, several, column, colour(model), marker="o")
        ends += [(end, label(model), colour(model))] if end is not None else []
    for name, level in row.first.behaviour.levels[:1]:
        axes.axhline(level, color=BEHAVIOUR, linestyle=(0, (5, 3)), linewidth=1.2)
        ends.append((level, name, BEHAVIOUR))
    bottom, top = min(0, axes.get_ylim()[0]), axes.get_ylim()[1]
    axes.set_ylim(bottom, bottom + 1.05 * (top - bottom))
    label_ends(axes, ends)
    axes.set_title("return while training")
    over_updates(axes)


def band(axes: Axes, several: Several, column: str, ink: str, marker: str = "") -> float | None:
    """A column's mean over seeds as a line, and from the least to the greatest seed as a band; where the line ends."""
    points = [
        {int(update): value for update, value in zip(curve["update"], curve[column], strict=True) if value == value}
        for curve in several
        if column in curve
    ]
    updates = sorted(set.intersection(*map(set, points))) if points else []
    if not updates:
        return None
    values = np.array([[curve[update] for update in updates] for curve in points])  # (seeds, points)
    axes.plot(updates, values.mean(0), color=ink, linewidth=1.8, marker=marker, markersize=3.5)
    if len(values) > 1:
        axes.fill_between(updates, values.min(0), values.max(0), color=ink, alpha=0.18, linewidth=0)
    return float(values.mean(0)[-1])


# ---- what its episodes came to ---------------------------------------------------------------------------------------


def episodes(row: Row) -> Figure:
    """One ridge for the recorded behavior and one for each model and target return."""
    ridges = [("behaviour", BEHAVIOUR, recorded_returns(row), row.first.behaviour.mean)]
    for model, cell in row.cells.items():
        for place, evaluation in enumerate(cell.first.evaluations):
            returns = np.concatenate(cell.returns(place))
            asked_for = evaluation.target_return
            name = label(model) if asked_for is None else f"{label(model)}, asked {asked_for:g}"
            ridges.append((name, colour(model), returns, float(returns.mean())))
    ridges = [ridge for ridge in ridges if len(ridge[2])]
    low, high = min(ridge[2].min() for ridge in ridges), max(ridge[2].max() for ridge in ridges)
    edges = np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low) + 1e-9, 61)
    figure, axes = plt.subplots(figsize=(7.6, 0.72 * len(ridges) + 1.5), layout="constrained")
    figure.suptitle(f"{heading(row)}: return of each episode", x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    for height, (name, ink, returns, mean) in zip(range(len(ridges))[::-1], ridges, strict=True):
        ridge(axes, height, edges, returns, mean, ink)
        score = float(row.first.protocol.score(mean))
        axes.text(1.015, height + 0.18, f"{mean:.0f}  ({score:.1f})", color=ink, transform=axes.get_yaxis_transform())
        axes.text(-0.015, height + 0.18, name, color=ink, ha="right", transform=axes.get_yaxis_transform())
    axes.text(1.015, len(ridges), "mean (score)", color="#4B5563", fontsize=9, transform=axes.get_yaxis_transform())
    axes.set(yticks=[], ylim=(-0.1, len(ridges) + 0.05), xlim=(edges[0], edges[-1]), xlabel="return")
    axes.spines["left"].set_visible(False)
    return figure


def ridge(axes: Axes, height: int, edges: np.ndarray, returns: np.ndarray, mean: float, ink: str) -> None:
    """A histogram that stands on its own line, as high as it is full, and a tick at the mean."""
    counts, _ = np.histogram(returns, edges)
    axes.stairs(height + 0.82 * counts / counts.max(), edges, baseline=height, fill=True, color=ink, alpha=0.35)
    axes.stairs(height + 0.82 * counts / counts.max(), edges, baseline=height, color=ink, linewidth=1)
    axes.plot([mean, mean], [height, height + 0.9], color=ink, linewidth=2, solid_capstyle="butt")


def recorded_returns(row: Row) -> np.ndarray:
    """Returns distributed as the behaviour's: the record has their quantiles. None where they are no points."""
    quantiles = row.first.behaviour.quantiles if row.first.behaviour.levels else ()
    places = np.linspace(0, 1, len(quantiles))
    return np.interp(np.linspace(0, 1, 2001), places, quantiles) if quantiles else np.empty(0)


# ---- what they made of being asked -----------------------------------------------------------------------------------


def asked(row: Row) -> Figure:
    """Achieved over asked: a dot for each run, a line through their means, a bar for the middle half of episodes."""
    figure, axes = plt.subplots(figsize=(5.6, 4.6), layout="constrained")
    figure.suptitle(f"{heading(row)}: asked and achieved", x=0.01, ha="left", fontweight="bold", fontsize=12.5)
    ends = []
    for model, cell in row.cells.items():
        targets = asked_returns(cell)
        if len(targets) > 1:
            ends.append((achieved(axes, cell, targets, colour(model)), label(model), colour(model)))
    asks = [target for cell in row.cells.values() for target in asked_returns(cell)]
    least, most = min(0.0, *asks), max(0.0, *asks)  # Pong's returns begin at -21
    recorded, (bottom, top) = dict(row.first.behaviour.levels), axes.get_ylim()
    axes.set_xlim(least * 1.06, most * 1.06)
    axes.set_ylim(min(bottom, 1.04 * min(least, most, *recorded.values())), 1.04 * max(top, most, *recorded.values()))
    axes.plot([least, most], [least, most], color="#9CA3AF", linewidth=1, linestyle=":")
    length = most - least
    axes.text(
        least + 0.4 * length, least + 0.42 * length, "as asked", color=BEHAVIOUR, fontsize=9.5, rotation=45,
        rotation_mode="anchor", transform_rotates_text=True,
    )  # fmt: skip
    for name, level in recorded.items():
        axes.axhline(level, color=BEHAVIOUR, linestyle=(0, (5, 3)), linewidth=1)
        ends.append((level, "behaviour's mean" if name == "behaviour" else name, BEHAVIOUR))
    label_ends(axes, ends)
    axes.set(xlabel="return asked for", ylabel="return achieved")
    axes.set_title("dots: one run's mean; bars: the middle half of all episodes", fontsize=9, fontweight="normal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return figure


def achieved(axes: Axes, cell: Cell, targets: dict[float, int], ink: str) -> float:
    """One model's line; where it ends."""
    means = []
    for target, place in sorted(targets.items()):
        runs = cell.returns(place)
        low, high = np.quantile(np.concatenate(runs), [0.25, 0.75])
        axes.plot([target, target], [low, high], color=ink, linewidth=5, alpha=0.22, solid_capstyle="round")
        dots = [run.mean() for run in runs]
        means.append(float(np.mean(dots)))
        axes.plot([target] * len(dots), dots, "o", color=ink, markersize=6, markeredgecolor="white", zorder=3)
    axes.plot(sorted(targets), means, color=ink, linewidth=1.8)
    return means[-1]


def asked_returns(cell: Cell) -> dict[float, int]:
    """Each return that the cell's runs were asked for, and its place in their records."""
    evaluations = enumerate(cell.first.evaluations)
    return {each.target_return: place for place, each in evaluations if each.target_return is not None}


# ---- what all of them share ------------------------------------------------------------------------------------------


def heading(row: Row) -> str:
    return f"{row.label}, {row.first.source}"


def colour(model: str) -> str:
    return COLOURS.get(model, "#333333")


def logarithmic(axes: Axes) -> None:
    """A logarithmic height, where what is drawn spans enough of it."""
    low, high = axes.dataLim.intervaly
    if low > 0 and high > 8 * low:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.yaxis.set_minor_locator(NullLocator())


def over_updates(axes: Axes) -> None:
    """Updates from the first on, with few ticks, and thousands as 5k."""
    axes.set_xlabel("updates")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.xaxis.set_major_formatter(
        FuncFormatter(lambda value, _: f"{value / 1000:g}k" if value >= 1000 else f"{value:g}")
    )


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]]) -> None:
    """Names at the right of the lines they belong to, moved apart where they would touch."""
    bottom, top = axes.get_ylim()
    least = 0.058 * (top - bottom)
    floor = -np.inf
    for level, text, ink in sorted(ends):
        floor = max(level, floor + least)
        axes.text(1.015, floor, text, color=ink, va="center", fontsize=9.5, transform=axes.get_yaxis_transform())
