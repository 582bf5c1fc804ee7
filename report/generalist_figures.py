"""Figures of what one set of weights has learned of many tasks.

adaptation-<task>   score over the number of demonstrations of a task that was held out, a line for each kind of start
                    (Gato's figure 9: Reed et al. 2022, arXiv:2205.06175)
mixtures-<run>      score of each family after learning other tasks beside it, by other weights or in another size
prompts-<run>       score of each family under several prompts, where experiments/prompts.py measured several tasks
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from report.adaptation import Adaptation, Line, adaptation_name
from report.families import TITLES, family, ordered
from report.grid import label
from report.mixtures import MixtureComparison, mixtures_name
from report.palette import INK, OURS, SPARE, Look
from report.plotting import RECORDED, dots, legend, line, subplots
from report.prompts import Ablation
from report.statistics import interquartile_mean
from report.store import Record
from report.table import Report
from trajectories.names import file_name

Prompted = Sequence[tuple[Record, Ablation]]  # tasks, and what was measured of each under several prompts
Points = dict[str, float]  # by family


def of_report(report: Report, prompted: Prompted = ()) -> dict[str, partial[Figure]]:
    """What draws each of them, by the figure's name."""
    found = {adaptation_name(each): partial(adaptation, each) for each in report.adaptations}
    found |= {mixtures_name(each): partial(mixtures, each) for each in report.mixtures_compared}
    runs: dict[str, list[tuple[Record, Ablation]]] = defaultdict(list)
    for record, measured in prompted:
        runs[record.name.partition("/")[0]].append((record, measured))
    several = {run: tasks for run, tasks in runs.items() if len(tasks) > 1}
    return found | {file_name(f"prompts-{run}"): partial(prompts, tasks) for run, tasks in several.items()}


def adaptation(shown: Adaptation) -> Figure:
    """A line for each kind of start, and a band from its lowest to its highest seed; hollow: nothing was learned."""
    figure, ((axes,),) = subplots(f"{shown.name}: learned from a few demonstrations", 4.2)
    for each, look in zip(shown.lines, looks(shown.lines), strict=True):
        amounts, scores = list(each.scores), list(each.scores.values())
        learned = not each.start.endswith("prompted")
        means = [float(one.mean()) for one in scores]
        axes.plot(amounts, means, label=each.start, **dots(look, full=learned) | line(look))
        low, high = ([float(pick(one)) for one in scores] for pick in (min, max))
        axes.fill_between(amounts, low, high, color=look.color, alpha=0.16, linewidth=0)
    axes.axhline(shown.expert, color=RECORDED, linewidth=1.2, label="expert")
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xticks(shown.amounts, [f"{amount:,}" for amount in shown.amounts])
    bottom, top = axes.get_ylim()
    axes.set_ylim(min(0.0, bottom), top)
    success = bool(shown.first.evaluations[0].success)
    axes.set(xlabel="demonstrations", ylabel="successful episodes, %" if success else "normalized score")
    legend(figure, axes)
    return figure


def looks(lines: Sequence[Line]) -> list[Look]:
    """How each line is drawn: Gato's and the nearest neighbor as everywhere, Gato of several tasks likewise."""
    spare = iter((*SPARE, *[SPARE[0]] * len(lines)))
    known = {"from scratch": OURS["gato"], "Nearest": OURS["nearest"]}
    several = OURS["gato ("]
    return [
        known.get(each.start) or (several if each.start.removeprefix("from ")[:1].isdigit() else next(spare))
        for each in lines
    ]


def mixtures(shown: MixtureComparison) -> Figure:
    """A row for each family, a mark for each mixture."""
    found: dict[str, Points] = {}
    for mixture in shown.mixtures:
        scores = {name: mixture.over(name, shown.tasks[name]) for name in shown.families}
        called = f"{mixture.label} ({mixture.parameters / 1e6:.1f}M)"
        found[called] = {name: score for name, score in scores.items() if score is not None}
    return by_family(f"{shown.mixtures[0].label} in one set of weights, and other mixtures", found)


def prompts(measured: Prompted) -> Figure:
    """A row for each family, a mark for each prompt."""
    scores: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for record, found in measured:
        for each in found.prompted:
            scores[each.prompt][family(record)].append(each.played.score)
    means = {
        prompt: {name: float(interquartile_mean(np.array(values))) for name, values in own.items()}
        for prompt, own in scores.items()
    }
    return by_family(f"{label(measured[0][0].column)}: the effect of a prompt", means)


def by_family(title: str, scores: dict[str, Points]) -> Figure:
    """A row for each family, a mark for each of several things."""
    rows = ordered({name for own in scores.values() for name in own})[::-1]
    figure, ((axes,),) = subplots(title, 1.6 + 0.34 * len(rows) + 0.2 * len(scores))
    every = (OURS["gato ("], OURS["gato"], OURS["dt"], OURS["tt"], OURS["bc"], OURS["nearest"], *SPARE)
    for (called, own), look in zip(scores.items(), every * len(scores), strict=False):
        _marks(axes, [(score, rows.index(name)) for name, score in own.items()], called, look)
    axes.set_yticks(range(len(rows)), [TITLES.get(name, name) for name in rows])
    axes.tick_params("y", labelcolor=INK)
    axes.set(xlabel="score: interquartile mean over the family's tasks", ylim=(-0.6, len(rows) - 0.4))
    columns = 1 if max(map(len, scores)) > 20 else 4  # names of settings are long
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=columns)
    return figure


def _marks(axes: Axes, points: Sequence[tuple[float, int]], called: str, look: Look) -> None:
    """Marks at (score, row)."""
    axes.plot([score for score, _ in points], [row for _, row in points], label=called, **dots(look))
