"""Figures of a row's evaluation: the returns of all episodes, and what was achieved of each target return."""

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from report.grid import Cell, Row, label
from report.palette import INK, Look
from report.plotting import RECORDED, SOFT, dots, legend, line, subplots


def episodes(row: Row, looks: Mapping[str, Look]) -> Figure:
    """One histogram for the recorded behavior and one for each model and target return."""
    ridges = [("behavior", RECORDED, recorded_returns(row), row.first.behavior.mean)]
    for model, cell in row.cells.items():
        for place, evaluation in enumerate(cell.first.evaluations):
            returns = np.concatenate(cell.returns(place))
            target = evaluation.target_return
            name = label(model) if target is None else f"{label(model)}, target {target:g}"
            ridges.append((name, looks[model].color, returns, float(returns.mean())))
    ridges = [ridge for ridge in ridges if len(ridge[2])]
    low, high = min(ridge[2].min() for ridge in ridges), max(ridge[2].max() for ridge in ridges)
    edges = np.linspace(low - 0.02 * (high - low), high + 0.02 * (high - low) + 1e-9, 61)
    title = f"{row.label}, {row.first.source}: return of each episode"
    figure, ((axes,),) = subplots(title, 0.42 * len(ridges) + 1.2)
    for height, (name, ink, returns, mean) in zip(range(len(ridges))[::-1], ridges, strict=True):
        ridge(axes, height, edges, returns, mean, ink)
        score = float(row.first.protocol.score(mean))
        axes.text(1.015, height + 0.18, f"{mean:.0f}  ({score:.1f})", color=INK, transform=axes.get_yaxis_transform())
        axes.text(-0.015, height + 0.18, name, color=INK, ha="right", transform=axes.get_yaxis_transform())
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


def achieved_returns(row: Row, looks: Mapping[str, Look]) -> Figure:
    """Achieved over target return: a dot for each run, a line through their means, a bar for half of the episodes."""
    figure, ((axes,),) = subplots(f"{row.label}, {row.first.source}: achieved return", 4.2)
    for model, cell in row.cells.items():
        targets = target_returns(cell)
        if len(targets) > 1:
            achieved(axes, cell, targets, looks[model], label(model))
    given = [target for cell in row.cells.values() for target in target_returns(cell)]
    least, most = min(0.0, *given), max(0.0, *given)  # Pong's returns begin at -21
    recorded, (bottom, top) = dict(row.first.behavior.levels), axes.get_ylim()
    axes.set_xlim(least * 1.06, most * 1.06)
    axes.set_ylim(min(bottom, 1.04 * min(least, most, *recorded.values())), 1.04 * max(top, most, *recorded.values()))
    axes.plot([least, most], [least, most], color=RECORDED, linewidth=1.2, linestyle=":", label="achieved = target")
    for (name, level), dash in zip(recorded.items(), ((5, 3), (1, 2, 5, 2)), strict=False):
        axes.axhline(level, color=RECORDED, linestyle=(0, dash), linewidth=1.2, label=name)
    axes.set(xlabel="target return", ylabel="achieved return")
    axes.set_title("dots: a run's mean; bars: the middle half of all episodes", fontsize=8.5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    legend(figure, axes)
    return figure


def achieved(axes: Axes, cell: Cell, targets: dict[float, int], look: Look, model: str) -> None:
    """One model's line."""
    means = []
    for target, place in sorted(targets.items()):
        runs = cell.returns(place)
        low, high = np.quantile(np.concatenate(runs), [0.25, 0.75])
        axes.plot([target, target], [low, high], color=look.color, linewidth=5, alpha=0.22, solid_capstyle="round")
        means.append(float(np.mean([run.mean() for run in runs])))
        axes.plot([target] * len(runs), [run.mean() for run in runs], **dots(look), zorder=3)
    axes.plot(sorted(targets), means, **line(look), marker=look.marker, markersize=3, label=model)


def target_returns(cell: Cell) -> dict[float, int]:
    """The target returns of a cell's runs, and their places in the records."""
    evaluations = enumerate(cell.first.evaluations)
    return {each.target_return: place for place, each in evaluations if each.target_return is not None}
