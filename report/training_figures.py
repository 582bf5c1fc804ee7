"""Figures of a row's training: returns on the way, losses, and the score against what it cost."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from report.curve import LOSS, Curves, return_column
from report.grid import Cell, Row, label
from report.palette import Look
from report.plotting import RECORDED, dots, legend, line, logarithmic, over_cost, over_updates, subplots
from report.store import Record

Several = Sequence[Mapping[str, np.ndarray]]  # curves of one model, by seed
Looks = Mapping[str, Look]  # by column
MARKS = 12  # markers on a line, about


def curves_by_column(row: Row, curves: Curves) -> dict[str, Several]:
    """The curves of a row's cells; of models that have none, nothing."""
    named = {column: [curves.get(record.name) for record in cell.records] for column, cell in row.cells.items()}
    return {column: some for column, several in named.items() if (some := [curve for curve in several if curve])}


def headline_column(cell: Cell) -> str:
    """The column of a curve with the returns at the target return that stands in the tables."""
    return return_column(cell.first.evaluations[0].target_return)


def learning(row: Row, curves: Mapping[str, Several], looks: Looks) -> Figure:
    """The return of the episodes played while training, over updates: the mean of the seeds between their extremes."""
    figure, ((axes,),) = subplots(f"{row.label}, {row.first.source}: return while training", 3.5)
    for column, several in curves.items():
        band(axes, several, headline_column(row.cells[column]), looks[column], label(column), marked=True)
    for name, level in row.first.behavior.levels[:1]:
        axes.axhline(level, color=RECORDED, linestyle=(0, (5, 3)), linewidth=1.2, label=name)
    bottom, top = min(0, axes.get_ylim()[0]), axes.get_ylim()[1]
    axes.set_ylim(bottom, bottom + 1.05 * (top - bottom))
    axes.set(ylabel="return (linear scale)")
    axes.set_title("line: mean over seeds; band: from the lowest seed to the highest", fontsize=8.5)
    over_updates(axes)
    legend(figure, axes)
    return figure


def losses(row: Row, curves: Mapping[str, Several], looks: Looks) -> Figure:
    """A panel for each model's loss, with a scale of its own: losses of different models cannot be compared."""
    columns = min(3, len(curves))
    panels = -(-len(curves) // columns)
    figure, axes = subplots(f"{row.label}, {row.first.source}: loss", 0.9 + 1.9 * panels, panels, columns)
    for spare in axes.flat[len(curves) :]:
        spare.set_axis_off()
    for panel, (column, several) in zip(axes.flat, curves.items(), strict=False):
        title = band(panel, several, f"{LOSS}total", looks[column], label(column), marked=False)
        panel.set_title(title or label(column))
        panel.set_ylabel("loss, log" if logarithmic(panel) else "loss, linear")
        over_updates(panel)
    return figure


def band(axes: Axes, several: Several, name: str, look: Look, model: str, marked: bool) -> str:
    """A column of a model's curves: the mean of its seeds, and what lies between the lowest and the highest.

    Returns:
        The line's label, "DT, 3 seeds"; nothing where the column was not measured.
    """
    points = [
        {int(update): value for update, value in zip(curve["update"], curve[name], strict=True) if value == value}
        for curve in several
        if name in curve
    ]
    updates = sorted(set.intersection(*map(set, points))) if points else []
    if not updates:
        return ""
    values = np.array([[curve[update] for update in updates] for curve in points])  # (seeds, updates)
    if len(points) > 1:
        axes.fill_between(updates, values.min(0), values.max(0), color=look.color, alpha=0.2, linewidth=0)
    seeds = f"{model}, {len(points)} seed{'s' if len(points) > 1 else ''}"
    marker = look.marker if marked else ""
    every = -(-len(updates) // MARKS)
    axes.plot(updates, values.mean(0), **line(look), marker=marker, markersize=4.5, markevery=every, label=seeds)
    return seeds


def compute(row: Row, looks: Looks) -> Figure:
    """Each run's score against what it cost; seconds are those of the machine that it ran on."""
    title = f"{row.label}, {row.first.source}: score against compute"
    figure, ((*panels,),) = subplots(title, 3.0, 1, 3, sharey=True)
    for place, (panel, name) in enumerate(zip(panels, ("training seconds", "tokens", "parameters"), strict=True)):
        costs = []
        for column, cell in row.cells.items():
            cost = [costs_of(record)[place] for record in cell.records]
            scores = [record.evaluations[0].score for record in cell.records]
            panel.plot(cost, scores, **dots(looks[column]), label=label(column))
            costs += cost
        over_cost(panel, costs)
        panel.set_xlabel(f"{name} (log)")
    panels[0].set_ylabel("score (linear)")
    legend(figure, *panels)
    return figure


def costs_of(record: Record) -> tuple[float, int, int]:
    """Training seconds, tokens and parameters; of seconds at least a little, for a logarithmic axis."""
    return max(1e-3, record.seconds.get("train", 0.0)), record.tokens, record.parameters
