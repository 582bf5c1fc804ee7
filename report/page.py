"""The report as one self-contained page: results/index.html opens without a network, in light and dark, on a phone.

page.css, page.js and the figures (figures.py) are written into it as they are. What only this machine knows (which
records are stale, which videos lie beside them) stands between HERE and THERE, and `portable` takes it out again before
pages are compared.
"""

import json
import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from urllib.parse import quote

from report import run_sections, verdict
from report.adaptation import adaptation_name
from report.cell_text import Table, Text
from report.compare import SuiteComparison, comparison_name
from report.grid import label, names
from report.markdown import EMPTY
from report.mixtures import mixtures_name
from report.palette import INK, Look, looks
from report.score_families import SOURCES, source_place
from report.table import Report

WHAT = (
    "The same trajectories, the same episodes, one table. Written by `python experiments/report.py` from the runs' "
    "records; nothing is typed by hand."
)
SCALE = (
    "Score: 0 is a random policy, 100 an expert. Intervals: 95%, bootstrapped over seeds (Agarwal et al. 2021). "
    "Behavior: the recorded episodes themselves."
)
HERE, THERE = "<!-- here -->", "<!-- there -->"
FIGURES = ("learning", "loss", "episodes", "targets", "compute", "planner")  # of a row, in this order
STYLE, SCRIPT = (Path(__file__).with_name(name) for name in ("page.css", "page.js"))


def page(
    report: Report,
    runs: Path,
    figures: Mapping[str, str] | None = None,
    suites: Mapping[str, Sequence[str]] | None = None,
    stale: Mapping[str, Sequence[str]] | None = None,
) -> str:
    """results/index.html.

    Args:
        runs: where the runs are kept, for the videos.
        figures: the SVG of each figure by its name; the page leaves out those that are missing.
        suites: data sets by suite, to filter by.
        stale: of each record by name, why it is not what the code would give today.
    """
    suites = {
        name: each for name, each in (suites or {}).items() if any(row.first.dataset in each for row in report.rows)
    }
    parts = body(report, runs, figures or {}, stale) if report.rows else [paragraph(EMPTY)]
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Results</title>
<link rel="icon" href="data:,">
<style>
{STYLE.read_text(encoding="utf-8").strip()}
</style>
</head>
<body>
<h1>Decision Transformer, Trajectory Transformer, Gato</h1>
{paragraph(WHAT)}
{bar(report, suites)}
{chr(10).join(parts)}
<script>
{SCRIPT.read_text(encoding="utf-8").strip()}
</script>
</body>
</html>
"""


def portable(text: str) -> str:
    """A page without what only the machine that wrote it knows."""
    return re.sub(f"{HERE}.*?{THERE}", "", text, flags=re.DOTALL)


def here(text: str) -> str:
    return f"{HERE}{text}{THERE}"


def bar(report: Report, suites: Mapping[str, Sequence[str]]) -> str:
    """The menu: where things are, and the filter."""
    if not report.rows:
        return ""
    choices = "".join(
        f'<option value="{escape(name)}" data-sets="{escape(json.dumps(list(sets)))}">{escape(name)}</option>'
        for name, sets in suites.items()
    )
    choose = f'<label>Suite<select id="suite"><option value="">everything</option>{choices}</select></label>'
    places = {"answer": "Who leads"} if report.comparisons else {}
    places |= {"tables": report.tables[0].kind} | ({report.families[0].slug: "Families"} if report.families else {})
    places |= {"figures": "Figures", "missing": "Missing and stale", "runs": "Runs"}
    links = "".join(f'<a href="#{place}">{escape(text)}</a>' for place, text in places.items())
    return f'<div class="bar"><nav>{links}</nav>{choose}</div>'


def body(
    report: Report, runs: Path, figures: Mapping[str, str], stale: Mapping[str, Sequence[str]] | None
) -> list[str]:
    """The sections: who leads, the tables of scores and of families, then everything else."""
    signs = {label(column): look for column, look in looks(report.columns).items()}
    notes = report.notes()
    tables = [section(table, notes[table.title], signs, figures) for table in report.tables]
    shown = len(report.tables) - len(report.further)
    return [
        *(answer(each, figures) for each in (report.leading,) if each),
        '<div id="tables"></div>',
        *tables[:shown],
        '<div id="figures"></div>',
        *drawn(report, figures),
        *tables[shown:],
        absent(report, stale),
        run_sections.runs(report, runs, here),
    ]


def answer(comparison: SuiteComparison, figures: Mapping[str, str]) -> str:
    """Who leads, in one sentence and two figures."""
    lead, rest = verdict.english(comparison)
    boxes = [figure(f"{kind}-{comparison_name(comparison)}", figures) for kind in ("overall", "seeds")]
    source = f"`{comparison.source}`: {what}. " if (what := SOURCES.get(comparison.source)) else ""
    return (
        f'<section id="answer" data-suite="{escape(comparison.suite)}"><div class="charts"><div class="verdict">'
        f"<p><strong>{escape(lead)}</strong>{escape(rest)}</p>\n{paragraph(source + SCALE)}</div>"
        f"{''.join(boxes)}</div></section>"
    )


# ---- tables ----------------------------------------------------------------------------------------------------------


def section(table: Table, below: Sequence[str], signs: Mapping[str, Look], figures: Mapping[str, str]) -> str:
    """One table with notes below, in a frame that scrolls sideways on a narrow screen."""
    head = "".join(heading(place, table, signs.get(name)) for place, name in enumerate(table.header))
    keys = [f' data-key="{escape(key)}"' for key in table.keys] or [""] * len(table.rows)
    if table.header[0] == "Suite":
        keys = [f' data-suite="{escape(row[0].main)}"' for row in table.rows]
    rows = "\n".join(
        f"<tr{key}>" + "".join(cell(place, table, text) for place, text in enumerate(row)) + "</tr>"
        for key, row in zip(keys, table.rows, strict=True)
    )
    notes = "\n".join(map(paragraph, below))
    drawing = f'<div class="charts">{box}</div>' if (box := figure(table.figure, figures)) else ""
    return (
        f'<section id="{table.slug}">\n<h2>{escape(table.title)}</h2>\n{drawing}<div class="frame"><div class="scroll" '
        f'tabindex="0" role="region" aria-label="{escape(table.title)}">\n<table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{rows}\n</tbody>\n</table>\n</div></div>\n{notes}\n</section>"
    )


def heading(place: int, table: Table, look: Look | None) -> str:
    """A column's name, with the sign that a model has in the figures."""
    side = ' class="number"' if place >= table.numbers else ""
    ink = "var(--ink)" if look and look.color == INK else look and look.color
    sign = f'<i style="color:{ink}">{look.sign}</i>&nbsp;' if look else ""
    return f'<th{side} scope="col"><button>{sign}{escape(table.header[place])}</button></th>'


def cell(place: int, table: Table, text: Text) -> str:
    small = "".join(f"<small>{escape(line)}</small>" for line in text.small)
    kinds = " ".join(["number"] * (place >= table.numbers) + ["few"] * text.few)
    attributes = f' class="{kinds}"' if kinds else ""
    attributes += f' title="{escape(", ".join(text.roomy))}"' if text.roomy else ""
    attributes += "" if text.value is None else f' data-value="{text.value:.6g}"'
    main = f"<strong>{escape(text.main)}</strong>" if text.bold else escape(text.main)
    return f"<td{attributes}>{main}{small}</td>"


# ---- figures ---------------------------------------------------------------------------------------------------------


def drawn(report: Report, figures: Mapping[str, str]) -> list[str]:
    """A section for each comparison over a suite, then one for each row, in the order of the tables."""
    sections = []
    for each in report.comparisons:
        kinds = ("profile",) if each is report.leading else ("overall", "seeds", "profile")
        suite, name = f'data-suite="{escape(each.suite)}"', comparison_name(each)
        sections.append(figure_section(suite, each.name, [f"{kind}-{name}" for kind in kinds], figures))
    for group in report.mixtures_compared:
        title = f"{group.mixtures[0].label}, and other mixtures"
        sections.append(figure_section('data-key=""', title, [mixtures_name(group)], figures))
    for name in sorted(name for name in figures if name.startswith("prompts-")):
        sections.append(figure_section('data-key=""', name.removeprefix("prompts-"), [name], figures))
    for few in report.adaptations:
        key = f'data-key="{escape(few.first.dataset)}"'
        sections.append(figure_section(key, f"{few.name}: from a few demonstrations", [adaptation_name(few)], figures))
    named = zip(report.rows, names(report.rows), strict=True)
    for row, name in sorted(named, key=lambda pair: source_place(pair[0].first.source)):
        key, title = f'data-key="{escape(row.first.dataset)}"', f"{row.label} · {row.first.source}"
        sections.append(figure_section(key, title, [f"{kind}-{name}" for kind in FIGURES], figures))
    return sections


def figure_section(attribute: str, title: str, figure_names: Sequence[str], figures: Mapping[str, str]) -> str:
    boxes = "".join(figure(name, figures) for name in figure_names)
    return f'<section {attribute}><h2>{escape(title)}</h2><div class="charts">{boxes}</div></section>' if boxes else ""


def figure(name: str, figures: Mapping[str, str]) -> str:
    """An SVG file as an image, in which no script runs, and which is drawn when it comes into view; if it is there."""
    if name not in figures:
        return ""
    source = f"data:image/svg+xml,{quote(figures[name], safe=' =:;/,.')}"
    return f'<figure><img loading="lazy" decoding="async" alt="{escape(name)}" src="{source}"></figure>'


# ---- what is missing -------------------------------------------------------------------------------------------------


def absent(report: Report, stale: Mapping[str, Sequence[str]] | None) -> str:
    """Runs that a full table would have, and records that the code of today would not give."""
    gone = "\n".join(f"<li>{escape(where)}: <code>{escape(line)}</code></li>" for where, line in report.missing)
    missing = f"<ul>\n{gone}\n</ul>" if gone else paragraph("No run is missing from these rows.")
    if stale is None:
        old = paragraph("Whether records are stale was not looked at.")
    elif stale:
        items = [
            f'<li><a href="#{escape(name)}">{escape(name)}</a>: {escape("; ".join(why))}</li>'
            for name, why in sorted(stale.items())
        ]
        old = f"<ul>\n{chr(10).join(items)}\n</ul>"
    else:
        old = paragraph("No record is stale: code and configurations are those of today.")
    return (
        f'<section id="missing"><h2>Missing and stale</h2>\n<h3>Missing</h3>\n{missing}\n<h3>Stale</h3>\n'
        f"{here(old)}\n</section>"
    )


def paragraph(text: str) -> str:
    return f"<p>{inline(text)}</p>"


def inline(text: str) -> str:
    """Escaped, with `code` between backquotes."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", escape(text))
