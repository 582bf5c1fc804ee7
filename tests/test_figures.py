"""Figures: a look of its own for each model, no word over a dot, steps, and how many seeds a line has."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from report import figures, palette, plotting, table
from report.curve import Curve, curves_of
from report.palette import looks
from report.store import Record
from report.suite_figures import overall, profile
from report.training_figures import curves_by_column, learning, losses
from tests.records import made_up, write

SUITE = {"both": ("hopper-medium", "walker2d-medium")}
MODELS = ("dt", "tt", "gato", "gato (3 tasks)", "bc", "nearest")


def records() -> list[Record]:
    scores = {"dt": (60.0, 64.0), "bc": (50.0, 51.0), "tt": (70.0,)}
    return [
        made_up(
            model=model, dataset=name, seed=seed, score=score, targets=(3600.0, 1400.0) if model == "dt" else (None,)
        )
        for name in SUITE["both"]
        for model, of_model in scores.items()
        for seed, score in enumerate(of_model)
    ]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for record in write(tmp_path / "runs", *records()):
        curve = Curve(tmp_path / "runs" / record.name)
        column = "return/3600" if record.model == "dt" else "return/any"
        for update in range(100, 1000, 100):
            returns = 2.0 * update + 30 * record.seed
            curve.append({"update": update, "loss/total": 30 / update, column: returns})
    return tmp_path / "runs"


@pytest.fixture
def style() -> Iterator[None]:
    with plt.rc_context(plotting.STYLE):
        yield
    plt.close("all")


# ---- looks ----------------------------------------------------------------------------------------------------------


def test_every_model_has_a_color_a_marker_and_a_dash_of_its_own() -> None:
    found = looks(MODELS).values()
    for part in ("color", "marker", "dash"):
        assert len({getattr(look, part) for look in found}) == len(MODELS), part
    assert {look.color for look in found} <= {*palette.COLORS, palette.INK}


def test_a_model_from_elsewhere_has_a_color_of_its_own_from_the_palette() -> None:
    found = looks((*MODELS, "gru", "gato (9 tasks)"))
    taken = {look.color for name, look in found.items() if name != "gru"}
    assert found["gru"].color in palette.COLORS
    assert found["gru"].color not in taken
    assert len(set(found.values())) == len(found)
    assert looks((*MODELS[:3], "gato (3 tasks)", "gato (9 tasks)", "gru"))["gru"] == looks(("gru",))["gru"]
    assert len(set(looks([f"model{number}" for number in range(20)]).values())) == 20


def test_colors_differ_in_grey_by_luminance_or_marker() -> None:
    look = looks(MODELS)
    grey = {name: 0.3 * int(each.color[1:3], 16) + 0.59 * int(each.color[3:5], 16) for name, each in look.items()}
    near = [(a, b) for a in grey for b in grey if a < b and abs(grey[a] - grey[b]) < 25]
    assert all(look[a].marker != look[b].marker and look[a].dash != look[b].dash for a, b in near)


# ---- figures --------------------------------------------------------------------------------------------------------


def covered(figure: Figure) -> list[str]:
    """Texts that lie over a marker of the figure."""
    figure.canvas.draw()
    renderer: Any = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]
    found = []
    for axes in figure.axes:
        for each in axes.lines:
            if each.get_marker() in ("", "None", None):
                continue
            points = axes.transData.transform(np.column_stack(each.get_data()).astype(float))
            reach = each.get_markersize() / 2
            for text in texts:
                box = text.get_window_extent(renderer).padded(reach)
                if len(points) and box.count_contains(points):
                    found.append(text.get_text())
    return found


@pytest.mark.usefixtures("style")
def test_no_word_lies_over_a_dot(runs: Path) -> None:
    report = table.report(records(), suites=SUITE)
    planned = figures.plan(curves_of(records(), runs), report)
    assert {"overall", "seeds", "profile", "learning", "loss", "targets"} <= {name.split("-")[0] for name in planned}
    for name, make in planned.items():
        assert covered(make()) == [], name


def test_a_suite_in_which_nothing_is_ranked_has_figures_only_if_there_is_no_other() -> None:
    alone = [made_up(dataset=name, source="collected") for name in SUITE["both"]]
    planned = figures.plan({}, table.report([*records(), *alone], suites=SUITE))
    assert [name for name in planned if name.startswith("overall")] == ["overall-both-reroll"]
    planned = figures.plan({}, table.report(alone, suites=SUITE))
    assert [name for name in planned if name.startswith("overall")] == ["overall-both-collected"]


@pytest.mark.usefixtures("style")
def test_a_model_that_is_not_ranked_is_hollow_and_has_no_interval() -> None:
    report = table.report(records(), suites=SUITE)
    (axes,) = overall(report.comparisons[0], looks(report.columns)).axes
    marked = [line for line in axes.lines if line.get_marker() not in ("None", "")]
    hollow = [line.get_markerfacecolor() == plotting.PAGE for line in marked]
    assert hollow == [False, False, True]  # DT, BC, TT
    bars = [line for line in axes.lines if line.get_linewidth() > 5]
    assert len(bars) == 2
    assert "70.0  (1 seed)" in [text.get_text() for text in axes.texts]


@pytest.mark.usefixtures("style")
def test_a_profile_is_drawn_as_steps_that_fall_at_the_scores() -> None:
    report = table.report(records(), suites=SUITE)
    (axes,) = profile(report.comparisons[0], looks(report.columns)).axes
    (dt,) = (line for line in axes.lines if line.get_label() == "DT, 2 seeds")
    assert dt.get_drawstyle() == "steps-post"
    share = dict(zip(*dt.get_data(), strict=True))
    assert (share[51.0], share[60.0], share[64.0]) == (1.0, 0.5, 0.0)


@pytest.mark.usefixtures("style")
def test_a_curve_says_how_many_seeds_it_is_of_and_lies_between_them(runs: Path) -> None:
    row = table.report(records()).rows[0]
    curves = curves_by_column(row, curves_of(records(), runs))
    (axes,) = learning(row, curves, looks(row.cells)).axes
    labels = [line.get_label() for line in axes.lines]
    assert labels == ["DT, 2 seeds", "TT, 1 seed", "BC, 2 seeds", "behavior"]
    assert np.asarray(axes.lines[0].get_ydata())[0] == 215.0  # of 200 and 230
    assert len(axes.collections) == 2  # a band for each model of several seeds
    assert axes.get_ylabel() == "return (linear scale)"
    panels = losses(row, curves, looks(row.cells)).axes
    assert [panel.get_title(loc="left") for panel in panels] == labels[:3]
    assert {panel.get_ylabel() for panel in panels} == {"loss, log"}


@pytest.mark.usefixtures("style")
def test_no_legend_is_wider_than_its_figure() -> None:
    mixed = {"run": {"env": [f"task-{number}" for number in range(26)] + ["hopper-medium"], "source": "reroll"}}
    several = [
        *records(),
        replace(made_up(model="gato"), config=mixed),
        made_up(model="nearest"),
        made_up(model="gato"),
    ]
    several += [replace(made_up(dataset="fetch-reach"), family="fetch")]
    for name, make in figures.plan({}, table.report(several, suites=SUITE)).items():
        figure = make()
        figure.canvas.draw()
        for legend in figure.legends:
            assert legend.get_window_extent().x1 <= figure.bbox.x1 + 1, name
