"""planner-<row>: scores of one set of weights under several settings of the planner (report/plans.py)."""

from collections.abc import Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from report import plans
from report.grid import Row
from report.palette import OURS
from report.plotting import RECORDED, subplots
from report.store import Record

MARKERS = "osD^vP"  # by seed
Planned = Sequence[tuple[Record, plans.Plans]]  # runs, and what was measured of each


def points(row: Row, planned: Planned) -> list[tuple[str, int, float, float]]:
    """The points of the cell of a row that has the most settings of the planner; see `planner`."""
    found = [
        [(record, each) for record, each in planned if record.name in {own.name for own in cell.records}]
        for cell in row.all_cells
    ]
    return plans.points(max(found, key=lambda measured: sum(len(each.cells) for _, each in measured), default=[]))


def planner(title: str, points: Sequence[tuple[str, int, float, float]], behavior: float | None) -> Figure:
    """A line for each setting, with a dot and its standard error for each seed.

    Args:
        points: the words of a setting, the seed, the score, its standard error over episodes.
        behavior: the score of the recorded episodes, if they have one.
    """
    labels = list(dict.fromkeys(words for words, *_ in points))
    seeds = sorted({seed for _, seed, *_ in points})
    figure, ((axes,),) = subplots(title, 1.4 + 0.32 * len(labels))
    for place, seed in enumerate(seeds):
        shift = 0.16 * (place - (len(seeds) - 1) / 2)
        own = [(labels.index(words) + shift, score, error) for words, each, score, error in points if each == seed]
        heights, scores, errors = zip(*own, strict=True)
        axes.errorbar(
            scores, heights, xerr=errors, fmt=MARKERS[place % len(MARKERS)], color=OURS["tt"].color, markersize=5,
            elinewidth=1.4, label=f"seed {seed}",
        )  # fmt: skip
    if behavior is not None:
        axes.axvline(behavior, color=RECORDED, linestyle=(0, (5, 3)), linewidth=1.2, label="behavior")
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlabel("score ± standard error")
    axes.xaxis.set_major_locator(MaxNLocator(6))
    figure.legend(loc="outside lower left", ncols=4, fontsize=8.5)
    return figure
