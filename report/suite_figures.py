"""Figures that compare models over several data sets, as rliable draws them, and over families of tasks.

Markers are full where a model is ranked, and hollow where it has fewer seeds or data sets than the others.
"""

from collections.abc import Mapping, Sequence
from textwrap import fill

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from report.cell_text import behavior_score
from report.compare import Aggregate, SuiteComparison, profiles, scores, summaries
from report.families import Family, expert, random
from report.grid import Row, label
from report.palette import INK, Look
from report.plotting import PAGE, RECORDED, SOFT, across, dots, legend, line, subplots
from report.statistics import interquartile_mean
from report.verdict import number

Looks = Mapping[str, Look]  # by column
BEHAVIOR = {"color": RECORDED, "linestyle": (0, (5, 3)), "linewidth": 1.2}


def overall(comparison: SuiteComparison, looks: Looks) -> Figure:
    """Each model's interquartile mean over a suite with its 95% interval, the highest on top."""
    several = summaries(comparison)
    figure, ((axes,),) = subplots(f"{comparison.name}: interquartile mean", 0.44 * len(several) + 1.45)
    axes.set_title(f"of all runs on {_part(comparison)}", fontsize=8.5)
    for height, each in zip(range(len(several))[::-1], several, strict=True):
        look = looks[each.column]
        if each.ranked and each.interval:
            axes.plot(each.interval, [height] * 2, color=look.color, linewidth=11, alpha=0.35, solid_capstyle="butt")
        axes.plot([each.iqm], [height], **dots(look, 9, each.ranked), zorder=3)
        beside = {"transform": axes.get_yaxis_transform(), "va": "center"}
        text = number(each) if each.ranked else f"{each.iqm:.1f}  {_why(each, comparison)}"
        axes.text(1.02, height, text, color=INK if each.ranked else SOFT, **beside)
    axes.set_yticks(range(len(several))[::-1], [label(each.column) for each in several])
    axes.tick_params("y", labelsize=10.5, labelcolor=INK)
    axes.grid(visible=False, axis="y")
    recorded = [value for row in comparison.rows if (value := behavior_score(row)) is not None]
    if len(recorded) == len(comparison.rows):
        axes.axvline(float(interquartile_mean(np.array(recorded))), **BEHAVIOR, label="behavior")
    axes.set(ylim=(-0.6, len(several) - 0.4), xlabel="score")
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    bar = Line2D([], [], color=SOFT, linewidth=9, alpha=0.35, label="95% interval", solid_capstyle="butt")
    hollow = Line2D([], [], marker="o", color=SOFT, linestyle="none", mfc=PAGE, label="not ranked")
    handles = [bar] if any(each.ranked for each in several) else []
    handles += [hollow] if not all(each.ranked for each in several) else []
    figure.legend(handles=[*handles, *axes.get_legend_handles_labels()[0]], loc="outside lower left", ncols=3)
    return figure


def data_sets(comparison: SuiteComparison, looks: Looks) -> Figure:
    """A panel for each data set: the score of every seed, and a tick at their mean."""
    columns = [each.column for each in summaries(comparison)]
    across = min(3, len(comparison.rows))
    down = -(-len(comparison.rows) // across)
    height = down * (0.26 * len(columns) + 0.75) + 0.9
    figure, axes = subplots(f"{comparison.name}: score of every seed", height, down, across, sharey=True)
    axes[-1][across // 2].set_xlabel("score, a scale for each data set")
    for spare in axes.flat[len(comparison.rows) :]:
        spare.set_axis_off()
    for panel, row in zip(axes.flat, comparison.rows, strict=False):
        for place, column in zip(range(len(columns))[::-1], columns, strict=True):
            if column in row.cells:
                _seeds(panel, row, column, place, looks[column], full=column in comparison.ranked)
        if (value := behavior_score(row)) is not None:
            panel.axvline(value, **BEHAVIOR, label="behavior")
        panel.set_title(fill(row.label, 19), fontsize=8.5)
        panel.set_yticks(range(len(columns))[::-1], list(map(label, columns)))
        panel.tick_params("y", labelcolor=INK)
        panel.set_ylim(-0.6, len(columns) - 0.4)
        panel.grid(visible=False, axis="y")
        panel.margins(x=0.12)
        panel.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    tick = Line2D([], [], marker="|", markersize=11, markeredgewidth=1.6, color=SOFT, linestyle="none")
    handles, words = axes.flat[0].get_legend_handles_labels()
    figure.legend([tick, *handles], ["mean of seeds", *words], loc="outside lower left", ncols=3)
    return figure


def profile(comparison: SuiteComparison, looks: Looks) -> Figure:
    """The share of runs that score above each level, with its interval if every task has several seeds."""
    figure, ((axes,),) = subplots(f"{comparison.name}: performance profile", 3.6)
    axes.set_title(f"runs on {_part(comparison)}; bands: 95% bootstrap intervals", fontsize=8.5)
    for each in profiles(comparison):
        look, seeds = looks[each.column], comparison.seeds(each.column)
        name = f"{label(each.column)}, {seeds} seed{'s' if seeds > 1 else ''}"
        markers = {"marker": look.marker, "markersize": 4.5, "markevery": -(-len(each.levels) // 10)}
        axes.step(each.levels, each.share, where="post", **line(look), **markers, label=name)
        if each.interval is not None:
            axes.fill_between(each.levels, *each.interval, step="post", color=look.color, alpha=0.16, linewidth=0)
    axes.set(xlabel="score", ylabel="share of runs above it", ylim=(-0.03, 1.04))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    legend(figure, axes)
    return figure


def by_family(families: Sequence[Family], columns: Sequence[str], looks: Looks) -> Figure:
    """Each model's interquartile mean over each family, beside random actions and the expert."""
    figure, ((axes,),) = subplots("Interquartile mean by family of tasks", 0.5 * len(families) + 1.5)
    for height, each in zip(range(len(families))[::-1], families, strict=True):
        for value, name in ((each.reference(random), "random"), (each.reference(expert), "expert")):
            if value is None:
                continue
            dash = "-" if name == "expert" else ":"
            axes.plot([value] * 2, [height - 0.38, height + 0.38], color=RECORDED, linestyle=dash, label=name)
        run = [column for column in columns if each.scores(column)]
        for column, shift in zip(run, np.linspace(0.26, -0.26, len(run)) if len(run) > 1 else [0.0], strict=True):
            found = each.scores(column)
            mean = float(interquartile_mean(np.concatenate(found)))
            full = len(found) == len(each.rows)
            axes.plot([mean], [height + shift], **dots(looks[column], full=full), label=label(column) if full else None)
    titles = [f"{each.title} ({len(each.rows)})" for each in families]
    axes.set_yticks(range(len(families))[::-1], titles)
    axes.tick_params("y", labelcolor=INK)
    axes.set(xlabel="score", ylim=(-0.6, len(families) - 0.4))
    axes.set_title("(tasks); hollow: not run on all", fontsize=8.5)
    _legend_of(figure, axes, columns, looks)
    return figure


def _legend_of(figure: Figure, axes: Axes, columns: Sequence[str], looks: Looks) -> None:
    """Every model with a full marker, and the two references."""
    handles = [Line2D([], [], **dots(looks[column]), label=label(column)) for column in columns]
    found = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
    handles += [found[name] for name in ("random", "expert") if name in found]
    figure.legend(handles=handles, loc="outside lower left", ncols=across([label(column) for column in columns]))


def _seeds(panel: Axes, row: Row, column: str, place: int, look: Look, full: bool) -> None:
    each = scores(row, column)
    panel.plot([each.mean()] * 2, [place - 0.32, place + 0.32], color=look.color, linewidth=2)
    panel.plot(each, [place] * len(each), **dots(look, 5.5, full))


def _part(comparison: SuiteComparison) -> str:
    return f"{len(comparison.rows)} of the suite's {comparison.size} data sets"


def _why(each: Aggregate, comparison: SuiteComparison) -> str:
    """Why a model is not ranked."""
    if each.tasks < len(comparison.rows):
        return f"({each.tasks} of {len(comparison.rows)} data sets)"
    seeds = comparison.seeds(each.column)
    return f"({seeds} seed{'s' if seeds > 1 else ''})"
