"""How every figure looks: colors for a light and a dark page, fonts, axes, and the SVG that is written.

A figure is drawn in the light colors; a style sheet inside the SVG exchanges them where the reader prefers a dark page.
The same figure gives the same SVG, to the byte. What a model looks like stands in palette.py.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, partial
from pathlib import Path
from textwrap import fill
from typing import Any

import matplotlib

matplotlib.use("Agg")  # no screen is needed
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator

from report.palette import INK, YELLOW, Look
from report.store import plain
from trajectories.atomic import atomic_file

PAGE, SOFT, LINE, RECORDED = "#ffffff", "#5c6672", "#e2e6ea", "#7a8490"
DARK = {  # the light colors, and what they become on a dark page; those of models stay
    PAGE: "#12161a",
    INK: "#e8ebee",
    SOFT: "#9ba6b2",
    LINE: "#2e363f",
    RECORDED: "#8c97a3",
}
WIDTH = 5.2  # inches
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": SOFT,
    "axes.facecolor": PAGE,
    "axes.labelcolor": SOFT,
    "axes.titlesize": 9.5,
    "axes.titlecolor": SOFT,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.axisbelow": True,
    "figure.titlesize": 11,
    "figure.titleweight": "bold",
    "grid.color": LINE,
    "grid.linewidth": 0.8,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "text.color": INK,
    "xtick.color": SOFT,
    "ytick.color": SOFT,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "svg.hashsalt": "trajectories",  # the same ids in every run
    "svg.fonttype": "none",
    "text.parse_math": False,  # a dollar in a name is a dollar
    "savefig.facecolor": PAGE,
}
NO_METADATA = dict.fromkeys(("Creator", "Date", "Format", "Type"))
MATPLOTLIB_RULE = "*{stroke-linejoin: round; stroke-linecap: butt}"


def subplots(title: str, height: float, rows: int = 1, columns: int = 1, **options: Any) -> tuple[Figure, Any]:
    """A titled figure and its axes, a (rows, columns) array."""
    layout: dict[str, Any] = {"figsize": (WIDTH, height), "layout": "constrained", "squeeze": False}
    figure, axes = plt.subplots(rows, columns, **layout, **options)
    figure.suptitle(fill(title, 52), x=0.01, ha="left")
    return figure, axes


def save(figure: Figure, path: Path, inputs: str) -> None:
    """Write a figure as SVG with both color schemes, and close it.

    Args:
        inputs: a digest of what it shows, kept in its last line for `drawn_from`.
    """
    with atomic_file(path) as fresh:
        figure.savefig(fresh, format="svg", metadata=NO_METADATA)
        svg = fresh.read_text(encoding="utf-8")
        assert svg.count(MATPLOTLIB_RULE) == 1
        svg = svg.replace(MATPLOTLIB_RULE, MATPLOTLIB_RULE + dark_rules())
        fresh.write_text(f"{svg.rstrip()}\n{stamp(inputs)}\n", encoding="utf-8")
    plt.close(figure)


def digest(make: partial[Figure]) -> str:
    """A digest of the numbers that a figure shows and of the code that computes and draws it."""
    shown = json.dumps([make.func.__name__, *make.args], default=_fields)
    return hashlib.sha256(shown.encode() + code()).hexdigest()[:16]


@cache
def code() -> bytes:
    """All of this room's code and published numbers, and the version of matplotlib, as a digest."""
    content = hashlib.sha256(matplotlib.__version__.encode())
    for path in sorted([*Path(__file__).parent.glob("*.py"), *Path(__file__).parent.glob("*.toml")]):
        content.update(path.read_bytes())
    return content.digest()


def _fields(value: Any) -> Any:
    """What `json.dumps` does not know: a dataclass by its fields, the rest as records have it."""
    if is_dataclass(value):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    return plain(value)


def stamp(inputs: str) -> str:
    return f"<!-- inputs {inputs} -->"


def drawn_from(path: Path, inputs: str) -> bool:
    """Whether a figure is there and shows these inputs."""
    try:
        return path.read_text(encoding="utf-8").rstrip().endswith(stamp(inputs))
    except (OSError, UnicodeError):
        return False


def dark_rules() -> str:
    """The style sheet that exchanges the colors; matplotlib writes each as a property of an element's style."""
    rules = "".join(
        f'[style*="{kind}: {light}"]{{{kind}: {dark} !important}}'
        for light, dark in DARK.items()
        for kind in ("fill", "stroke")
    )
    return f"@media (prefers-color-scheme: dark){{{rules}}}"


def logarithmic(axes: Axes) -> bool:
    """A logarithmic y axis where the data span enough of it; whether it is one."""
    low, high = axes.dataLim.intervaly
    spans = bool(low > 0 and high > 8 * low)
    if spans:
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.3g}"))
        axes.yaxis.set_minor_locator(NullLocator())
    return spans


def over_updates(axes: Axes) -> None:
    """An x axis of updates from 0, thousands as 5k."""
    axes.set_xlabel("updates")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(short))


def over_cost(axes: Axes, values: Sequence[float]) -> None:
    """A logarithmic x axis with one or two round ticks; what costs nothing does not stand on it."""
    values = [value for value in values if value > 0] or [1]
    low, high = min(values) / 1.4, max(values) * 1.4
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.xaxis.set_minor_locator(NullLocator())
    count = 1 + (high > 5 * low)
    middle = np.geomspace(low, high, count + 2)[1:-1]
    axes.set_xticks(sorted({tick for tick in (float(f"{tick:.1g}") for tick in middle) if low <= tick <= high}))
    axes.xaxis.set_major_formatter(FuncFormatter(short))


def short(value: float, _: object = None) -> str:
    """12000 as 12k."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= unit:
            return f"{value / unit:.3g}{letter}"
    return f"{value:.3g}"


def dots(look: Look, size: float = 6.5, full: bool = True) -> dict[str, Any]:
    """How `plot` draws a model's markers; hollow ones stand for what is not ranked."""
    face, edge = (look.color, INK if look.color == YELLOW else PAGE) if full else (PAGE, look.color)
    style = {"marker": look.marker, "markersize": size, "markerfacecolor": face, "markeredgecolor": edge}
    return {"color": look.color, "linestyle": "none", "markeredgewidth": 0.6 if full else 1.4, **style}


def line(look: Look) -> dict[str, Any]:
    """How `plot` draws a model's line."""
    return {"color": look.color, "linestyle": look.dash, "linewidth": 1.8}


def legend(figure: Figure, *axes: Axes) -> None:
    """What every line and marker stands for, each once, below the figure: nothing is written over the data."""
    found = {name: handle for each in axes for handle, name in zip(*each.get_legend_handles_labels(), strict=True)}
    if found:
        figure.legend(list(found.values()), list(found), loc="outside lower left", ncols=across(found))


def across(names: Collection[str]) -> int:
    """How many of these names stand beside each other in a legend."""
    return 4 if max(map(len, names)) < 12 else 3
