"""The figures of the report, one SVG each; results/index.html embeds the same files.

overall-<suite>  interquartile means over a suite's data sets, with intervals
seeds-<suite>    every seed's score on each of them
profile-<suite>  performance profiles over them
families         interquartile means by family of tasks, if several were run
learning-<row>   return while training, if it was measured
loss-<row>       each model's loss, likewise
episodes-<row>   the returns of all evaluation episodes, and of the recorded ones
targets-<row>    target return against achieved return
                 (return_conditioning: the same, of the row with the most target returns, if more than two)
compute-<row>    score against training seconds, tokens and parameters
adaptation-<task>, mixtures-<run>, prompts-<run>   of several tasks in one set of weights (generalist_figures.py)
planner-<row>    score under several settings of the planner, where experiments/plan.py measured them
"""

import re
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from report import generalist_figures, planner_figure, suite_figures
from report.adaptation import is_few
from report.compare import comparison_name
from report.curve import Curves
from report.episode_figures import achieved_returns, episodes, target_returns
from report.families import families
from report.generalist_figures import Prompted
from report.grid import Row, names
from report.palette import looks
from report.planner_figure import Planned
from report.plotting import STYLE, digest, drawn_from, save
from report.score_families import is_answered
from report.table import Report
from report.training_figures import Looks, compute, curves_by_column, headline_column, learning, losses

KINDS = "overall|seeds|profile|learning|loss|episodes|targets|compute|planner|adaptation|mixtures|prompts"
OURS = re.compile(rf"(({KINDS})-.*|families|return_conditioning)\.(png|svg)")  # may be removed
Drawings = dict[str, partial[Figure]]  # by figure name


def draw(folder: Path, curves: Curves, report: Report, planned: Planned = (), prompted: Prompted = ()) -> list[Path]:
    """Draw into `folder` every figure that is new or shows other numbers, and remove those of rows that are gone."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = plan(curves, report, planned, prompted)
    for old in folder.iterdir():
        if OURS.fullmatch(old.name) and (old.suffix != ".svg" or old.stem not in drawings):
            old.unlink()
    with plt.rc_context(STYLE):
        for name, make in drawings.items():
            path, inputs = folder / f"{name}.svg", digest(make)
            if not drawn_from(path, inputs):
                save(make(), path, inputs)
    return paths(folder, curves, report, planned, prompted)


def paths(folder: Path, curves: Curves, report: Report, planned: Planned = (), prompted: Prompted = ()) -> list[Path]:
    """The files that `draw` writes."""
    return [folder / f"{name}.svg" for name in plan(curves, report, planned, prompted)]


def plan(curves: Curves, report: Report, planned: Planned = (), prompted: Prompted = ()) -> Drawings:
    """Each figure's name, and what draws it."""
    drawings: Drawings = {}
    shown, leading = looks(report.columns), report.leading
    for each in (each for each in report.comparisons if each.ranked or each is leading):
        name = comparison_name(each)
        drawings[f"overall-{name}"] = partial(suite_figures.overall, each, shown)
        drawings[f"seeds-{name}"] = partial(suite_figures.data_sets, each, shown)
        if each.complete:
            drawings[f"profile-{name}"] = partial(suite_figures.profile, each, shown)
    if len(found := families(report.rows)) > 1:
        drawings["families"] = partial(suite_figures.by_family, found, report.columns, shown)
    for row, name in zip(report.rows, names(report.rows), strict=True):
        if not is_few(row):
            drawings |= {f"{kind}-{name}": make for kind, make in of_row(row, curves, shown, planned).items()}
    drawings |= generalist_figures.of_report(report, prompted)
    targets = [max(len(target_returns(cell)) for cell in row.cells.values()) for row in report.rows]
    if max(targets, default=0) > 2:
        drawings["return_conditioning"] = partial(achieved_returns, report.rows[targets.index(max(targets))], shown)
    return drawings


def of_row(row: Row, curves: Curves, shown: Looks, planned: Planned = ()) -> Drawings:
    """The figures of one row by kind, in the order of the page."""
    found: Drawings = {}
    known = curves_by_column(row, curves)
    measured = {column: several for column, several in known.items()
                if any(headline_column(row.cells[column]) in curve for curve in several)}  # fmt: skip
    if measured and not is_answered(row.first):  # where something is answered there are no returns
        found["learning"] = partial(learning, row, measured, shown)
    if known:
        found["loss"] = partial(losses, row, known, shown)
    if not is_answered(row.first):
        found["episodes"] = partial(episodes, row, shown)
    if any(len(target_returns(cell)) > 1 for cell in row.cells.values()):
        found["targets"] = partial(achieved_returns, row, shown)
    if points := planner_figure.points(row, planned):
        title = f"{row.label}, {row.first.source}: score by the planner's settings"
        found["planner"] = partial(planner_figure.planner, title, points, row.first.behavior.normalized)
    return found | {"compute": partial(compute, row, shown)}
