"""The figures of the report, one SVG each; results/index.html embeds the same files.

learning-<row>   return while training, if it was measured: each seed faintly, and their mean
loss-<row>       each model's loss, likewise
episodes-<row>   the returns of all evaluation episodes, and of the recorded ones
targets-<row>    target return against achieved return
                 (return_conditioning: the same, of the row with the most target returns, if more than two)
compute-<row>    score against training seconds, tokens and parameters
planner-<row>    score under several settings of the planner, where experiments/plan.py measured them
profile-<suite>  performance profiles over a suite's data sets
"""

import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from report import planner_figure
from report.compare import SuiteComparison, comparison_name, profiles
from report.curve import LOSS, RETURN, Curves, return_column
from report.grid import Cell, Row, label, names
from report.planner_figure import Planned
from report.plotting import (
    PAGE,
    RECORDED,
    SOFT,
    STYLE,
    color,
    digest,
    drawn_from,
    label_ends,
    logarithmic,
    over_cost,
    over_updates,
    save,
    subplots,
)
from report.score_families import is_answered
from report.store import Record
from report.table import Report

OURS = re.compile(
    r"((learning|loss|episodes|targets|compute|planner|profile)-.*|return_conditioning)\.(png|svg)"
)  # may be removed
Drawings = dict[str, partial[Figure]]  # by figure name
Several = Sequence[Mapping[str, np.ndarray]]  # curves of one model, by seed


def draw(folder: Path, curves: Curves, report: Report, planned: Planned = ()) -> list[Path]:
    """Draw into `folder` every figure that is new or shows other numbers, and remove those of rows that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = plan(curves, report, planned)
    for old in folder.iterdir():
        if OURS.fullmatch(old.name) and (old.suffix != ".svg" or old.stem not in drawings):
            old.unlink()
    with plt.rc_context(STYLE):
        for name, make in drawings.items():
            path, inputs = folder / f"{name}.svg", digest(make)
            if not drawn_from(path, inputs):
                save(make(), path, inputs)
    return paths(folder, curves, report, planned)


def paths(folder: Path, curves: Curves, report: Report, planned: Planned = ()) -> list[Path]:
    """The files that `draw` writes."""
    return [folder / f"{name}.svg" for name in plan(curves, report, planned)]


def plan(curves: Curves, report: Report, planned: Planned = ()) -> Drawings:
    """Each figure's name, and what draws it."""
    drawings: Drawings = {}
    for row, name in zip(report.rows, names(report.rows), strict=True):
        drawings |= {f"{kind}-{name}": make for kind, make in of_row(row, curves, planned).items()}
    for comparison in report.comparisons:
        if comparison.complete:
            drawings[f"profile-{comparison_name(comparison)}"] = partial(profile, comparison)
    targets = [max(len(target_returns(cell)) for cell in row.cells.values()) for row in report.rows]
    if max(targets, default=0) > 2:
        drawings["return_conditioning"] = partial(achieved_returns, report.rows[targets.index(max(targets))])
    return drawings


def of_row(row: Row, curves: Curves, planned: Planned = ()) -> Drawings:
    """The figures of one row by kind, in the order of the page."""
    found: Drawings = {}
    named = {column: [curves.get(record.name) for record in cell.records] for column, cell in row.cells.items()}
    known = {column: some for column, several in named.items() if (some := [curve for curve in several if curve])}
    if is_answered(row.first):  # there are no returns
        return {**({"loss": partial(losses, row, known)} if known else {}), "compute": partial(compute, row)}
    if any(name.startswith(RETURN) for several in known.values() for curve in several for name in curve):
        found["learning"] = partial(learning, row, known)
    if known:
        found["loss"] = partial(losses, row, known)
    found["episodes"] = partial(episodes, row)
    if any(len(target_returns(cell)) > 1 for cell in row.cells.values()):
        found["targets"] = partial(achieved_returns, row)
    if points := planner_figure.points(row, planned):
        title = heading(row, "score by the planner's settings")
        found["planner"] = partial(planner_figure.planner, title, points, row.first.behavior.normalized)
    return found | {"compute": partial(compute, row)}


def heading(row: Row, what: str) -> str:
    return f"{row.label}, {row.first.source}: {what}"


# ---- training --------------------------------------------------------------------------------------------------------


def learning(row: Row, curves: Mapping[str, Several]) -> Figure:
    """The return of the episodes played while training, over updates."""
    figure, ((axes,),) = subplots(heading(row, "return while training"), 3.3)
    ends = []
    for column, several in curves.items():
        name = return_column(row.cells[column].first.evaluations[0].target_return)
        end = lines(axes, several, name, color(column), marker="o")
        ends += [(end, label(column), color(column))] if end is not None else []
    for name, level in row.first.behavior.levels[:1]:
        axes.axhline(level, color=RECORDED, linestyle=(0, (5, 3)), linewidth=1.2)
        ends.append((level, name, RECORDED))
    bottom, top = min(0, axes.get_ylim()[0]), axes.get_ylim()[1]
    axes.set_ylim(bottom, bottom + 1.05 * (top - bottom))
    label_ends(axes, ends)
    axes.set(ylabel="return")
    over_updates(axes)
    return figure


def losses(row: Row, curves: Mapping[str, Several]) -> Figure:
    """A panel for each model's loss: losses of different models cannot be compared."""
    columns = min(2, len(curves))
    panels = -(-len(curves) // columns)
    figure, axes = subplots(heading(row, "loss"), 0.9 + 1.9 * panels, panels, columns)
    for spare in axes.flat[len(curves) :]:
        spare.set_axis_off()
    for panel, (column, several) in zip(axes.flat, curves.items(), strict=False):
        lines(panel, several, f"{LOSS}total", color(column))
        panel.set_title(label(column), color=color(column), fontweight="bold")
        logarithmic(panel)
        over_updates(panel)
    return figure


def lines(axes: Axes, several: Several, name: str, ink: str, marker: str = "") -> float | None:
    """A column of each seed's curve as a faint line, and their mean as a strong one; returns the mean's last value."""
    points = [
        {int(update): value for update, value in zip(curve["update"], curve[name], strict=True) if value == value}
        for curve in several
        if name in curve
    ]
    updates = sorted(set.intersection(*map(set, points))) if points else []
    if not updates:
        return None
    for curve in points if len(points) > 1 else ():
        axes.plot(list(curve), list(curve.values()), color=ink, linewidth=0.8, alpha=0.4)
    mean = np.array([[curve[update] for update in updates] for curve in points]).mean(0)
    axes.plot(updates, mean, color=ink, linewidth=1.8, marker=marker, markersize=3.5)
    return float(mean[-1])


def compute(row: Row) -> Figure:
    """Each run's score against what it cost; seconds are those of the machine that it ran on."""
    figure, ((*panels,),) = subplots(heading(row, "score against compute"), 2.9, 1, 3, sharey=True)
    for place, (panel, name) in enumerate(zip(panels, ("training seconds", "tokens", "parameters"), strict=True)):
        costs = []
        for column, cell in row.cells.items():
            cost = [costs_of(record)[place] for record in cell.records]
            scores = [record.evaluations[0].score for record in cell.records]
            panel.plot(cost, scores, "o", color=color(column), markersize=6, markeredgecolor=PAGE, label=label(column))
            costs += cost
        over_cost(panel, costs)
        panel.set_xlabel(name)
    panels[0].set_ylabel("normalized score")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower left", ncols=5)
    return figure


def costs_of(record: Record) -> tuple[float, int, int]:
    """Training seconds, tokens and parameters; of seconds at least a little, for a logarithmic axis."""
    return max(1e-3, record.seconds.get("train", 0.0)), record.tokens, record.parameters


def profile(comparison: SuiteComparison) -> Figure:
    """The share of runs that score above each level, with its interval if every task has several seeds."""
    title = f"{comparison.name}: performance profile over {len(comparison.rows)} of its {comparison.size} data sets"
    figure, ((axes,),) = subplots(title, 3.4)
    for each in profiles(comparison):
        axes.plot(each.levels, each.share, color=color(each.column), linewidth=1.8, label=label(each.column))
        if each.interval is not None:
            axes.fill_between(each.levels, *each.interval, color=color(each.column), alpha=0.16, linewidth=0)
    axes.set(xlabel="normalized score", ylabel="share of runs above it", ylim=(0, 1.03))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.legend(loc="upper right")
    return figure


# ---- evaluation ------------------------------------------------------------------------------------------------------


def episodes(row: Row) -> Figure:
    """One histogram for the recorded behavior and one for each model and target return."""
    ridges = [("behavior", RECORDED, recorded_returns(row), row.first.behavior.mean)]
    for model, cell in row.cells.items():
        for place, evaluation in enumerate(cell.first.evaluations):
            returns = np.concatenate(cell.returns(place))
            target = evaluation.target_return
            name = label(model) if target is None else f"{label(model)}, target {target:g}"
            ridges.append((name, color(model), returns, float(returns.mean())))
    ridges = [ridge for ridge in ridges if len(ridge[2])]
    low, high = min(ridge[2].min() for ridge in ridges), max(ridge[2].max() for ridge in ridges)
    edges = np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low) + 1e-9, 61)
    figure, ((axes,),) = subplots(heading(row, "return of each episode"), 0.42 * len(ridges) + 1.2)
    for height, (name, ink, returns, mean) in zip(range(len(ridges))[::-1], ridges, strict=True):
        ridge(axes, height, edges, returns, mean, ink)
        score = float(row.first.protocol.score(mean))
        axes.text(1.015, height + 0.18, f"{mean:.0f}  ({score:.1f})", color=ink, transform=axes.get_yaxis_transform())
        axes.text(-0.015, height + 0.18, name, color=ink, ha="right", transform=axes.get_yaxis_transform())
    axes.text(1.015, len(ridges), "mean (score)", color=SOFT, fontsize=9, transform=axes.get_yaxis_transform())
    axes.set(yticks=[], ylim=(-0.1, len(ridges) + 0.05), xlim=(edges[0], edges[-1]), xlabel="return")
    axes.spines["left"].set_visible(False)
    return figure


def ridge(axes: Axes, height: int, edges: np.ndarray, returns: np.ndarray, mean: float, ink: str) -> None:
    """A histogram above a baseline at `height`, and a tick at the mean."""
    counts, _ = np.histogram(returns, edges)
    axes.stairs(height + 0.82 * counts / counts.max(), edges, baseline=height, fill=True, color=ink, alpha=0.35)
    axes.stairs(height + 0.82 * counts / counts.max(), edges, baseline=height, color=ink, linewidth=1)
    axes.plot([mean, mean], [height, height + 0.9], color=ink, linewidth=2, solid_capstyle="butt")


def recorded_returns(row: Row) -> np.ndarray:
    """Returns with the quantiles of the recorded ones; none if rewards were clipped."""
    quantiles = row.first.behavior.quantiles if row.first.behavior.levels else ()
    places = np.linspace(0, 1, len(quantiles))
    return np.interp(np.linspace(0, 1, 2001), places, quantiles) if quantiles else np.empty(0)


def achieved_returns(row: Row) -> Figure:
    """Achieved over target return: a dot for each run, a line through their means, a bar for half of the episodes."""
    figure, ((axes,),) = subplots(heading(row, "achieved return"), 4.0)
    ends = []
    for model, cell in row.cells.items():
        targets = target_returns(cell)
        if len(targets) > 1:
            ends.append((achieved(axes, cell, targets, color(model)), label(model), color(model)))
    given = [target for cell in row.cells.values() for target in target_returns(cell)]
    least, most = min(0.0, *given), max(0.0, *given)  # Pong's returns begin at -21
    recorded, (bottom, top) = dict(row.first.behavior.levels), axes.get_ylim()
    axes.set_xlim(least * 1.06, most * 1.06)
    axes.set_ylim(min(bottom, 1.04 * min(least, most, *recorded.values())), 1.04 * max(top, most, *recorded.values()))
    axes.plot([least, most], [least, most], color=RECORDED, linewidth=1, linestyle=":")
    length = most - least
    axes.text(
        least + 0.4 * length, least + 0.42 * length, "achieved = target", color=RECORDED, fontsize=9, rotation=45,
        rotation_mode="anchor", transform_rotates_text=True,
    )  # fmt: skip
    for name, level in recorded.items():
        axes.axhline(level, color=RECORDED, linestyle=(0, (5, 3)), linewidth=1)
        ends.append((level, name, RECORDED))
    label_ends(axes, ends)
    axes.set(xlabel="target return", ylabel="achieved return")
    axes.set_title("dots: a run's mean; bars: the middle half of all episodes", fontsize=8.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    return figure


def achieved(axes: Axes, cell: Cell, targets: dict[float, int], ink: str) -> float:
    """One model's line; returns its last value."""
    means = []
    for target, place in sorted(targets.items()):
        runs = cell.returns(place)
        low, high = np.quantile(np.concatenate(runs), [0.25, 0.75])
        axes.plot([target, target], [low, high], color=ink, linewidth=5, alpha=0.22, solid_capstyle="round")
        dots = [run.mean() for run in runs]
        means.append(float(np.mean(dots)))
        axes.plot([target] * len(dots), dots, "o", color=ink, markersize=6, markeredgecolor=PAGE, zorder=3)
    axes.plot(sorted(targets), means, color=ink, linewidth=1.8)
    return means[-1]


def target_returns(cell: Cell) -> dict[float, int]:
    """The target returns of a cell's runs, and their places in the records."""
    evaluations = enumerate(cell.first.evaluations)
    return {each.target_return: place for place, each in evaluations if each.target_return is not None}
